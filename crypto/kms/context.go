package kms

import (
	"encoding/binary"
	"slices"

	"s3veil/crypto/kdf"
)

// labelIKEK binds an intermediate key to its context (FORMAT.md 3.1, 4.3).
const labelIKEK = "s3veil/1/ikek"

// The names of a realm's context that this program sets itself; no client pair may use them (FORMAT.md 5.3).
const (
	ContextFormat = "s3veil" // value: the major version, "1"
	ContextRealm  = "realm"
)

// RealmContext returns the context of a realm merged with the client's pairs (nil for none). The result is a map of
// its own. Pairs named like a name of the realm's context do not replace it.
func RealmContext(realm string, pairs Context) Context {
	ec := make(Context, len(pairs)+2)
	for name, value := range pairs {
		ec[name] = value
	}
	ec[ContextFormat] = "1"
	ec[ContextRealm] = realm
	return ec
}

// Canonical returns LP(name) ‖ LP(value) for every pair in bytewise order of names (FORMAT.md 4.3). LP(x) is the
// length of x as 4 bytes big endian, then x. The empty context is the empty string.
func (c Context) Canonical() []byte {
	names := make([]string, 0, len(c))
	n := 0
	for name, value := range c {
		names = append(names, name)
		n += 8 + len(name) + len(value)
	}
	slices.Sort(names)
	out := make([]byte, 0, n)
	for _, name := range names {
		out = appendLP(out, name)
		out = appendLP(out, c[name])
	}
	return out
}

// Bind derives IKEK' from an unwrapped IKEK: HKDF(IKEK, "", "s3veil/1/ikek" ‖ canonical(context), 32) (FORMAT.md 4.3).
// Nothing but IKEK' may be used after unwrapping: it holds the binding to the realm for providers that have no
// additional authenticated data.
func Bind(ikek Key32, ec Context) (bound Key32) {
	kdf.Key((*[kdf.Size]byte)(&bound), ikek[:], nil, labelIKEK+string(ec.Canonical()))
	ikek.Zero()
	return bound
}

func appendLP(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}
