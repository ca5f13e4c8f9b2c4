package manifest

import (
	"bytes"
	"crypto/rand"
	"testing"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
)

// FixRandom makes the next draws of a test return b.
func FixRandom(t testing.TB, b []byte) {
	random = bytes.NewReader(b)
	t.Cleanup(func() { random = rand.Reader })
}

// SealPlain seals any M, so that tests can reach what lies behind the authentication.
func SealPlain(plain []byte, dek *kms.Key32, id envelope.ObjectID, loc envelope.Location) []byte {
	head := make([]byte, headLen, headLen+len(plain)+tagLen)
	copy(head, magic)
	head[4] = version
	return aead(dek, head).Seal(head, zeroNonce[:], plain, additional(head, id, loc))
}

// DecodePlain parses M, and EncodePlain writes it.
var (
	DecodePlain = decode
	EncodePlain = (*Manifest).encode
)
