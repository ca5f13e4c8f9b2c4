package stream_test

import (
	"bytes"
	"errors"
	"testing"

	"s3veil/crypto/kms"
	"s3veil/crypto/size"
	"s3veil/crypto/stream"
)

func TestOpenReturnsWhatWasSealed(t *testing.T) {
	for name, suite := range suites {
		for _, n := range []int{1, 65535, 65536, 65537, 2 * pkg, 3*pkg + 7, 17*pkg + 1} {
			plain := plaintext(n)
			stored := seal(t, suite, 9, plain, testR, 16)
			for entryName, entry := range entries {
				got, err := entry(suite, whole(9, int64(n)), stored)
				if err != nil || !bytes.Equal(got, plain) {
					t.Errorf("%s, %s: %d of %d bytes, %v", name, entryName, len(got), n, err)
				}
			}
		}
	}
}

func TestEveryRunOfPackagesOpensAlone(t *testing.T) {
	for name, suite := range suites {
		plain := plaintext(4*pkg + 100)
		packages := split(seal(t, suite, 2, plain, testR, 16))
		for first := range packages {
			for count := 1; first+count <= len(packages); count++ {
				seg := size.Segment{Part: 2, Plain: int64(len(plain)), First: int64(first), Count: int64(count)}
				want := plain[first*pkg : min((first+count)*pkg, len(plain))]
				for entryName, entry := range entries {
					got, err := entry(suite, seg, join(packages[first:first+count]...))
					if err != nil || !bytes.Equal(got, want) {
						t.Errorf("%s, %s, packages %d + %d: %v", name, entryName, first, count, err)
					}
				}
			}
		}
	}
}

func TestOpenerTellsRAndDropsItsKeys(t *testing.T) {
	plain := plaintext(pkg + 1)
	stored := seal(t, stream.AES256GCM, 0, plain, testR, 16)
	o := stream.NewOpener(stream.AES256GCM, testDEK(), whole(0, pkg+1))
	if _, ok := o.R(); ok {
		t.Error("R known before a package was opened")
	}
	if _, err := o.Open(nil, stored[:enc]); err != nil {
		t.Fatal(err)
	}
	if r, ok := o.R(); !ok || r != testR {
		t.Errorf("R %x, %v", r, ok)
	}
	if dek, _ := o.Keys(); dek != (kms.Key32{}) {
		t.Error("data key kept after the stream key was derived")
	}
	o.Close()
	if _, cipher := o.Keys(); cipher {
		t.Error("cipher kept after Close")
	}
	if _, err := o.Open(nil, stored[enc:]); !errors.Is(err, stream.ErrStream) {
		t.Errorf("opening after Close: %v", err)
	}

	unused := stream.NewOpener(stream.AES256GCM, testDEK(), whole(0, 1))
	unused.Close()
	if dek, _ := unused.Keys(); dek != (kms.Key32{}) {
		t.Error("data key kept after Close")
	}
	failed := stream.NewOpener(stream.AES256GCM, testDEK(), whole(0, 1))
	if _, err := failed.Open(nil, make([]byte, 33)); err == nil {
		t.Fatal("opened zeros")
	}
	if dek, cipher := failed.Keys(); dek != (kms.Key32{}) || cipher {
		t.Error("keys kept after an error")
	}
}

func TestForgedFirstPackageDoesNotTellR(t *testing.T) {
	stored := seal(t, stream.AES256GCM, 0, []byte("hello"), testR, 1)
	stored[20] ^= 1
	o := stream.NewOpener(stream.AES256GCM, testDEK(), whole(0, 5))
	if _, err := o.Open(nil, stored); !errors.Is(err, stream.ErrStream) {
		t.Fatal(err)
	}
	if _, ok := o.R(); ok {
		t.Error("R of an unauthenticated package was told")
	}
}

