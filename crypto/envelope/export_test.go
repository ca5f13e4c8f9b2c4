package envelope

import (
	"bytes"
	"crypto/rand"
	"testing"

	"s3veil/crypto/kms"
)

// FixRandom makes the next draws of a test return b.
func FixRandom(t testing.TB, b []byte) {
	random = bytes.NewReader(b)
	t.Cleanup(func() { random = rand.Reader })
}

// DecodeWords and CanonicalFields are tested on their own.
var (
	DecodeWords     = decodeWords
	CanonicalFields = canonicalFields
)

// DecodeAttributes and EncodeAttributes are a box plaintext's parser and writer.
func DecodeAttributes(kind Kind, h Header, plain []byte) (*Attributes, error) {
	return decodeAttributes(kind, &h, plain)
}

// EncodeAttributes writes what DecodeAttributes reads.
var EncodeAttributes = encodeAttributes

// SealPlain seals any box plaintext, so that tests can reach what lies behind the authentication.
func SealPlain(h Header, bound *kms.Key32, loc Location, plain []byte) *Sealed {
	at := clearLen(&h)
	raw := append(appendClear(nil, &h, h.SealedMeta), make([]byte, saltLen)...)
	commit, key := derive(bound, raw[at:])
	raw = append(raw, commit...)
	s := &Sealed{raw: raw, saltAt: at, h: h}
	s.raw = aead(key).Seal(raw, zeroNonce[:], plain, s.additional(loc, h.Binding))
	return s
}
