package main

import (
	"slices"

	"s3veil/crypto/vector"
)

// man is the input of one manifest (FORMAT.md 9.4).
type man struct {
	magic       string
	version     int
	salt, dek   []byte
	id          string
	level       int // bits 0x30 of the flags
	realm       string
	bucket, key string
	plain       string // M
}

func run(first, count int, length int64) string { return be16(first) + be16(count) + be64(length) }

// table is M without TLVs.
func table(n int, total int64, runs ...string) string {
	out := be32(n) + be64(total) + be16(len(runs))
	for _, r := range runs {
		out += r
	}
	return out
}

// man1 is MAN-1.
func man1() man {
	return man{magic: "S3VM", version: 1, salt: seq(0xa0, 16), dek: seq(0, 32), id: string(seq(0xc0, 16)), realm: "default", bucket: "bkt", key: "dir/obj.bin",
		plain: table(4, 3*5<<20+1, run(1, 3, 5<<20), run(7, 1, 1))}
}

func (m man) bytes() []byte {
	head := append([]byte(m.magic), byte(m.version))
	head = append(head, m.salt...)
	bucket, key := m.bucket, m.key
	if m.level != 0 {
		key = ""
	}
	if m.level == 0x20 {
		bucket = ""
	}
	aad := "s3veil/1/aad" + lp(string(head), m.realm, bucket, key, m.id)
	return gcm(hkdf(m.dek, m.salt, "s3veil/1/manifest")).Seal(head, make([]byte, 12), []byte(m.plain), []byte(aad))
}

func (m man) fields() []vector.Field {
	return []vector.Field{hexa("dek", m.dek), hexa("object-id", m.id), num("level", m.level), hexa("realm", m.realm), hexa("bucket", m.bucket), hexa("key", m.key)}
}

// manifests adds the vectors of FORMAT.md 9.4.
func (c *corpus) manifests() {
	good := func(name, comment string, m man, tableLen int) {
		raw := m.bytes()
		f := append(m.fields(), num("length", len(raw)), hexa("salt", m.salt), hexa("plain", m.plain), hexa("table-digest", sum([]byte(m.plain[:tableLen]))[:16]))
		c.add("manifest", name, success, comment, raw, f...)
	}
	base := man1()
	good("man-1", "known answer MAN-1", base, len(base.plain))
	for name, level := range map[string]int{"level-bucket": 0x10, "level-none": 0x20} {
		m := man1()
		m.level = level
		good(name, "the binding level of the object", m, len(m.plain))
	}
	with := func(name, comment, tlvs string) {
		m := man1()
		m.plain += tlvs
		good(name, comment, m, len(base.plain))
	}
	r4 := seq(0, 12*4)
	with("part-md5", "attribute 10", mtlv(0x10, string(seq(0, 64))))
	with("part-r", "attribute 11", mtlv(0x11, string(r4)))
	with("full-object-checksum", "attribute 12, full object", mtlv(0x12, "\x03\x00abcdefgh"))
	with("composite-checksum", "attribute 12, composite", mtlv(0x12, "\x05\x01"+string(seq(0, 32))))
	with("part-checksums", "attribute 13", mtlv(0x13, "\x01"+string(seq(0, 16))))
	with("repaired", "attribute 14", mtlv(0x14, be64(1780000000)))
	with("provisional", "attribute 15", mtlv(0x15, ""))
	with("everything", "all attributes that go together", mtlv(0x10, string(seq(0, 64)))+mtlv(0x11, string(r4))+mtlv(0x12, "\x01\x00abcd")+
		mtlv(0x13, "\x04"+string(seq(0, 80)))+mtlv(0x14, be64(1))+mtlv(0x80, "")+mtlv(0xff, string(pattern(300, "x"))))
	plain := func(name, comment, plain string) {
		m := man1()
		m.plain = plain
		good(name, comment, m, len(plain))
	}
	plain("one-part", "one part with the highest number", table(1, 5, run(10000, 1, 5)))
	plain("empty-part", "one empty part", table(1, 0, run(1, 1, 0)))
	plain("all-parts", "10,000 parts in one run", table(10000, 10000*5<<30, run(1, 10000, 5<<30)))
	plain("gap", "equal lengths after a gap are two runs", table(2, 10, run(1, 1, 5), run(3, 1, 5)))
	plain("lengths-alternate", "neighbours of other lengths are two runs", table(3, 16, run(1, 1, 5), run(2, 1, 6), run(3, 1, 5)))
	c.badManifestBytes()
	c.badTables()
}

func (c *corpus) badManifestBytes() {
	base := man1()
	raw := base.bytes()
	bytes := func(name, class, comment string, b []byte) {
		c.add("manifest", name, class, comment, b, base.fields()...)
	}
	bytes("62-bytes", "malformed", "shorter than any manifest", raw[:62])
	bytes("empty", "malformed", "no bytes", nil)
	bytes("63-bytes", "manifest", "cut to the shortest length", raw[:63])
	bytes("magic", "manifest", "other magic", flip(raw, 0))
	bytes("version-2", "unsupported", "unknown version", slices.Concat(raw[:4], []byte{2}, raw[5:]))
	bytes("salt-changed", "manifest", "a bit of the salt", flip(raw, 5))
	bytes("box-changed", "manifest", "a bit of the box", flip(raw, 21))
	bytes("tag-changed", "manifest", "a bit of the tag", flip(raw, -1))
	bytes("cut", "manifest", "last byte missing", raw[:len(raw)-1])
	bytes("trailing-byte", "manifest", "a byte after the box", append(slices.Clone(raw), 0))
	sealed := func(name, comment string, change func(*man)) {
		m := man1()
		change(&m)
		bytes(name, "manifest", comment, m.bytes())
	}
	sealed("other-dek", "sealed under another DEK", func(m *man) { m.dek = seq(1, 32) })
	sealed("other-object-id", "manifest of another object", func(m *man) { m.id = string(seq(0xc1, 16)) })
	sealed("other-realm", "manifest of another realm", func(m *man) { m.realm = "default2" })
	sealed("other-bucket", "manifest of another bucket", func(m *man) { m.bucket = "bkt2" })
	sealed("other-key", "manifest of another key", func(m *man) { m.key = "dir/obj.bin2" })
	sealed("other-level", "sealed at level none, read at level key", func(m *man) { m.level = 0x20 })
}

