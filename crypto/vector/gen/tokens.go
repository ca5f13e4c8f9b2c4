package main

import (
	"slices"

	"s3veil/crypto/vector"
)

// headers turns headers into fields of a vector.
func (c *corpus) headers(list []pair) []vector.Field {
	var out []vector.Field
	for _, p := range list {
		out = append(out, words("header", p.name, p.value))
	}
	return out
}

// tokenBytes is the upload token of FORMAT.md 9.1 before base64url.
func tokenBytes(upstream string, e env, dek []byte, bucket, key string) []byte {
	out := append([]byte("\x01"+be16(len(upstream))+upstream), e.bytes()...)
	return append(out, mac(expand(dek, "s3veil/1/uploadid"), []byte(lp(upstream, bucket, key)))[:16]...)
}

// tokens adds the vectors of FORMAT.md 9.1.
func (c *corpus) tokens() {
	dek := seq(0, 32)
	build := func(upstream string, e env) []byte { return tokenBytes(upstream, e, dek, e.bucket, e.key) }
	good := func(name, comment, upstream string, e env) {
		raw := build(upstream, e)
		f := append(e.fields(token), num("length", len(raw)), hexa("salt", e.salt), hexa("upstream", upstream), hexa("tlvs", e.tlvs))
		c.add("token", name, success, comment, []byte(base64url(raw)), f...)
	}
	e := tokenEnv()
	good("token-1", "known answer TOKEN-1", "UP", e)
	good("long-upstream-id", "an upstream id with characters of its own", "a/b+c=.~ü"+string(pattern(300, "id")), e)
	for name, flags := range map[string]int{"level-bucket": 0x19, "level-none": 0x29} {
		e := tokenEnv()
		e.flags = flags
		good(name, "the binding level of the object", "UP", e)
	}
	more := tokenEnv()
	more.tlvs += tlv(0x80, "\x01") + tlv(0x81, "\x03\x01") + tlv(0x90, "x")
	good("attributes", "attributes 80 and above", "UP", more)

	bad := func(name, comment string, raw []byte) {
		c.add("token", name, "token", comment, []byte(base64url(raw)), tokenEnv().fields(token)...)
	}
	raw := build("UP", e)
	bad("version", "other version", slices.Concat([]byte{2}, raw[1:]))
	bad("upstream-changed", "upstream id changed", flip(raw, 3))
	bad("mac-changed", "a bit of the MAC", flip(raw, -1))
	bad("box-changed", "a bit of the box", flip(raw, -17))
	bad("salt-changed", "a bit of the salt", flip(raw, 5+18))
	bad("cut", "last byte missing", raw[:len(raw)-1])
	bad("mac-missing", "the MAC is missing", raw[:len(raw)-16])
	bad("upstream-empty", "no upstream id", build("", e))
	bad("upstream-beyond-the-end", "a length beyond the token", slices.Concat([]byte{1, 0xff, 0xff}, raw[3:]))
	bad("empty", "no bytes", nil)
	bad("version-only", "one byte", []byte{1})
	bad("envelope-of-another-token", "envelope and MAC of two uploads", slices.Concat(raw[:5], otherUpload().bytes(), raw[len(raw)-16:]))
	bad("id-of-another-token", "upstream id of another upload", slices.Concat(build("U2", e)[:5], raw[5:]))
	other := tokenEnv()
	other.bucket = "bkt2"
	bad("other-bucket", "made for another bucket", build("UP", other))
	other = tokenEnv()
	other.key = "dir/obj.bin2"
	bad("other-key", "made for another key", build("UP", other))
	other = tokenEnv()
	other.flags = 0x29
	bad("other-key-level-none", "another key at level none: the MAC binds it", tokenBytes("UP", other, dek, "bkt", "k2"))
	other = tokenEnv()
	other.bound = seq(0x41, 32)
	bad("other-bound-key", "another IKEK'", build("UP", other))
	bad("envelope-of-an-object", "the object's envelope in a token", build("UP", multipartEnv()))
	bad("envelope-of-a-single-put", "the envelope of a single PUT", build("UP", env1()))
	other = tokenEnv()
	other.flags, other.tlvs = 11, other.tlvs+tlv(8, "")
	bad("sealed-metadata", "b1 in a token", build("UP", other))
	entry := func(name, comment, id string) {
		c.add("token", name, "token", comment, []byte(id), tokenEnv().fields(token)...)
	}
	entry("padding", "base64 padding", base64url(raw)+"=")
	entry("newline", "a line end inside", base64url(raw)[:40]+"\n"+base64url(raw)[40:])
	entry("dot", "a dot never occurs in a token", base64url(raw)+".")
}

// otherUpload is the token envelope of another upload of the same object.
func otherUpload() env {
	e := tokenEnv()
	e.salt, e.tlvs = seq(0x61, 32), tlv(1, string(seq(1, 32)))+tlv(2, string(seq(0xd0, 16)))
	return e
}
