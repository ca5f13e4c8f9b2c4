package main

import (
	"encoding/base64"
	"slices"
	"strings"

	"s3veil/crypto/vector"
)

// The kinds of envelopes: the columns of FORMAT.md 5.4.
const (
	single    = "single"
	multipart = "multipart"
	token     = "token"
)

// env is the input of one envelope (FORMAT.md 5), with every field free to be wrong.
type env struct {
	magic          string
	version, suite int
	flags          int
	kid            string
	wrapped        string
	pairs          string // the bytes after BE16(c); written when flag b6 is set
	salt           []byte
	tlvs           string
	realm          string
	bucket, key    string
	bound          []byte // IKEK'
}

// The attributes of ENV-1.
var (
	tlvDEK      = tlv(1, string(seq(0, 32)))
	tlvObjectID = tlv(2, string(seq(0xc0, 16)))
	tlvLength   = tlv(3, be64(5))
	tlvMAC      = tlv(4, string(seq(0xe0, 32)))
	tlvCreated  = tlv(5, be64(0))
)

// env1 is ENV-1.
func env1() env {
	return env{magic: "S3V", version: 1, suite: 1, kid: "k1", wrapped: "WRAPPED", salt: seq(0x80, 32),
		tlvs:  tlvDEK + tlvObjectID + tlvLength + tlvMAC + tlvCreated,
		realm: "default", bucket: "bkt", key: "dir/obj.bin", bound: seq(0x40, 32)}
}

// multipartEnv and tokenEnv are ENV-1 in the other columns.
func multipartEnv() env {
	e := env1()
	e.flags, e.tlvs = 9, tlvDEK+tlvObjectID+tlvMAC+tlvCreated
	return e
}

func tokenEnv() env {
	e := env1()
	e.flags, e.tlvs, e.salt = 9, tlvDEK+tlvObjectID, seq(0x60, 32)
	return e
}

func (e env) head() string {
	return e.magic + string([]byte{byte(e.version), byte(e.suite), byte(e.flags)})
}

// clear is everything before the salt.
func (e env) clear() string {
	out := e.head() + string([]byte{byte(len(e.kid))}) + e.kid + be16(len(e.wrapped)) + e.wrapped
	if e.flags&0x40 != 0 {
		out += be16(len(e.pairs)) + e.pairs
	}
	return out
}

// bytes seals the envelope.
func (e env) bytes() []byte {
	prk := extract(e.salt, e.bound)
	commit := expand(prk, "s3veil/1/commit")
	bucket, key := e.bucket, e.key
	if e.flags&0x30 != 0 {
		key = ""
	}
	if e.flags&0x20 != 0 {
		bucket = ""
	}
	aad := "s3veil/1/aad" + lp(e.head(), string(e.salt), string(commit), e.realm, bucket, key)
	out := append([]byte(e.clear()), e.salt...)
	out = append(out, commit...)
	return gcm(expand(prk, "s3veil/1/seal")).Seal(out, make([]byte, 12), []byte(e.tlvs), []byte(aad))
}

func base64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (e env) text() string { return "1." + base64url(e.bytes()) }

// fields are the inputs of an envelope vector: what a reader has in hand.
func (e env) fields(kind string) []vector.Field {
	return []vector.Field{text("kind", kind), hexa("bound", e.bound), hexa("realm", e.realm), hexa("bucket", e.bucket), hexa("key", e.key)}
}

// good adds an envelope that opens.
func (c *corpus) goodEnvelope(name, comment, kind string, e env) {
	raw := e.bytes()
	f := append(e.fields(kind), num("length", len(raw)), hexa("salt", e.salt), hexa("tlvs", e.tlvs))
	c.add("envelope", name, success, comment, []byte(e.text()), f...)
}

// badEnvelope adds ENV-1, or another base, after a change.
func (c *corpus) badEnvelope(name, class, comment string, change func(*env)) {
	e := env1()
	change(&e)
	c.add("envelope", name, class, comment, []byte(e.text()), e.fields(single)...)
}

