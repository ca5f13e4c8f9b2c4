package main

import (
	"fmt"
	"strings"

	"s3veil/crypto/vector"
)

// noteInput is the input of one part note (FORMAT.md 9.9).
type noteInput struct {
	secret, nonce         []byte
	upstream, bucket, key string
	part                  int
	plain                 string
}

func note1() noteInput {
	return noteInput{secret: seq(0, 32), nonce: seq(0xd0, 12), upstream: "UP", bucket: "bkt", key: "dir/obj.bin", part: 7,
		plain: string(sum([]byte("0123456789abcdef0123456789abcdef"))[:16]) + "\x05" + string(seq(0, 32))}
}

func (n noteInput) prefix() string { return fmt.Sprintf(".s3veil/u/%x.", sum([]byte(n.upstream))) }

func (n noteInput) sealed() []byte {
	aad := "s3veil/1/aad" + lp(n.upstream, n.bucket, n.key) + be16(n.part)
	return gcm(hkdf(n.secret, sum([]byte(n.upstream)), "s3veil/1/partnote")).Seal(append([]byte(nil), n.nonce...), n.nonce, []byte(n.plain), []byte(aad))
}

func (n noteInput) name() string {
	return fmt.Sprintf("%s%05d.%s", n.prefix(), n.part, base64url(n.sealed()))
}

func (n noteInput) fields() []vector.Field {
	return []vector.Field{hexa("secret", n.secret), hexa("upstream", n.upstream), hexa("bucket", n.bucket), hexa("key", n.key)}
}

// notes adds the vectors of FORMAT.md 9.9.
func (c *corpus) notes() {
	tag := note1().plain[:16]
	good := func(name, comment string, change func(*noteInput)) {
		n := note1()
		change(&n)
		c.add("note", name, success, comment, []byte(n.name()), append(n.fields(), num("part", n.part), hexa("nonce", n.nonce), hexa("plain", n.plain))...)
	}
	good("note-1", "known answer NOTE-1", func(*noteInput) {})
	good("no-checksum", "a part whose client sent none: the default alone", func(n *noteInput) { n.plain = tag + "\x00abcdefgh" })
	good("both", "a checksum of the client's and the default", func(n *noteInput) { n.plain = tag + "\x06" + string(seq(0, 64)) + "abcdefgh" })
	good("crc64nvme", "the client's own is the default", func(n *noteInput) { n.plain = tag + "\x03abcdefgh" })
	good("nothing", "no checksum at all", func(n *noteInput) { n.plain = tag + "\x00" })
	good("part-10000", "the highest number", func(n *noteInput) { n.part = 10000 })
	bad := func(name, comment, raw string) {
		c.add("note", name, "note", comment, []byte(raw), note1().fields()...)
	}
	base := note1()
	bad("part-renamed", "the note of another part", strings.Replace(base.name(), ".00007.", ".00008.", 1))
	bad("part-short", "a number of four digits", strings.Replace(base.name(), ".00007.", ".0007.", 1))
	bad("box-changed", "a bit of the box", base.prefix()+"00007."+base64url(flip(base.sealed(), 12)))
	bad("nonce-changed", "a bit of the nonce", base.prefix()+"00007."+base64url(flip(base.sealed(), 0)))
	bad("cut", "the tag is cut", base.prefix()+"00007."+base64url(base.sealed()[:27]))
	bad("padding", "base64 padding", base.name()+"=")
	bad("state", "the name of the upload's state", strings.TrimSuffix(base.prefix(), "."))
	sealed := func(name, comment string, change func(*noteInput)) {
		n := note1()
		change(&n)
		bad(name, comment, base.prefix()+strings.TrimPrefix(n.name(), n.prefix()))
	}
	sealed("part-0", "part 0", func(n *noteInput) { n.part = 0 })
	sealed("part-10001", "part 10,001", func(n *noteInput) { n.part = 10001 })
	sealed("other-secret", "sealed under another secret", func(n *noteInput) { n.secret = seq(1, 32) })
	sealed("other-upload", "the note of another upload", func(n *noteInput) { n.upstream = "U2" })
	sealed("other-bucket", "the note of another bucket", func(n *noteInput) { n.bucket = "bkt2" })
	sealed("other-key", "the note of another object", func(n *noteInput) { n.key = "dir/obj.bin2" })
	sealed("fields-spliced", "bucket and key run into each other", func(n *noteInput) { n.bucket, n.key = "bktd", "ir/obj.bin" })
	sealed("short", "no algorithm", func(n *noteInput) { n.plain = tag })
	sealed("algorithm", "unknown algorithm", func(n *noteInput) { n.plain = tag + "\x0babcdefgh" })
	sealed("value-short", "a value that is cut", func(n *noteInput) { n.plain = tag + "\x05" + string(seq(0, 31)) })
	sealed("default-short", "a default of seven bytes", func(n *noteInput) { n.plain = tag + "\x00abcdefg" })
	sealed("default-twice", "the default beside itself", func(n *noteInput) { n.plain = tag + "\x03abcdefghabcdefgh" })
}
