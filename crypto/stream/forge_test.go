package stream_test

import (
	"bytes"
	"testing"

	"s3veil/crypto/size"
	"s3veil/crypto/stream"
)

// forger assembles streams from the packages of one honest stream, with another R in all headers, and counts them. The
// length that the reader expects always fits the forgery: positions must hold by the key alone (FORMAT.md 7.3, C.2).
type forger struct {
	t      *testing.T
	honest [][]byte // full packages
	tried  int
}

// try presents the chosen packages, from stream position first of a stream of n packages, under r.
func (f *forger) try(choice []int, first, n int, r stream.R) {
	f.t.Helper()
	honest := r == testR && n == len(f.honest)
	for i, c := range choice {
		honest = honest && c == first+i
	}
	if honest {
		return
	}
	// Final markers as the reader expects them, and as they were.
	for _, rewrite := range []bool{true, false} {
		forged := make([]byte, 0, len(choice)*enc)
		for i, c := range choice {
			p := bytes.Clone(f.honest[c])
			final := p[4]&0x80 != 0
			if rewrite {
				final = first+i == n-1
			}
			setR(p, r, final)
			forged = append(forged, p...)
		}
		f.tried++
		seg := size.Segment{Part: 4, Plain: int64(n) * pkg, First: int64(first), Count: int64(len(choice))}
		got, err := open(stream.AES256GCM, seg, forged, 1)
		// Packages at their own place of the true stream may come out first; what was moved may not.
		right := 0
		for right < len(choice) && r == testR && choice[right] == first+right {
			right++
		}
		if err == nil || len(got) > right*pkg {
			f.t.Fatalf("forgery accepted: packages %v at %d of %d, R %x, %d bytes, %v", choice, first, n, r, len(got), err)
		}
	}
}

// randomValues returns the R of the stream, every R that keeps the nonce of some moved package, and unrelated ones.
func randomValues(choice []int, first int) []stream.R {
	seen := map[stream.R]bool{}
	var out []stream.R
	add := func(r stream.R) {
		if !seen[r] {
			seen[r] = true
			out = append(out, r)
		}
	}
	add(testR)
	for i, c := range choice {
		add(shifted(testR, c^(first+i)))
	}
	add(stream.R{})
	add(stream.R{0x55, 1, 2, 3})
	return out
}

func (f *forger) tryAll(choice []int, first, n int) {
	for _, r := range randomValues(choice, first) {
		f.try(choice, first, n, r)
	}
}

func honestPackages(t *testing.T, n int) [][]byte {
	return split(seal(t, stream.AES256GCM, 4, plaintext(n*pkg), testR, 16))
}

// ordered calls f for every ordered choice, without repetition, of 1 to n of n packages.
func ordered(n int, f func(choice []int)) {
	var choice []int
	used := make([]bool, n)
	var extend func()
	extend = func() {
		if len(choice) > 0 {
			f(choice)
		}
		for i := range n {
			if !used[i] {
				used[i], choice = true, append(choice, i)
				extend()
				used[i], choice = false, choice[:len(choice)-1]
			}
		}
	}
	extend()
}

func TestReplacedRandomValueDoesNotMovePackages(t *testing.T) {
	f := &forger{t: t}
	for n := 1; n <= 4; n++ { // every ordered choice
		f.honest = honestPackages(t, n)
		ordered(n, func(choice []int) { f.tryAll(choice, 0, len(choice)) })
	}
	for n := 5; n <= 16; n++ { // every run, and every pair
		f.honest = honestPackages(t, n)
		for from := range n {
			for to := from + 1; to <= n; to++ {
				run := make([]int, 0, n)
				for i := from; i < to; i++ {
					run = append(run, i)
				}
				if len(run) > 2 { // under R itself a long run opens up to its first moved package
					f.try(run, 0, len(run), shifted(testR, from))
					continue
				}
				f.tryAll(run, 0, len(run))
			}
		}
		for i := range n {
			for j := range n {
				f.tryAll([]int{i, j}, 0, 2)
			}
		}
	}
	if f.tried < 1321 {
		t.Errorf("%d forgeries tried, want at least 1321", f.tried)
	}
	t.Logf("%d forgeries refused", f.tried)
}

func TestPackagesDoNotOpenAtOtherOffsetsOfRangedReads(t *testing.T) {
	const n = 16
	f := &forger{t: t, honest: honestPackages(t, n)}
	for c := range n {
		for first := range n {
			f.tryAll([]int{c}, first, n)
		}
	}
	if f.tried < 1321 {
		t.Errorf("%d forgeries tried, want at least 1321", f.tried)
	}
	t.Logf("%d forgeries refused", f.tried)
}