func TestFailedBatchReleasesNothing(t *testing.T) {
	plain := plaintext(3 * pkg)
	stored := seal(t, stream.AES256GCM, 0, plain, testR, 16)
	stored[2*enc+100] ^= 1
	dst := make([]byte, 10, 10+3*pkg)
	got, err := stream.NewOpener(stream.AES256GCM, testDEK(), whole(0, 3*pkg)).Open(dst, stored)
	if err == nil || len(got) != 10 {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if behind := dst[10 : 10+3*pkg]; !bytes.Equal(behind, make([]byte, 3*pkg)) {
		t.Error("plaintext of a refused batch left in the buffer")
	}
}

func TestOpenerRefusesImpossibleParameters(t *testing.T) {
	stored := seal(t, stream.AES256GCM, 0, []byte("hello"), testR, 1)
	for name, o := range map[string]*stream.Opener{
		"suite 0":        stream.NewOpener(0, testDEK(), whole(0, 5)),
		"suite 3":        stream.NewOpener(3, testDEK(), whole(0, 5)),
		"zero data key":  stream.NewOpener(1, new(kms.Key32), whole(0, 5)),
		"part -1":        stream.NewOpener(1, testDEK(), whole(-1, 5)),
		"part 10001":     stream.NewOpener(1, testDEK(), whole(10001, 5)),
		"length -1":      stream.NewOpener(1, testDEK(), size.Segment{Plain: -1, Count: 1}),
		"first -1":       stream.NewOpener(1, testDEK(), size.Segment{Plain: 5, First: -1, Count: 1}),
		"first past end": stream.NewOpener(1, testDEK(), size.Segment{Plain: 5, First: 1, Count: 1}),
		"too many":       stream.NewOpener(1, testDEK(), size.Segment{Plain: 5, Count: 2}),
		"count overflow": stream.NewOpener(1, testDEK(), size.Segment{Plain: 5, Count: 1<<63 - 1}),
		"none":           stream.NewOpener(1, testDEK(), size.Segment{Plain: 5}),
	} {
		if got, err := o.Open(nil, stored); !errors.Is(err, stream.ErrStream) || len(got) != 0 || o.Done() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The stream group of FORMAT.md 14.3, except the forgeries of forge_test.go.
func TestChangedStreamsAreRefused(t *testing.T) {
	const last = 1000
	for suiteName, suite := range suites {
		plain := plaintext(2*pkg + last)
		n := int64(len(plain))
		p := split(seal(t, suite, 4, plain, testR, 16))
		other := split(seal(t, suite, 4, plain, stream.R{1, 2, 3}, 16))
		second := seal(t, suite, 4, []byte("second"), stream.R{9}, 1)
		change := func(i int, f func(p []byte)) []byte {
			q := [][]byte{bytes.Clone(p[0]), bytes.Clone(p[1]), bytes.Clone(p[2])}
			f(q[i])
			return join(q...)
		}
		v10 := func(i int) []byte { return change(i, func(p []byte) { p[0] = 0x10 }) }
		short := join(p[0], p[1][:16+100], p[1][enc-16:], p[2])
		shortHeader := bytes.Clone(short)
		shortHeader[enc+2], shortHeader[enc+3] = 99, 0
		allV10 := join(p...)
		for i := range 3 {
			allV10[i*enc] = 0x10
		}
		for name, stored := range map[string][]byte{
			"swapped front":             join(p[1], p[0], p[2]),
			"final moved forward":       join(p[0], p[2], p[1]),
			"rotated":                   join(p[2], p[0], p[1]),
			"first repeated":            join(p[0], p[0], p[1], p[2]),
			"middle repeated":           join(p[0], p[1], p[1], p[2]),
			"middle instead of first":   join(p[1], p[1], p[2]),
			"last repeated":             join(p[0], p[1], p[2], p[2]),
			"front dropped":             join(p[1], p[2]),
			"middle dropped":            join(p[0], p[2]),
			"end dropped":               join(p[0], p[1]),
			"all but last dropped":      p[2],
			"all dropped":               nil,
			"cut in the last package":   join(p[0], p[1], p[2][:last]),
			"cut in a middle package":   join(p[0], p[1][:1000]),
			"cut in the header":         join(p[0], p[1][:7]),
			"last byte cut":             join(p[0], p[1], p[2][:len(p[2])-1]),
			"final marker set early":    change(1, func(p []byte) { p[4] |= 0x80 }),
			"final marker set on first": change(0, func(p []byte) { p[4] |= 0x80 }),
			"final marker cleared":      change(2, func(p []byte) { p[4] &= 0x7f }),
			"final early and cut":       change(1, func(p []byte) { p[4] |= 0x80 })[:2*enc],
			"one byte appended":         join(p[0], p[1], p[2], []byte{0}),
			"a package appended":        join(p[0], p[1], p[2], make([]byte, enc)),
			"second stream appended":    join(p[0], p[1], p[2], second),
			"second stream in front":    join(second, p[0], p[1], p[2]),
			"package of other stream":   join(p[0], other[1], p[2]),
			"first of other stream":     join(other[0], p[1], p[2]),
			"last of other stream":      join(p[0], p[1], other[2]),
			"version 0x10 on first":     v10(0),
			"version 0x10 on middle":    v10(1),
			"version 0x10 on last":      v10(2),
			"version 0x10 on all":       allV10,
			"other cipher byte":         change(0, func(p []byte) { p[1] ^= 1 }),
			"other cipher byte, middle": change(1, func(p []byte) { p[1] ^= 1 }),
			"unknown cipher byte":       change(0, func(p []byte) { p[1] = 7 }),
			"short package in middle":   short,
			"short package with header": shortHeader,
			"length off by one":         change(2, func(p []byte) { p[2]++ }),
		} {
			t.Run(suiteName+"/"+name, func(t *testing.T) {
				refused(t, suite, whole(4, n), stored, plain)
			})
		}
		t.Run(suiteName+"/other part number", func(t *testing.T) {
			for _, part := range []int{0, 3, 5, 10000} {
				refused(t, suite, whole(part, n), join(p...), nil)
			}
		})
		t.Run(suiteName+"/other suite", func(t *testing.T) {
			refused(t, 3-suite, whole(4, n), join(p...), nil)
		})
		t.Run(suiteName+"/other length", func(t *testing.T) {
			for _, l := range []int64{1, pkg, 2 * pkg, n - 1, n + 1, 3 * pkg, 3*pkg + 1} {
				refused(t, suite, whole(4, l), join(p...), plain)
			}
		})
		t.Run(suiteName+"/empty stream with bytes", func(t *testing.T) {
			refused(t, suite, whole(4, 0), join(p...), nil)
			refused(t, suite, whole(4, 0), []byte{0}, nil)
		})
	}
}

// Every byte of a stream of three packages matters, whether the stream is read from its start or from the changed
// package on.
func TestEveryFlippedByteIsRefused(t *testing.T) {
	plain := plaintext(2*pkg + 500)
	n := int64(len(plain))
	stored := seal(t, stream.AES256GCM, 1, plain, testR, 16)
	dst := make([]byte, 0, pkg)
	full := stream.NewOpener(stream.AES256GCM, testDEK(), whole(1, n))
	for i, p := range split(stored) {
		ranged := size.Segment{Part: 1, Plain: n, First: int64(i), Count: 1}
		for j := range p {
			p[j] ^= byte(1 << (j % 8))
			// A copy of an opener that has opened the packages before this one.
			behind := *full
			if _, err := behind.Open(dst, p); !errors.Is(err, stream.ErrStream) {
				t.Fatalf("full read: package %d byte %d: %v", i, j, err)
			}
			// Package 0 was just opened alone; headers, tags and a sample of the ciphertext suffice for the key
			// derivation from a later header, which is all that differs.
			if i > 0 && (j < 1000 || j >= len(p)-1000 || j%16 == 0) {
				if _, err := stream.NewOpener(stream.AES256GCM, testDEK(), ranged).Open(dst, p); !errors.Is(err, stream.ErrStream) {
					t.Fatalf("ranged read: package %d byte %d: %v", i, j, err)
				}
			}
			p[j] ^= byte(1 << (j % 8))
		}
		if _, err := full.Open(dst, p); err != nil {
			t.Fatalf("package %d: %v", i, err)
		}
	}
	if !full.Done() {
		t.Error("not done")
	}
}

func TestEveryFlippedBitOfHeadersIsRefusedByTheReader(t *testing.T) {
	plain := plaintext(2*pkg + 500)
	stored := seal(t, stream.AES256GCM, 1, plain, testR, 16)
	for i, p := range split(stored) {
		for bit := range 16 * 8 {
			p[bit/8] ^= 1 << (bit % 8)
			if _, err := entries["reader"](stream.AES256GCM, whole(1, int64(len(plain))), stored); !errors.Is(err, stream.ErrStream) {
				t.Fatalf("package %d bit %d: %v", i, bit, err)
			}
			p[bit/8] ^= 1 << (bit % 8)
		}
	}
}