// badBytes adds ENV-1 with its bytes changed after sealing.
func (c *corpus) badBytes(name, class, comment string, change func([]byte) []byte) {
	e := env1()
	c.add("envelope", name, class, comment, []byte("1."+base64url(change(e.bytes()))), e.fields(single)...)
}

// envelopes adds the vectors of FORMAT.md 5.3 and 5.5 to 5.7.
func (c *corpus) envelopes() {
	c.goodEnvelope("env-1", "known answer ENV-1", single, env1())
	e := env1()
	e.flags, e.pairs = 0x40, canonical(ikek2Pairs()...)
	c.goodEnvelope("env-2", "known answer ENV-2", single, e)
	e = env1()
	e.suite = 2
	c.goodEnvelope("suite-2", "suite 2", single, e)
	e = env1()
	e.flags = 0x10
	c.goodEnvelope("level-bucket", "the key is not bound", single, e)
	e.flags = 0x20
	c.goodEnvelope("level-none", "neither bucket nor key is bound", single, e)
	e = env1()
	e.kid, e.wrapped = strings.Repeat("k", 64), strings.Repeat("w", 1024)
	c.goodEnvelope("longest-clear-part", "kid and wrapped key at their limits", single, e)
	e = env1()
	e.kid = "@sse-c"
	c.goodEnvelope("customer-kid", "the one kid with @", single, e)
	e = env1()
	e.flags, e.pairs = 0x40, canonical(pair{"a", strings.Repeat("x", 503)})
	c.goodEnvelope("pairs-512", "512 bytes of pairs", single, e)
	e.pairs = canonical(pair{"1", ""}, pair{"2", ""}, pair{"3", ""}, pair{"4", ""}, pair{"5", ""}, pair{"6", ""}, pair{"7", ""}, pair{"8", ""})
	c.goodEnvelope("pairs-8", "eight pairs", single, e)
	c.badHeads()
	c.badPairs()
	c.badKeys()
	c.twoKeys()
}

func (c *corpus) badHeads() {
	c.badEnvelope("magic", "malformed", "other magic", func(e *env) { e.magic = "S3W" })
	c.badEnvelope("version-2", "unsupported", "unknown version", func(e *env) { e.version = 2 })
	c.badEnvelope("version-0", "unsupported", "unknown version", func(e *env) { e.version = 0 })
	c.badEnvelope("suite-0", "unsupported", "unknown suite", func(e *env) { e.suite = 0 })
	c.badEnvelope("suite-3", "unsupported", "reserved suite", func(e *env) { e.suite = 3 })
	c.badEnvelope("flag-80", "unsupported", "unknown flag", func(e *env) { e.flags = 0x80 })
	c.badEnvelope("level-11", "malformed", "binding level 11", func(e *env) { e.flags = 0x30 })
	c.badEnvelope("flag-b0-alone", "malformed", "multipart without manifest", func(e *env) { e.flags = 1 })
	c.badEnvelope("flag-b3-alone", "malformed", "manifest without multipart", func(e *env) { e.flags = 8 })
	c.badEnvelope("flag-b2-b0", "malformed", "padded multipart", func(e *env) { e.flags = 0x0d })
	c.badEnvelope("kid-empty", "malformed", "no kid", func(e *env) { e.kid = "" })
	c.badEnvelope("kid-65", "malformed", "65 characters", func(e *env) { e.kid = strings.Repeat("k", 65) })
	c.badEnvelope("kid-character", "malformed", "a slash in the kid", func(e *env) { e.kid = "k/1" })
	c.badEnvelope("kid-newline", "malformed", "a line end after the kid", func(e *env) { e.kid = "k1\n" })
	c.badEnvelope("kid-not-ascii", "malformed", "kid is not ASCII", func(e *env) { e.kid = "kü" })
	c.badEnvelope("kid-reserved", "malformed", "another kid with @", func(e *env) { e.kid = "@sse" })
	c.badEnvelope("wrapped-empty", "malformed", "no wrapped key", func(e *env) { e.wrapped = "" })
	c.badEnvelope("wrapped-1025", "malformed", "1,025 bytes of wrapped key", func(e *env) { e.wrapped = strings.Repeat("w", 1025) })
	c.badBytes("kid-beyond-the-end", "malformed", "k larger than the input", func(b []byte) []byte { return append(b[:6:6], 64, 'k') })
	c.badBytes("wrapped-beyond-the-end", "malformed", "w larger than the input", func(b []byte) []byte { return slices.Concat(b[:9], []byte{4, 0}, b[11:]) })
	c.badBytes("head-cut", "malformed", "ends after the flags", func(b []byte) []byte { return b[:6] })
	c.badBytes("magic-cut", "malformed", "two bytes", func(b []byte) []byte { return b[:2] })
	c.badBytes("salt-cut", "malformed", "ends inside the salt", func(b []byte) []byte { return b[:30] })
	c.badBytes("box-69", "malformed", "a box of 69 bytes", func(b []byte) []byte { return b[:18+64+69] })
	c.badBytes("box-70", "envelope", "a box of 70 bytes that is cut", func(b []byte) []byte { return b[:18+64+70] })
	c.badBytes("cut", "envelope", "last byte missing", func(b []byte) []byte { return b[:len(b)-1] })
	c.badBytes("trailing-byte", "envelope", "a byte after the box", func(b []byte) []byte { return append(b, 0) })
}

