package pkcs11

import (
	"bytes"
	"testing"
)

func TestKeyNames(t *testing.T) {
	for _, c := range []struct {
		label string
		id    []byte
		want  string
	}{
		{"main", nil, "main"},
		{"main", []byte{0x01, 0xab}, "main#01ab"},
		{"", []byte{0x01}, "#01"},
		{"a#b", []byte{0x01}, "a#b#01"},
		{"key #1", nil, "key #1"},
		{"key#XYZ", nil, "key#XYZ"},
		{"key#AB", nil, "key#AB"},
		{"key#", nil, "key#"},
	} {
		name := KeyName(c.label, c.id)
		if label, id := parseKeyName(name); name != c.want || label != c.label || !bytes.Equal(id, c.id) {
			t.Errorf("%q, %x: %q, and back %q, %x", c.label, c.id, name, label, id)
		}
	}
}

func FuzzBlob(f *testing.F) {
	for _, seed := range [][]byte{nil, {1}, append([]byte{formGCM}, make([]byte, gcmBlob-1)...), append([]byte{formKeyWrap}, make([]byte, wrapBlob-1)...),
		append([]byte{formKeyWrapPad}, make([]byte, wrapBlob-1)...), append([]byte{formGCM}, make([]byte, wrapBlob-1)...), append([]byte{4}, make([]byte, wrapBlob-1)...)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		b, err := parseBlob(in)
		if known := len(in) == gcmBlob && in[0] == formGCM || len(in) == wrapBlob && (in[0] == formKeyWrap || in[0] == formKeyWrapPad); known != (err == nil) {
			t.Fatalf("%d bytes: %v", len(in), err)
		}
		if err == nil && !bytes.Equal(b.bytes(), in) {
			t.Errorf("%x becomes %x", in, b.bytes())
		}
	})
}
