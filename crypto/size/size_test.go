package size_test

import (
	"errors"
	"math"
	"testing"

	"s3veil/crypto/size"
)

const mib = 1 << 20

func TestStoredSizeOfOneStream(t *testing.T) {
	// The table of FORMAT.md 8.1.
	for _, c := range []struct{ p, enc, overhead int64 }{
		{0, 0, 0},
		{1, 33, 32},
		{65536, 65568, 32},
		{65537, 65601, 64},
		{5 * mib, 5245440, 2560},
		{5 << 30, 5371330560, 2621440},
	} {
		if got := size.Enc(c.p); got != c.enc || got-c.p != c.overhead {
			t.Errorf("Enc(%d) = %d, want %d", c.p, got, c.enc)
		}
		if got := size.Packages(c.p) * size.Overhead; got != c.overhead {
			t.Errorf("Packages(%d) · 32 = %d, want %d", c.p, got, c.overhead)
		}
		if got, err := size.Dec(c.enc); err != nil || got != c.p {
			t.Errorf("Dec(%d) = %d, %v, want %d", c.enc, got, err, c.p)
		}
		if got := size.Est(c.enc); got != c.p {
			t.Errorf("Est(%d) = %d, want %d", c.enc, got, c.p)
		}
	}
}

func TestDecRefusesSizesNoStreamHas(t *testing.T) {
	bad := []int64{-1, math.MinInt64, math.MaxInt64, size.Enc(size.MaxStream) + 1}
	for r := int64(1); r <= 32; r++ {
		bad = append(bad, r, size.Cipher+r, 1000*size.Cipher+r)
	}
	for _, c := range bad {
		if p, err := size.Dec(c); !errors.Is(err, size.ErrSize) || p != 0 {
			t.Errorf("Dec(%d) = %d, %v, want ErrSize", c, p, err)
		}
	}
}

func TestDecInvertsEncAroundPackageBoundaries(t *testing.T) {
	for _, base := range []int64{0, size.Package, 2 * size.Package, 100 * size.Package, size.MaxStream} {
		for d := int64(-40); d <= 40; d++ {
			p := base + d
			if size.CheckStream(p) != nil {
				continue
			}
			c := size.Enc(p)
			if got, err := size.Dec(c); err != nil || got != p {
				t.Fatalf("Dec(Enc(%d)) = %d, %v", p, got, err)
			}
			if got := size.Est(c); got != p {
				t.Fatalf("Est(Enc(%d)) = %d", p, got)
			}
		}
	}
}

func TestEverySizeIsOneStreamOrRefused(t *testing.T) {
	for c := int64(0); c <= 3*size.Cipher; c++ {
		p, err := size.Dec(c)
		if r := c % size.Cipher; (r >= 1 && r <= 32) != (err != nil) {
			t.Fatalf("Dec(%d): %v", c, err)
		}
		if err == nil && size.Enc(p) != c {
			t.Fatalf("Enc(Dec(%d)) = %d", c, size.Enc(p))
		}
	}
}

func TestEstIsExactForAlignedParts(t *testing.T) {
	cases := 0
	for _, m := range []int64{5, 8, 15, 16, 64, 100, 128} {
		part := m * mib
		for n := int64(1); n <= 39; n++ {
			for _, last := range []int64{1, 31, 32, 33, 65535, 65536, 65537, part - 1, part} {
				cases++
				plain := (n-1)*part + last
				if got := size.Est((n-1)*size.Enc(part) + size.Enc(last)); got != plain {
					t.Errorf("%d parts of %d MiB, last %d: Est = %d, want %d", n, m, last, got, plain)
				}
			}
		}
	}
	if cases != 2457 {
		t.Errorf("%d cases, want 2457", cases)
	}
}

func TestEstOfUnalignedPartsIsBounded(t *testing.T) {
	for _, c := range []struct{ n, over int64 }{{99, 2208}, {100, 2240}} {
		const part = 5_000_000
		if got := size.Est(c.n*size.Enc(part)) - c.n*part; got != c.over {
			t.Errorf("%d parts: over-stated by %d, want %d", c.n, got, c.over)
		}
	}
	for _, part := range []int64{1, 31, 32, 33, 65535, 65537, 70000, 131071} {
		for n := int64(1); n <= 200; n++ {
			over := size.Est(n*size.Enc(part)) - n*part
			if over < 0 || over > 32*(n-1) {
				t.Fatalf("%d parts of %d: over-stated by %d", n, part, over)
			}
		}
	}
}

func TestEstIsTotal(t *testing.T) {
	for _, c := range []struct{ c, want int64 }{
		{math.MinInt64, 0}, {-1, 0}, {0, 0}, {1, 0}, {32, 0}, {33, 1},
		{size.Cipher + 1, size.Package + 1 - 32},
	} {
		if got := size.Est(c.c); got != c.want {
			t.Errorf("Est(%d) = %d, want %d", c.c, got, c.want)
		}
	}
	if got := size.Est(math.MaxInt64); got <= 0 {
		t.Errorf("Est(MaxInt64) = %d", got)
	}
}

func TestFitIsTheLargestStreamUnderALimit(t *testing.T) {
	if got := size.Fit(5 << 30); got != 5366088928 {
		t.Errorf("Fit(5 GiB) = %d, want 5366088928 (FORMAT.md 8.1)", got)
	}
	for _, limit := range []int64{-1, 0, 1, 32, 33, 65567, 65568, 65569, 65600, 65601, 5 << 20, 5 << 30} {
		p := size.Fit(limit)
		if p > 0 && size.Enc(p) > limit {
			t.Errorf("Fit(%d) = %d does not fit", limit, p)
		}
		if size.Enc(p+1) <= limit {
			t.Errorf("Fit(%d) = %d is not the largest", limit, p)
		}
	}
	if got := size.Fit(math.MaxInt64); got != size.MaxStream {
		t.Errorf("Fit(MaxInt64) = %d", got)
	}
}

func TestPad(t *testing.T) {
	for _, c := range []struct{ l, want int64 }{
		{0, 0}, {1, 1}, {2, 2}, {3, 3}, {8, 8}, {9, 10}, {10, 10}, {1023, 1024},
		{1_000_000, 1_015_808}, {1_015_808, 1_015_808}, {1_015_809, 1_032_192}, {size.MaxStream, size.MaxStream},
	} {
		if got := size.Pad(c.l); got != c.want {
			t.Errorf("Pad(%d) = %d, want %d", c.l, got, c.want)
		}
	}
	for l := int64(2); l < size.MaxStream; l += l/7 + 1 {
		p := size.Pad(l)
		if p < l || float64(p-l) > 0.12*float64(l) {
			t.Errorf("Pad(%d) = %d grows by more than 12 %%", l, p)
		}
		if size.Pad(p) != p {
			t.Errorf("Pad(%d) = %d is not a fixed point", l, p)
		}
	}
}

func TestMisusePanics(t *testing.T) {
	for name, f := range map[string]func(){
		"negative packages": func() { size.Packages(-1) },
		"negative enc":      func() { size.Enc(-1) },
		"enc overflow":      func() { size.Enc(math.MaxInt64) },
		"negative pad":      func() { size.Pad(-1) },
		"pad too long":      func() { size.Pad(size.MaxStream + 1) },
		"negative single":   func() { size.Single(-1) },
		"single too long":   func() { size.Single(size.MaxStream + 1) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}
