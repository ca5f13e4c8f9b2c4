package keycache

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"s3veil/crypto/kms"
)

func TestCacheKeyIsTheOneOfTheFormat(t *testing.T) {
	lp := func(b []byte) []byte { return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...) }
	for _, c := range []struct {
		kid     string
		wrapped []byte
		realm   string
		pairs   kms.Context
	}{
		{"main", []byte("blob"), "realm", nil},
		{"main", []byte("blob"), "realm", kms.Context{"a": "b", "z": ""}},
		{"", nil, "", nil},
		{"k", bytes.Repeat([]byte{7}, 4096), "a long one, beyond the limits", nil},
	} {
		ec := kms.RealmContext(c.realm, c.pairs)
		want := id(sha256.Sum256(bytes.Join([][]byte{lp([]byte(c.kid)), lp(c.wrapped), ec.Canonical()}, nil)))
		if idOf(c.kid, c.wrapped, c.realm, c.pairs) != want || idOfContext(c.kid, c.wrapped, ec) != want {
			t.Errorf("%q %q %v", c.kid, c.realm, c.pairs)
		}
	}
}
