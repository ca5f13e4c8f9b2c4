package stream_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"s3veil/crypto/size"
	"s3veil/crypto/stream"
)

// DATAPATH S8: every index and both sides of every boundary.
func TestRangesOfOneStream(t *testing.T) {
	for suiteName, suite := range suites {
		const n = 3*pkg + 100
		plain := plaintext(n)
		stored := seal(t, suite, 0, plain, testR, 16)
		var edges []int64
		for _, b := range []int64{0, pkg, 2 * pkg, 3 * pkg, n - 1} {
			for d := int64(-1); d <= 1; d++ {
				if x := b + d; x >= 0 && x < n {
					edges = append(edges, x)
				}
			}
		}
		table := size.Single(n)
		for _, a := range edges {
			for _, b := range edges {
				if b < a {
					continue
				}
				checkRange(t, suiteName, suite, table, plain, stored, a, b)
			}
		}
	}
}

// checkRange reads a..b through the reader and through openers, and compares with slicing.
func checkRange(t *testing.T, name string, suite stream.Suite, table *size.Table, plain, stored []byte, a, b int64) {
	t.Helper()
	from, to, segs, err := table.Range(a, b)
	if err != nil {
		t.Fatal(err)
	}
	want, cut := plain[a:b+1], stored[from:to+1]
	for _, buf := range []int{777, 1 << 20} {
		got, err := readSizes(stream.DecryptReader(bytes.NewReader(cut), suite, testDEK(), segs, true), buf)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s, %d–%d: reader: %d bytes, %v", name, a, b, len(got), err)
		}
	}
	var got []byte
	for _, s := range segs {
		part, err := open(suite, s, cut[:s.Stored()], 2)
		if err != nil {
			t.Fatalf("%s, %d–%d: opener: %v", name, a, b, err)
		}
		got = append(got, part[s.Skip:s.Skip+s.Take]...)
		cut = cut[s.Stored():]
	}
	if len(cut) != 0 || !bytes.Equal(got, want) {
		t.Fatalf("%s, %d–%d: opener: %d bytes", name, a, b, len(got))
	}
}

// multipart returns an object of parts with these sizes, each with its own R.
func multipart(t testing.TB, suite stream.Suite, sizes []int) (table *size.Table, plain, stored []byte) {
	var parts []size.Part
	for i, n := range sizes {
		p := plaintext(n)
		number := 2*i + 1
		parts = append(parts, size.Part{Number: number, Size: int64(n)})
		plain = append(plain, p...)
		stored = append(stored, seal(t, suite, number, p, stream.R{byte(i), 7}, 16)...)
	}
	table, err := size.NewTable(parts)
	if err != nil {
		t.Fatal(err)
	}
	return table, plain, stored
}

// DATAPATH S10: parts of 1, 65,536 and 65,537 bytes, and empty ones.
func TestRangesAcrossParts(t *testing.T) {
	table, plain, stored := multipart(t, stream.AES256GCM, []int{1, 0, pkg, pkg + 1, 0, 2*pkg + 9, 1, 0})
	n := int64(len(plain))
	edges := []int64{0, 1, 2, pkg, pkg + 1, 2 * pkg, 2*pkg + 1, 2*pkg + 2, 4 * pkg, n - 2, n - 1}
	for _, a := range edges {
		for _, b := range edges {
			if a <= b {
				checkRange(t, "parts", stream.AES256GCM, table, plain, stored, a, b)
			}
		}
	}
}

func TestPartsDoNotChangePlaces(t *testing.T) {
	table, plain, stored := multipart(t, stream.AES256GCM, []int{1000, 1000, 1000})
	e := int(size.Enc(1000))
	_, _, segs, err := table.Range(0, int64(len(plain))-1)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"swapped":  join(stored[e:2*e], stored[:e], stored[2*e:]),
		"repeated": join(stored[:e], stored[:e], stored[2*e:]),
		"dropped":  join(stored[:e], stored[2*e:]),
		"appended": join(stored, stored[2*e:]),
		"cut":      stored[:2*e],
	} {
		got, err := io.ReadAll(stream.DecryptReader(bytes.NewReader(b), stream.AES256GCM, testDEK(), segs, true))
		if !errors.Is(err, stream.ErrStream) || !bytes.HasPrefix(plain, got) || len(got) >= len(plain) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

func TestReaderLeavesWhatFollowsWhenNotLast(t *testing.T) {
	stored := seal(t, stream.AES256GCM, 0, []byte("hello"), testR, 1)
	src := bytes.NewReader(append(bytes.Clone(stored), "next"...))
	got, err := io.ReadAll(stream.DecryptReader(src, stream.AES256GCM, testDEK(), []size.Segment{whole(0, 5)}, false))
	rest, _ := io.ReadAll(src)
	if err != nil || string(got) != "hello" || string(rest) != "next" {
		t.Errorf("%q, %v, rest %q", got, err, rest)
	}
}

func TestReaderRefusesInconsistentSegments(t *testing.T) {
	const n = 2*pkg + 10
	stored := seal(t, stream.AES256GCM, 0, plaintext(n), testR, 16)
	for name, s := range map[string]size.Segment{
		"takes nothing":         {Plain: n, Count: 1},
		"takes too much":        {Plain: n, Count: 3, Take: n + 1},
		"takes beyond packages": {Plain: n, Count: 1, Take: pkg + 1},
		"skips a package":       {Plain: n, Count: 2, Skip: pkg, Take: 1},
		"skips backwards":       {Plain: n, Count: 1, Skip: -1, Take: 1},
		"leaves a package":      {Plain: n, Count: 2, Take: pkg},
		"overflows":             {Plain: n, Count: 1, Skip: 1, Take: 1<<63 - 1},
		"suite":                 {Part: -1, Plain: n, Count: 1, Take: 1},
	} {
		got, err := io.ReadAll(stream.DecryptReader(bytes.NewReader(stored), stream.AES256GCM, testDEK(), []size.Segment{s}, true))
		if !errors.Is(err, stream.ErrStream) || len(got) != 0 {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}
