package stream_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"s3veil/crypto/kms"
	"s3veil/crypto/size"
	"s3veil/crypto/stream"
)

const (
	pkg = size.Package
	enc = size.Cipher
)

var suites = map[string]stream.Suite{
	"AES-256-GCM":       stream.AES256GCM,
	"ChaCha20-Poly1305": stream.ChaCha20Poly1305,
}

// testDEK is 00..1f and testR 10..1b, as in FORMAT.md 14.2.
func testDEK() *kms.Key32 {
	var k kms.Key32
	for i := range k {
		k[i] = byte(i)
	}
	return &k
}

var testR = stream.R(unhex("101112131415161718191a1b"))

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// plaintext returns n bytes that differ from package to package.
func plaintext(n int) []byte {
	b := make([]byte, n)
	src := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)})
	_, _ = src.Read(b)
	return b
}

// seal returns the stored form of plain, sealed n packages at a time.
func seal(t testing.TB, suite stream.Suite, part int, plain []byte, r stream.R, n int) []byte {
	t.Helper()
	s, err := stream.NewSealerWithR(suite, testDEK(), part, int64(len(plain)), r)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var out []byte
	for len(plain) > 0 {
		m := min(n*pkg, len(plain))
		out = s.Seal(out, plain[:m])
		plain = plain[m:]
	}
	if !s.Done() {
		t.Fatal("not done")
	}
	return out
}

// whole is the segment of a full read of a stream of plain bytes.
func whole(part int, plain int64) size.Segment {
	return size.Segment{Part: part, Plain: plain, Count: size.Packages(plain), Take: plain}
}

// open runs all of stored through an Opener, n packages at a time, as the proxy does.
func open(suite stream.Suite, seg size.Segment, stored []byte, n int) (plain []byte, err error) {
	o := stream.NewOpener(suite, testDEK(), seg)
	defer o.Close()
	for len(stored) > 0 {
		m := min(n*enc, len(stored))
		if left := int(o.Left()); left > 0 && left < m {
			m = left
		}
		if plain, err = o.Open(plain, stored[:m]); err != nil {
			if _, again := o.Open(nil, stored[:m]); again != err {
				return plain, errors.New("error is not sticky")
			}
			return plain, err
		}
		stored = stored[m:]
	}
	return plain, o.Finish()
}

// entries are the ways to read the stored bytes of one segment.
var entries = map[string]func(stream.Suite, size.Segment, []byte) ([]byte, error){
	"opener, one batch":   func(s stream.Suite, g size.Segment, b []byte) ([]byte, error) { return open(s, g, b, 1<<20) },
	"opener, one package": func(s stream.Suite, g size.Segment, b []byte) ([]byte, error) { return open(s, g, b, 1) },
	"reader": func(s stream.Suite, g size.Segment, b []byte) ([]byte, error) {
		g.Take = min((g.First+g.Count)*pkg, g.Plain) - g.First*pkg
		var segs []size.Segment
		if g != (size.Segment{Part: g.Part}) { // empty streams have no segment
			segs = []size.Segment{g}
		}
		return io.ReadAll(stream.DecryptReader(bytes.NewReader(b), s, testDEK(), segs, true))
	},
}

// refused asserts that every entry point refuses stored with ErrStream, and releases nothing but bytes of honest.
func refused(t *testing.T, suite stream.Suite, seg size.Segment, stored, honest []byte) {
	t.Helper()
	for name, entry := range entries {
		got, err := entry(suite, seg, stored)
		if !errors.Is(err, stream.ErrStream) {
			t.Errorf("%s: error %v, want ErrStream", name, err)
		}
		if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v may pass for a clean end", name, err)
		}
		if !bytes.HasPrefix(honest, got) {
			t.Errorf("%s: released %d bytes that are not the plaintext", name, len(got))
		}
	}
}

// setR writes r into a package header and sets the final bit as told.
func setR(p []byte, r stream.R, final bool) {
	copy(p[4:16], r[:])
	p[4] &= 0x7f
	if final {
		p[4] |= 0x80
	}
}

// shifted returns r with its nonce counter XORed by d: package i moved to i XOR d keeps its nonce under it.
func shifted(r stream.R, d int) stream.R {
	binary.LittleEndian.PutUint32(r[8:], binary.LittleEndian.Uint32(r[8:])^uint32(d))
	return r
}

// split cuts a stored stream into its packages.
func split(stored []byte) (packages [][]byte) {
	for len(stored) > 0 {
		m := min(enc, len(stored))
		packages, stored = append(packages, stored[:m:m]), stored[m:]
	}
	return packages
}

func join(packages ...[]byte) []byte { return bytes.Join(packages, nil) }