func (c *corpus) badPairs() {
	bad := func(name, comment, pairs string) {
		c.badEnvelope(name, "malformed", comment, func(e *env) { e.flags, e.pairs = 0x40, pairs })
	}
	bad("pairs-0", "b6 with c = 0", "")
	bad("pairs-513", "513 bytes of pairs", lp("a", strings.Repeat("x", 504)))
	bad("pairs-9", "nine pairs", lp("1", "", "2", "", "3", "", "4", "", "5", "", "6", "", "7", "", "8", "", "9", ""))
	bad("pairs-unsorted", "names descend", lp("b", "1", "a", "2"))
	bad("pairs-repeated", "a name twice", lp("a", "1", "a", "1"))
	bad("pairs-cut-length", "ends inside a length", lp("a", "1")+"\x00\x00")
	bad("pairs-cut-value", "ends inside a value", lp("a", "123")[:11])
	bad("pairs-odd", "a name without a value", lp("a", "1", "b"))
	bad("pairs-empty-name", "an empty name", lp("", "1"))
	bad("pairs-s3veil", "the name s3veil", lp("s3veil", "1"))
	bad("pairs-realm", "the name realm", lp("realm", "default"))
	bad("pairs-name-not-utf8", "a name that is not UTF-8", lp("\xff", "1"))
	bad("pairs-value-not-utf8", "a value that is not UTF-8", lp("a", "\xc3"))
	bad("pairs-surrogate", "half a surrogate pair is not UTF-8", lp("a", "\xed\xa0\x80"))
	bad("pairs-beyond-the-end", "a length beyond the field", "\xff\xff\xff\xffa"+lp("1"))
	c.badEnvelope("pairs-of-a-customer-key", "malformed", "b6 with @sse-c", func(e *env) { e.kid, e.flags, e.pairs = "@sse-c", 0x40, lp("a", "1") })
	c.badBytes("pairs-flag-added", "malformed", "b6 set on an envelope without pairs", func(b []byte) []byte { b[5] |= 0x40; return b })
}

