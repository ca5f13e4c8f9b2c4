package partnote

import (
	"bytes"
	"testing"
)

// FixRandom makes the next nonce b.
func FixRandom(t *testing.T, b []byte) {
	old := random
	random = bytes.NewReader(b)
	t.Cleanup(func() { random = old })
}

// EncodePlain is the plaintext of a note.
func EncodePlain(n *Note) []byte { return n.encode() }

// Decode parses the plaintext of a note.
var Decode = decode
