package main

import "s3veil/crypto/vector"

// ikek1 is the IKEK of IKEK-1.
func ikek1() []byte { return seq(0x20, 32) }

// ikek2Pairs are the client pairs of IKEK-2 and ENV-2.
func ikek2Pairs() []pair { return []pair{{"team", "red"}, {"a", "ü"}} }

func contextFields(realm string, pairs ...pair) []vector.Field {
	f := []vector.Field{words("context", "s3veil", "1"), words("context", "realm", realm)}
	for _, p := range pairs {
		f = append(f, words("context", p.name, p.value))
	}
	return f
}

// keys adds the vectors of FORMAT.md 4.3 and B.3.
func (c *corpus) keys() {
	bound := func(name, comment, realm string, pairs ...pair) {
		c.add("ikek", name, success, comment, bind(ikek1(), realmContext(realm, pairs...)),
			append([]vector.Field{hexa("ikek", ikek1())}, contextFields(realm, pairs...)...)...)
	}
	bound("ikek-1", "known answer IKEK-1", "default")
	bound("ikek-2", "known answer IKEK-2", "default", ikek2Pairs()...)
	bound("other-realm", "another realm gives another key", "default2")
	bound("empty-value", "a pair without a value counts", "default", pair{"a", ""})
	bound("bytewise-order", "names sort by bytes, upper case first", "default", pair{"b", "1"}, pair{"B", "2"}, pair{"ü", "3"})

	key, context := seq(0x60, 32), realmContext("default")
	const local, customer = "s3veil/1/local", "s3veil/1/sse-c"
	wrapped := func(name, expect, comment, label string, raw []byte, realm string, pairs ...pair) {
		c.add("blob", name, expect, comment, raw,
			append([]vector.Field{hexa("key", key), text("label", label), hexa("ikek", ikek1())}, contextFields(realm, pairs...)...)...)
	}
	wrapped("blob-1", success, "known answer BLOB-1", local, blob(key, local, ikek1(), context), "default")
	wrapped("blob-2", success, "known answer BLOB-2", customer, blob(key, customer, ikek1(), context), "default")
	wrapped("with-pairs", success, "client pairs are part of the context", local,
		blob(key, local, ikek1(), realmContext("default", ikek2Pairs()...)), "default", ikek2Pairs()...)
	good := blob(key, local, ikek1(), context)
	wrapped("other-realm", "envelope", "wrapped for another realm", local, blob(key, local, ikek1(), realmContext("other")), "default")
	wrapped("pairs-stripped", "envelope", "wrapped with client pairs, opened without", local,
		blob(key, local, ikek1(), realmContext("default", ikek2Pairs()...)), "default")
	wrapped("other-key", "envelope", "wrapped under another key", local, blob(seq(0x61, 32), local, ikek1(), context), "default")
	wrapped("other-label", "envelope", "an SSE-C blob for the local provider", local, blob(key, customer, ikek1(), context), "default")
	wrapped("customer-other-key", "kek-denied", "wrong customer key", customer, blob(seq(0x61, 32), customer, ikek1(), context), "default")
	wrapped("salt-changed", "envelope", "a bit of s", local, flip(good, 0), "default")
	wrapped("nonce-changed", "envelope", "a bit of v", local, flip(good, 16), "default")
	wrapped("tag-changed", "envelope", "a bit of the tag", local, flip(good, -1), "default")
	wrapped("cut", "envelope", "75 bytes", local, good[:75], "default")
	wrapped("long", "envelope", "77 bytes", local, append(good[:76:76], 0), "default")
	wrapped("empty", "envelope", "no bytes", local, nil, "default")
}