func (c *corpus) badKeys() {
	c.badBytes("salt-changed", "commitment", "a bit of the salt", func(b []byte) []byte { return flip(b, 18) })
	c.badBytes("commitment-changed", "commitment", "a bit of the commitment", func(b []byte) []byte { return flip(b, 18+32) })
	c.badBytes("box-changed", "envelope", "a bit of the box", func(b []byte) []byte { return flip(b, 18+64) })
	c.badBytes("tag-changed", "envelope", "a bit of the tag", func(b []byte) []byte { return flip(b, -1) })
	c.badBytes("suite-exchanged", "envelope", "suite 2 written over suite 1", func(b []byte) []byte { b[4] = 2; return b })
	c.badBytes("level-exchanged", "envelope", "level none written over level key", func(b []byte) []byte { b[5] |= 0x20; return b })
	c.badBytes("padded-added", "envelope", "b2 added", func(b []byte) []byte { b[5] |= 4; return b })
	c.badBytes("sealed-metadata-added", "envelope", "b1 added", func(b []byte) []byte { b[5] |= 2; return b })
	c.badBytes("multipart-added", "envelope", "b0 and b3 added, read as a single PUT", func(b []byte) []byte { b[5] |= 9; return b })
	opened := func(name, class, comment string, sealed env, change func(*env)) {
		reader := sealed
		change(&reader)
		c.add("envelope", name, class, comment, []byte(sealed.text()), reader.fields(single)...)
	}
	opened("other-bound-key", "commitment", "another IKEK'", env1(), func(e *env) { e.bound = seq(0x41, 32) })
	opened("other-realm", "envelope", "another realm in the AAD", env1(), func(e *env) { e.realm = "default2" })
	opened("other-bucket", "envelope", "another bucket", env1(), func(e *env) { e.bucket = "bkt2" })
	opened("other-key", "envelope", "another key", env1(), func(e *env) { e.key = "dir/obj.bin2" })
	opened("moved-border", "envelope", "bucket and key joined are the same", env1(), func(e *env) { e.bucket, e.key = "bktd", "ir/obj.bin" })
	bucket := env1()
	bucket.flags = 0x10
	opened("level-bucket-other-bucket", "envelope", "another bucket at level bucket", bucket, func(e *env) { e.bucket = "bkt2" })
	none := env1()
	none.flags = 0x20
	opened("level-none-other-realm", "envelope", "another realm at level none", none, func(e *env) { e.realm = "default2" })
	// The pairs taken away together with b6: the reader derives IKEK' without them.
	with := env1()
	with.bound = bind(ikek1(), realmContext("default", ikek2Pairs()...))
	without := env1()
	without.bound = bind(ikek1(), realmContext("default"))
	c.add("envelope", "pairs-stripped", "commitment", "pairs taken away together with b6", []byte(with.text()), without.fields(single)...)
}

// envelopeTexts adds the vectors of FORMAT.md 5.1.
func (c *corpus) envelopeTexts() {
	e := env1()
	good := e.text()
	bad := func(name, class, comment, entry string) {
		c.add("envelope", name, class, comment, []byte(entry), e.fields(single)...)
	}
	bad("text-empty", "malformed", "an empty entry", "")
	bad("text-prefix-only", "malformed", "only the prefix", "1.")
	bad("text-no-prefix", "malformed", "base64url without a prefix", good[2:])
	bad("text-other-prefix", "malformed", "a prefix that is not a number", "a."+good[2:])
	bad("text-leading-zero", "malformed", "01 is not a version", "01."+good[2:])
	bad("text-major-2", "unsupported", "the next major version", "2."+good[2:])
	bad("text-major-10", "unsupported", "a major version of two digits", "10."+good[2:])
	bad("text-padding", "malformed", "base64 padding", good+"==")
	bad("text-leading-space", "malformed", "white space in front", " "+good)
	bad("text-trailing-space", "malformed", "white space behind", good+" ")
	bad("text-newline", "malformed", "a line end inside", good[:40]+"\n"+good[40:])
	bad("text-newline-behind", "malformed", "a line end behind", good+"\n")
	bad("text-standard-alphabet", "malformed", "the other base64 alphabet", good[:40]+"+/"+good[42:])
	bad("text-length", "malformed", "4n + 1 characters", good[:len(good)-2])
	alphabet := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, good[len(good)-1])
	bad("text-trailing-bits", "malformed", "trailing bits that are not zero", good[:len(good)-1]+alphabet[last+1:last+2])
	bad("text-two-joined", "malformed", "two entries joined with a comma", good+","+good)
}
