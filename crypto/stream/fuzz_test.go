package stream_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"s3veil/crypto/size"
	"s3veil/crypto/stream"
)

// FuzzOpenArbitrary gives arbitrary bytes to every entry point: nothing panics, nothing is released but what was sealed,
// and every refusal is ErrStream.
func FuzzOpenArbitrary(f *testing.F) {
	valid := seal(f, stream.AES256GCM, 0, []byte("hello"), testR, 1)
	f.Add(valid, int64(5), int64(0), int64(1), byte(1), 0)
	f.Add(valid[:20], int64(5), int64(0), int64(1), byte(2), 3)
	f.Add([]byte{}, int64(0), int64(0), int64(0), byte(1), 0)
	f.Fuzz(func(t *testing.T, stored []byte, plain, first, count int64, suite byte, part int) {
		seg := size.Segment{Part: part, Plain: plain, First: first, Count: count}
		for name, entry := range entries {
			got, err := entry(stream.Suite(suite), seg, stored)
			switch {
			case err == nil && len(got) == 0 && plain == 0:
			case err == nil && string(got) == "hello" && bytes.Equal(stored, valid):
			case !errors.Is(err, stream.ErrStream) || len(got) != 0 && !bytes.HasPrefix(stored, valid):
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
		}
	})
}

// FuzzFramings compares own framing and engine, byte for byte and in both directions, for any plaintext, R, part and
// delivery.
func FuzzFramings(f *testing.F) {
	f.Add([]byte("hello"), uint32(0), testR[:], uint16(0), uint16(1), false)
	f.Add([]byte{1, 2, 3}, uint32(65537), []byte{0xff}, uint16(10000), uint16(65535), true)
	f.Fuzz(func(t *testing.T, unit []byte, length uint32, random []byte, part, chunk uint16, chacha bool) {
		plain := repeat(unit, int(length%(3*pkg+3)))
		var r stream.R
		copy(r[:], random)
		r[0] &= 0x7f
		suite := stream.AES256GCM
		if chacha {
			suite = stream.ChaCha20Poly1305
		}
		number := int(part) % (size.MaxParts + 1)
		own := seal(t, suite, number, plain, r, 1+int(chunk)%16)
		engine, err := stream.EncryptReaderWithR(chunked(plain, int(chunk)), suite, testDEK(), number, int64(len(plain)), r)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := readSizes(engine, 1+int(chunk)*3)
		if err != nil || !bytes.Equal(own, stored) {
			t.Fatalf("engine wrote %d bytes, own framing %d: %v", len(stored), len(own), err)
		}
		for name, entry := range entries {
			if got, err := entry(suite, whole(number, int64(len(plain))), stored); err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("%s: %d bytes, %v", name, len(got), err)
			}
		}
	})
}

// FuzzRanges compares arbitrary ranges of arbitrary part lists, arbitrarily delivered, with slicing the plaintext.
func FuzzRanges(f *testing.F) {
	f.Add([]byte{1, 0, 255}, uint32(0), uint32(10), uint16(100))
	f.Add([]byte{128, 129, 0, 0, 3}, uint32(65535), uint32(70000), uint16(65535))
	f.Fuzz(func(t *testing.T, layout []byte, start, length uint32, chunk uint16) {
		if len(layout) > 5 {
			layout = layout[:5]
		}
		var sizes []int
		for _, b := range layout { // 0–63 bytes around 0, 1 or 2 packages
			sizes = append(sizes, max(0, int(b>>6)%3*pkg+int(b&0x3f)-32))
		}
		if len(sizes) == 0 {
			return
		}
		table, plain, stored := multipart(t, stream.AES256GCM, sizes)
		if len(plain) == 0 {
			return
		}
		a := int64(start) % table.Plain()
		b := a + int64(length)%(table.Plain()-a)
		checkRange(t, "fuzz", stream.AES256GCM, table, plain, stored, a, b)
		from, to, segs, err := table.Range(a, b)
		if err != nil {
			t.Fatal(err)
		}
		src := chunked(stored[from:to+1], int(chunk))
		got, err := readSizes(stream.DecryptReader(src, stream.AES256GCM, testDEK(), segs, true), 1+int(chunk))
		if err != nil || !bytes.Equal(got, plain[a:b+1]) {
			t.Fatalf("%d–%d in chunks of %d: %d bytes, %v", a, b, chunk, len(got), err)
		}
	})
}

// FuzzChangedStream changes a stream of three packages at one place, or cuts or extends it: only the very same bytes
// open.
func FuzzChangedStream(f *testing.F) {
	plain := plaintext(2*pkg + 77)
	honest := seal(f, stream.AES256GCM, 5, plain, testR, 16)
	f.Add(uint32(0), []byte{0x20}, uint32(0))
	f.Add(uint32(enc+4), []byte{0x90}, uint32(0))
	f.Add(uint32(2*enc), []byte{}, uint32(109))
	f.Fuzz(func(t *testing.T, at uint32, patch []byte, cut uint32) {
		stored := bytes.Clone(honest)
		pos := int(at) % (len(stored) + 1)
		stored = append(stored[:pos:pos], append(patch, stored[min(pos+len(patch), len(stored)):]...)...)
		stored = stored[:len(stored)-int(cut)%(len(stored)+1)]
		if bytes.Equal(stored, honest) {
			return
		}
		refused(t, stream.AES256GCM, whole(5, int64(len(plain))), stored, plain)
	})
}

// repeat returns n bytes made of unit.
func repeat(unit []byte, n int) []byte {
	if len(unit) == 0 {
		unit = []byte{0}
	}
	return bytes.Repeat(unit, n/len(unit)+1)[:n]
}

// chunked delivers at most n bytes per Read.
func chunked(b []byte, n int) io.Reader { return &chunkReader{bytes.NewReader(b), max(n, 1)} }

type chunkReader struct {
	r io.Reader
	n int
}

func (c *chunkReader) Read(p []byte) (int, error) { return c.r.Read(p[:min(len(p), c.n)]) }
