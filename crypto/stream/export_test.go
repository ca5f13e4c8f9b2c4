package stream

import (
	"io"

	"s3veil/crypto/kms"
)

// NewSealerWithR is NewSealer with a fixed random value.
func NewSealerWithR(suite Suite, dek *kms.Key32, part int, plain int64, r R) (*Sealer, error) {
	return newSealer(suite, dek, part, plain, r)
}

// EncryptReaderWithR is EncryptReader with a fixed random value.
func EncryptReaderWithR(src io.Reader, suite Suite, dek *kms.Key32, part int, plain int64, r R) (io.Reader, error) {
	return encryptReader(src, suite, dek, part, plain, r)
}

// DeriveKey returns K_stream.
func DeriveKey(dek *kms.Key32, r R, part int) []byte {
	key := deriveKey(dek, r, part)
	return key[:]
}

// Keys shows what an Opener still holds.
func (o *Opener) Keys() (dek kms.Key32, cipher bool) { return o.dek, o.aead != nil }
