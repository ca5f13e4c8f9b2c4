package kms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"

	"s3veil/crypto/kdf"
)

// BlobLabel separates the uses of a blob (FORMAT.md 3.1).
type BlobLabel string

// The labels of FORMAT.md B.3.
const (
	LabelLocal BlobLabel = "s3veil/1/local" // under a key of a local key file
	LabelSSEC  BlobLabel = "s3veil/1/sse-c" // under a customer-provided key
)

// BlobSize is the length of every blob: s(16) ‖ v(12) ‖ ciphertext(32) ‖ tag(16) (FORMAT.md B.3).
const BlobSize = blobSalt + blobNonce + 32 + 16

const (
	blobSalt  = 16
	blobNonce = 12
)

// SealBlob wraps key under a 32-byte wrapping key that this process holds itself (FORMAT.md B.3):
//
//	blob = s ‖ v ‖ GCM(HKDF(wrapping, s, label ‖ canonical(context), 32), v, key, "")
//
// s and v are random, so every call gives another blob of BlobSize bytes.
func SealBlob(wrapping *Key32, label BlobLabel, key *Key32, ec Context) []byte {
	blob := make([]byte, blobSalt+blobNonce, BlobSize)
	_, _ = rand.Read(blob) // never fails: a missing generator ends the program
	aead := blobCipher(wrapping, label, blob[:blobSalt], ec)
	return aead.Seal(blob, blob[blobSalt:], key[:], nil)
}

// OpenBlob returns the key of a blob that SealBlob made under the same wrapping key, label and context. Every other blob
// is ErrBadCiphertext, without a hint at the cause.
func OpenBlob(wrapping *Key32, label BlobLabel, blob []byte, ec Context) (Key32, error) {
	var key Key32
	if len(blob) != BlobSize {
		return key, fmt.Errorf("%w: %d bytes", ErrBadCiphertext, len(blob))
	}
	aead := blobCipher(wrapping, label, blob[:blobSalt], ec)
	if _, err := aead.Open(key[:0], blob[blobSalt:blobSalt+blobNonce], blob[blobSalt+blobNonce:], nil); err != nil {
		key.Zero()
		return key, ErrBadCiphertext
	}
	return key, nil
}

// blobCipher panics only for what no input can cause: lengths are constant.
func blobCipher(wrapping *Key32, label BlobLabel, salt []byte, ec Context) cipher.AEAD {
	var k [kdf.Size]byte
	kdf.Key(&k, wrapping[:], salt, string(label)+string(ec.Canonical()))
	defer clear(k[:])
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic("kms: AES-256: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("kms: GCM: " + err.Error())
	}
	return aead
}
