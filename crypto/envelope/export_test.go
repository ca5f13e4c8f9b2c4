package envelope

import (
	"bytes"
	"crypto/rand"
	"io"
	"testing"

	"s3veil/crypto/kms"
)

// FixRandom makes the next draws of a test return b.
func FixRandom(t testing.TB, b []byte) { DrawFrom(t, bytes.NewReader(b)) }

// DrawFrom makes the draws of a test come from r.
func DrawFrom(t testing.TB, r io.Reader) {
	random = r
	t.Cleanup(func() { random = rand.Reader })
}

// DecodeWords is tested on its own.
var DecodeWords = decodeWords

// CanonicalFields returns the canonical fields by name; a name that comes twice, or out of order, panics.
func CanonicalFields(fields []Field) map[string]string {
	out, last := map[string]string{}, ""
	for _, f := range canonicalFields(fields) {
		if f.Name <= last {
			panic("canonical fields out of order")
		}
		last = f.Name
		out[f.Name] = f.Value
	}
	return out
}

// DecodeAttributes and EncodeAttributes are a box plaintext's parser and writer.
func DecodeAttributes(kind Kind, h Header, plain []byte) (*Attributes, error) {
	return decodeAttributes(kind, &h, plain)
}

// EncodeAttributes writes what DecodeAttributes reads, as many bytes as AttributesLen says.
var (
	EncodeAttributes = encodeAttributes
	AttributesLen    = attributesLen
)

// SealPlain seals any box plaintext, so that tests can reach what lies behind the authentication.
func SealPlain(h Header, bound *kms.Key32, loc Location, plain []byte) *Sealed {
	at := clearLen(&h)
	raw := append(appendClear(nil, &h, h.SealedMeta), make([]byte, saltLen)...)
	commit, key := derive(bound, raw[at:])
	raw = append(raw, commit[:]...)
	s := &Sealed{raw: raw, saltAt: at, h: h}
	s.raw = aead(&key).Seal(raw, zeroNonce[:], plain, s.additional(loc, h.Binding))
	return s
}
