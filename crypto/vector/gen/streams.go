package main

import (
	"crypto/cipher"
	"encoding/binary"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"

	"s3veil/crypto/vector"
)

const packageSize = 65536

// stream is the input of one DARE stream (FORMAT.md 7).
type stream struct {
	suite int
	dek   []byte
	part  int
	r     []byte
	plain []byte
}

// hello is STREAM-1.
func hello() stream {
	return stream{suite: 1, dek: seq(0, 32), r: seq(0x10, 12), plain: []byte("hello")}
}

// key is K_stream of FORMAT.md 7.3.
func (s stream) key() []byte {
	return hkdf(s.dek, s.r, "s3veil/1/stream\x00"+be32(s.part))
}

func (s stream) aead() cipher.AEAD {
	if s.suite == 1 {
		return gcm(s.key())
	}
	aead, err := chacha20poly1305.New(s.key())
	if err != nil {
		panic(err)
	}
	return aead
}

// packages seals the stream.
func (s stream) packages() [][]byte {
	var out [][]byte
	for i := 0; i*packageSize < len(s.plain); i++ {
		end := min(len(s.plain), (i+1)*packageSize)
		out = append(out, s.seal(i, s.plain[i*packageSize:end], end == len(s.plain)))
	}
	return out
}

// seal makes one package.
func (s stream) seal(i int, plain []byte, final bool) []byte {
	header := []byte{0x20, byte(s.suite - 1)}
	header = binary.LittleEndian.AppendUint16(header, uint16(len(plain)-1))
	header = append(header, s.r...)
	if final {
		header[4] |= 0x80
	}
	nonce := slices.Clone(header[4:])
	binary.LittleEndian.PutUint32(nonce[8:], binary.LittleEndian.Uint32(nonce[8:])^uint32(i))
	return s.aead().Seal(header, nonce, plain, header[:4])
}

func (s stream) bytes() []byte { return slices.Concat(s.packages()...) }

// fields are the inputs of a stream vector; plain is the length that the reader expects.
func (s stream) fields(plain int) []vector.Field {
	return []vector.Field{num("suite", s.suite), hexa("dek", s.dek), num("part", s.part), num("plain-length", plain)}
}

// streams adds the vectors of FORMAT.md 7.
func (c *corpus) streams() {
	good := func(name, comment string, s stream) {
		f := append(s.fields(len(s.plain)), hexa("stream-key", s.key()), hexa("stream-sha256", sum(s.bytes())), hexa("plaintext-sha256", sum(s.plain)))
		c.add("stream", name, success, comment, s.bytes(), f...)
	}
	one := hello()
	good("stream-1", "known answer STREAM-1", one)
	two := hello()
	two.part, two.plain = 7, make([]byte, packageSize+1)
	good("stream-2", "known answer STREAM-2", two)
	full := hello()
	full.plain = pattern(packageSize, "full")
	good("one-full-package", "the largest package is the last one", full)
	chacha := hello()
	chacha.suite = 2
	good("suite-2", "ChaCha20-Poly1305", chacha)
	last := hello()
	last.part = 10000
	good("part-10000", "the highest part number", last)
	c.add("stream", "empty", success, "no bytes: no package, no R", nil,
		append(hello().fields(0), hexa("plaintext-sha256", sum(nil)))...)
	wide := hello()
	wide.r = append(seq(0x70, 8), 0xff, 0xff, 0xff, 0xff)
	wide.suite, wide.plain = 2, pattern(packageSize+100, "wide")
	good("suite-2-two-packages", "the index enters the nonce by XOR, not by addition", wide)

	c.brokenPackages()
	c.brokenSequences()
}

