package envelope

import (
	"bytes"
	"crypto/rand"
	"testing"
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