func (c *corpus) badTables() {
	bad := func(name, class, comment, plain string) {
		m := man1()
		m.plain = plain
		c.add("manifest", name, class, comment, m.bytes(), m.fields()...)
	}
	bad("n-0", "manifest", "no parts", table(0, 0, run(1, 0, 5)))
	bad("n-10001", "manifest", "10,001 parts", table(10001, 0, run(1, 10001, 0)))
	bad("n-large", "manifest", "N larger than the counts", table(2, 5, run(1, 1, 5)))
	bad("n-small", "manifest", "N smaller than the counts", table(1, 10, run(1, 2, 5)))
	bad("total", "manifest", "total is not the sum", table(1, 6, run(1, 1, 5)))
	bad("total-wraps", "manifest", "total is the sum minus 2^64", table(1, -5, run(1, 1, 5)))
	bad("runs-none", "manifest", "no run", be32(1)+be64(5)+be16(0)+run(1, 1, 5))
	bad("runs-cut", "manifest", "more runs than bytes", be32(1)+be64(5)+be16(2)+run(1, 1, 5))
	bad("count-0", "manifest", "a run of nothing", table(1, 5, run(1, 1, 5), run(3, 0, 5)))
	bad("part-0", "manifest", "part number 0", table(1, 5, run(0, 1, 5)))
	bad("part-10001", "manifest", "part number 10,001", table(1, 5, run(10001, 1, 5)))
	bad("run-beyond-10000", "manifest", "a run ends at 10,001", table(2, 10, run(10000, 2, 5)))
	bad("runs-descend", "manifest", "runs descend", table(2, 11, run(2, 1, 5), run(1, 1, 6)))
	bad("runs-overlap", "manifest", "runs overlap", table(3, 16, run(1, 2, 5), run(2, 1, 6)))
	bad("runs-split", "manifest", "runs that could be one", table(2, 10, run(1, 1, 5), run(2, 1, 5)))
	bad("part-above-5-gib", "malformed", "a part longer than the limit", table(1, 5<<30+1, run(1, 1, 5<<30+1)))
	attr := func(name, class, comment, tlvs string) { bad("attr-"+name, class, comment, man1().plain+tlvs) }
	attr("type-0f", "unsupported", "unknown attribute", mtlv(0x0f, ""))
	attr("type-16", "unsupported", "unknown attribute", mtlv(0x16, ""))
	attr("type-7f", "unsupported", "unknown attribute", mtlv(0x7f, ""))
	attr("cut-length", "manifest", "ends inside a length", "\x80\x00\x00\x00")
	attr("cut-value", "manifest", "ends inside a value", "\x80\x00\x00\x00\x02x")
	attr("beyond-the-end", "manifest", "a length beyond the manifest", "\x80\xff\xff\xff\xff")
	attr("out-of-order", "manifest", "types descend", mtlv(0x81, "")+mtlv(0x80, ""))
	attr("known-out-of-order", "manifest", "14 before 10", mtlv(0x14, be64(1))+mtlv(0x10, string(seq(0, 64))))
	attr("known-doubled", "manifest", "14 twice", mtlv(0x14, be64(1))+mtlv(0x14, be64(1)))
	attr("doubled", "manifest", "a type twice", mtlv(0x80, "")+mtlv(0x80, ""))
	attr("part-md5-short", "manifest", "digests of three parts", mtlv(0x10, string(seq(0, 48))))
	attr("part-md5-empty", "manifest", "no digests", mtlv(0x10, ""))
	attr("part-r-long", "manifest", "R of five parts", mtlv(0x11, string(seq(0, 60))))
	attr("checksum-type", "manifest", "checksum type 2", mtlv(0x12, "\x01\x02abcd"))
	attr("checksum-algorithm", "manifest", "unknown algorithm", mtlv(0x12, "\x06\x00abcd"))
	attr("checksum-length", "manifest", "CRC32 of five bytes", mtlv(0x12, "\x01\x00abcde"))
	attr("checksum-empty", "manifest", "no checksum", mtlv(0x12, ""))
	attr("part-checksums-short", "manifest", "checksums of three parts", mtlv(0x13, "\x01"+string(seq(0, 12))))
	attr("part-checksums-algorithm", "manifest", "unknown algorithm", mtlv(0x13, "\x06"+string(seq(0, 16))))
	attr("part-checksums-empty", "manifest", "no algorithm", mtlv(0x13, ""))
	attr("repaired-short", "manifest", "time of seven bytes", mtlv(0x14, "1234567"))
	attr("provisional-value", "manifest", "attribute 15 with a value", mtlv(0x15, "x"))
	attr("provisional-with-r", "manifest", "attributes 11 and 15", mtlv(0x11, string(seq(0, 48)))+mtlv(0x15, ""))
}