// brokenPackages adds streams of one package.
func (c *corpus) brokenPackages() {
	s := hello()
	good := s.bytes()
	bad := func(name, comment string, raw []byte) {
		c.add("stream", name, "stream", comment, raw, append(s.fields(len(s.plain)), text("bad-packages", "0"))...)
	}
	set := func(i int, v byte) []byte { b := slices.Clone(good); b[i] = v; return b }
	bad("version-10", "DARE 1.0", set(0, 0x10))
	bad("version-21", "unknown version", set(0, 0x21))
	bad("cipher-of-suite-2", "cipher byte of the other suite", set(1, 1))
	bad("cipher-unknown", "unknown cipher byte", set(1, 2))
	bad("payload-length-short", "payload length one too small", set(2, 3))
	bad("payload-length-long", "payload length one too large", set(2, 5))
	bad("payload-length-high", "payload length of a full package", slices.Concat(good[:2], []byte{0xff, 0xff}, good[4:]))
	bad("final-clear", "final marker cleared", set(4, good[4]&0x7f))
	bad("r-changed", "R changed selects another key", flip(good, 15))
	bad("r-first-byte-changed", "R changed beside the final marker", flip(good, 4))
	bad("ciphertext-changed", "a ciphertext bit", flip(good, 16))
	bad("tag-changed", "a tag bit", flip(good, -1))
	bad("cut-in-tag", "last byte missing", good[:len(good)-1])
	bad("cut-in-payload", "ends inside the payload", good[:18])
	bad("cut-in-header", "ends inside the header", good[:15])
	bad("cut-after-header", "only the header", good[:16])
	bad("nothing", "no bytes for a plaintext of five", nil)
	open := stream{suite: s.suite, dek: s.dek, r: s.r, plain: s.plain}
	bad("sealed-without-final", "sealed as if more followed", open.seal(0, s.plain, false))
	bad("sealed-as-index-1", "sealed for position 1", open.seal(1, s.plain, true))
	other := hello()
	other.part = 1
	bad("other-part", "sealed as part 1, read as part 0", other.bytes())
	other = hello()
	other.dek = seq(1, 32)
	bad("other-dek", "sealed under another DEK", other.bytes())
	// These fail at the end only: the package itself is good, and a ranged read that stops before the end accepts it.
	end := func(name, comment string, plain int, raw []byte) {
		c.add("stream", name, "stream", comment, raw, append(s.fields(plain), text("bad-packages", "none"))...)
	}
	end("trailing-byte", "one byte after the final package", 5, append(slices.Clone(good), 0))
	end("second-stream", "a second valid stream appended", 5, append(slices.Clone(good), good...))
	end("bytes-of-an-empty-stream", "an empty stream has no bytes", 0, good)
}

// brokenSequences adds streams of more packages.
func (c *corpus) brokenSequences() {
	s := hello()
	s.plain = pattern(packageSize+40, "two")
	two := s.packages()
	long := hello()
	long.plain = pattern(2*packageSize+40, "three")
	three := long.packages()
	bad := func(name, comment string, s stream, broken string, packages ...[]byte) {
		c.add("stream", name, "stream", comment, slices.Concat(packages...), append(s.fields(len(s.plain)), text("bad-packages", broken))...)
	}
	bad("swapped", "packages 0 and 1 exchanged", long, "0 1", three[1], three[0], three[2])
	bad("repeated", "package 0 in place of package 1", long, "1", three[0], three[0], three[2])
	bad("first-dropped", "package 0 missing", s, "0 1", two[1])
	bad("last-dropped", "final package missing", s, "1", two[0])
	bad("middle-dropped", "package 1 of 3 missing, sealed length kept", long, "1 2", three[0], three[2])
	early := s.seal(0, s.plain[:packageSize], true)
	bad("final-early", "package 0 sealed as the final one", s, "0", early, two[1])
	bad("final-bit-early", "final marker set in the header of package 0", s, "0", slices.Concat(two[0][:4], []byte{two[0][4] | 0x80}, two[0][5:]), two[1])
	short := s.seal(0, s.plain[:100], false)
	bad("short-in-the-middle", "a short package that is not the last", s, "0 1", short, s.seal(1, s.plain[100:140], true))
	other := s
	other.r = seq(0x20, 12)
	bad("other-r-in-package-1", "package 1 of another upload of the same part; alone it opens (residual 1 of 9.5)", s, "none", two[0], other.packages()[1])
	// Packages moved with R changed so that their nonce stays: at the front only the key derivation notices, behind it
	// only the comparison of headers.
	move := func(b []byte, from, to int) []byte {
		b = slices.Clone(b)
		b[12] ^= byte(from ^ to)
		return b
	}
	bad("moved-to-the-front-with-its-nonce", "package 1 at position 0, R changed so that the nonce is unchanged", s, "0", move(three[1], 1, 0), two[1])
	bad("repeated-with-its-nonce", "package 0 at position 1, R changed so that the nonce is unchanged", long, "1", three[0], move(three[0], 0, 1), three[2])
}
