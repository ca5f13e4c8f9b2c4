package size_test

import (
	"errors"
	"math"
	"reflect"
	"testing"

	"s3veil/crypto/size"
)

func TestRangeOfOneStream(t *testing.T) {
	const p = 3*size.Package + 100
	tab := size.Single(p)
	for _, c := range []struct {
		name     string
		a, b     int64
		from, to int64
		seg      size.Segment
	}{
		{"whole", 0, p - 1, 0, 3*size.Cipher + 131, size.Segment{Plain: p, Count: 4, Take: p}},
		{"first byte", 0, 0, 0, size.Cipher - 1, size.Segment{Plain: p, Count: 1, Take: 1}},
		{"end of first package", 65535, 65535, 0, size.Cipher - 1, size.Segment{Plain: p, Count: 1, Skip: 65535, Take: 1}},
		{"start of second", 65536, 65536, size.Cipher, 2*size.Cipher - 1, size.Segment{Plain: p, First: 1, Count: 1, Take: 1}},
		{"across a boundary", 65535, 65536, 0, 2*size.Cipher - 1, size.Segment{Plain: p, Count: 2, Skip: 65535, Take: 2}},
		{"last byte", p - 1, p - 1, 3 * size.Cipher, 3*size.Cipher + 131, size.Segment{Plain: p, First: 3, Count: 1, Skip: 99, Take: 1}},
	} {
		from, to, segs, err := tab.Range(c.a, c.b)
		if err != nil || from != c.from || to != c.to || !reflect.DeepEqual(segs, []size.Segment{c.seg}) {
			t.Errorf("%s: %d–%d %+v %v, want %d–%d %+v", c.name, from, to, segs, err, c.from, c.to, c.seg)
		}
	}
}

func TestRangeAcrossParts(t *testing.T) {
	tab, err := size.NewTable([]size.Part{{1, 0}, {2, 65537}, {5, 0}, {6, 0}, {7, 10}, {10000, 0}})
	if err != nil {
		t.Fatal(err)
	}
	if tab.Plain() != 65547 || tab.Stored() != 65601+42 || tab.Len() != 6 {
		t.Fatalf("plain %d, stored %d, len %d", tab.Plain(), tab.Stored(), tab.Len())
	}
	if tab.Start(4) != 65537 || tab.Part(4) != (size.Part{Number: 7, Size: 10}) || tab.Start(5) != 65547 {
		t.Errorf("part 4 at %d: %+v; part 5 at %d", tab.Start(4), tab.Part(4), tab.Start(5))
	}
	from, to, segs, err := tab.Range(65536, 65538)
	want := []size.Segment{
		{Part: 2, Plain: 65537, First: 1, Count: 1, Take: 1},
		{Part: 7, Plain: 10, Count: 1, Take: 2},
	}
	if err != nil || from != size.Cipher || to != tab.Stored()-1 || !reflect.DeepEqual(segs, want) {
		t.Errorf("%d–%d %+v %v", from, to, segs, err)
	}
	from, to, segs, err = tab.Range(65537, 65537)
	if err != nil || from != 65601 || to != tab.Stored()-1 || len(segs) != 1 || segs[0].Part != 7 {
		t.Errorf("%d–%d %+v %v", from, to, segs, err)
	}
}

func TestSegmentKnowsItsStoredSizeAndEnd(t *testing.T) {
	s := size.Segment{Plain: 2*size.Package + 5, First: 1, Count: 1}
	if s.Stored() != size.Cipher || s.Last() {
		t.Errorf("middle: %d %v", s.Stored(), s.Last())
	}
	s.Count = 2
	if s.Stored() != size.Cipher+37 || !s.Last() {
		t.Errorf("end: %d %v", s.Stored(), s.Last())
	}
}

func TestIndexFindsListedNumbersOnly(t *testing.T) {
	tab, err := size.NewTable([]size.Part{{2, 1}, {3, 1}, {9, 1}})
	if err != nil {
		t.Fatal(err)
	}
	for number, want := range map[int]int{2: 0, 3: 1, 9: 2} {
		if i, ok := tab.Index(number); !ok || i != want {
			t.Errorf("Index(%d) = %d, %v", number, i, ok)
		}
	}
	for _, number := range []int{-1, 0, 1, 4, 10, 10000} {
		if _, ok := tab.Index(number); ok {
			t.Errorf("Index(%d) found", number)
		}
	}
	if i, ok := size.Single(7).Index(0); !ok || i != 0 {
		t.Errorf("single: %d, %v", i, ok)
	}
}

func TestRangesOutsideTheObjectAreRefused(t *testing.T) {
	tab := size.Single(10)
	for _, c := range [][2]int64{{-1, 3}, {3, 2}, {0, 10}, {10, 10}, {math.MinInt64, 0}, {0, math.MaxInt64}} {
		if _, _, segs, err := tab.Range(c[0], c[1]); !errors.Is(err, size.ErrRange) || segs != nil {
			t.Errorf("%v: %v", c, err)
		}
	}
	if _, _, _, err := size.Single(0).Range(0, 0); !errors.Is(err, size.ErrRange) {
		t.Errorf("empty object: %v", err)
	}
}

func TestNewTableRefusesImpossibleLists(t *testing.T) {
	for name, parts := range map[string][]size.Part{
		"none":            nil,
		"number 0":        {{0, 1}},
		"number 10001":    {{10001, 1}},
		"repeated":        {{1, 1}, {1, 1}},
		"descending":      {{2, 1}, {1, 1}},
		"negative size":   {{1, -1}},
		"size over limit": {{1, size.MaxStream + 1}},
		"size overflow":   {{1, math.MaxInt64}, {2, math.MaxInt64}},
		"too many":        make([]size.Part, size.MaxParts+1),
	} {
		if tab, err := size.NewTable(parts); !errors.Is(err, size.ErrSize) || tab != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLargestObjectFits(t *testing.T) {
	parts := make([]size.Part, size.MaxParts)
	for i := range parts {
		parts[i] = size.Part{Number: i + 1, Size: size.MaxStream}
	}
	tab, err := size.NewTable(parts)
	if err != nil {
		t.Fatal(err)
	}
	if tab.Plain() != 10000*size.MaxStream || tab.Stored() != 10000*size.Enc(size.MaxStream) {
		t.Errorf("plain %d, stored %d", tab.Plain(), tab.Stored())
	}
	from, to, segs, err := tab.Range(tab.Plain()-1, tab.Plain()-1)
	if err != nil || to != tab.Stored()-1 || from != tab.Stored()-size.Cipher || len(segs) != 1 || segs[0].Part != 10000 {
		t.Errorf("%d–%d %+v %v", from, to, segs, err)
	}
}

// FuzzRange compares Range with slicing: it lays a whole object out in memory, packages marked with their part and
// index, cuts the stored range, reads it as the segments say, and expects the bytes of the plaintext slice.
func FuzzRange(f *testing.F) {
	f.Add([]byte{0, 0, 1, 1, 0, 1}, uint32(0), uint32(0), false)
	f.Add([]byte{255, 255, 1}, uint32(65535), uint32(2), true)
	f.Add([]byte{1, 0, 1, 0, 0, 0, 10, 0, 0, 0, 0, 1}, uint32(65536), uint32(2), false)
	f.Fuzz(func(t *testing.T, layout []byte, start, length uint32, single bool) {
		parts := partsOf(layout, single)
		if len(parts) == 0 {
			return
		}
		var tab *size.Table
		if single {
			tab = size.Single(parts[0].Size)
		} else {
			var err error
			if tab, err = size.NewTable(parts); err != nil {
				t.Fatal(err)
			}
		}
		plain, stored, marks := layOut(parts)
		if tab.Plain() != int64(len(plain)) || tab.Stored() != int64(len(stored)) {
			t.Fatalf("plain %d, stored %d, want %d, %d", tab.Plain(), tab.Stored(), len(plain), len(stored))
		}
		if len(plain) == 0 {
			return
		}
		a := int64(start) % tab.Plain()
		b := a + int64(length)%(tab.Plain()-a)
		from, to, segs, err := tab.Range(a, b)
		if err != nil {
			t.Fatal(err)
		}
		checkSegments(t, plain[a:b+1], stored[from:to+1], from, marks, segs)
		if excess := to - from + 1 - size.Enc(b-a+1); excess > 2*size.Cipher+32*int64(len(segs)) {
			t.Errorf("%d stored bytes more than needed", excess)
		}
	})
}

// partsOf decodes three bytes per part: a size below 3·65,536 and a gap in the numbers.
func partsOf(layout []byte, single bool) (parts []size.Part) {
	number := 0
	for len(layout) >= 3 && len(parts) < 8 {
		number += 1 + int(layout[2]>>4)
		p := size.Part{Number: number, Size: int64(layout[0])<<8 | int64(layout[1]) | int64(layout[2]&3%3)<<16}
		parts, layout = append(parts, p), layout[3:]
		if single {
			parts[0].Number = 0
			break
		}
	}
	return parts
}

type mark struct {
	part  int
	index int64
}

// layOut builds plaintext and stored form; marks holds the package that starts at a stored offset.
func layOut(parts []size.Part) (plain, stored []byte, marks map[int64]mark) {
	marks = map[int64]mark{}
	for _, p := range parts {
		for off := int64(0); off < p.Size; off += size.Package {
			n := min(size.Package, p.Size-off)
			marks[int64(len(stored))] = mark{p.Number, off / size.Package}
			begin := len(plain)
			for i := range n {
				x := off + i
				plain = append(plain, byte(x)^byte(x>>8)*7^byte(p.Number)*31)
			}
			stored = append(stored, make([]byte, 16)...)
			stored = append(stored, plain[begin:]...)
			stored = append(stored, make([]byte, 16)...)
		}
	}
	return plain, stored, marks
}

func checkSegments(t *testing.T, want, stored []byte, from int64, marks map[int64]mark, segs []size.Segment) {
	t.Helper()
	pos, out := int64(0), 0
	for _, s := range segs {
		if s.Count < 1 || s.Take < 1 || s.Skip >= size.Package {
			t.Fatalf("segment %+v", s)
		}
		begin := pos
		skip, take := s.Skip, s.Take
		for i := s.First; i < s.First+s.Count; i++ {
			if marks[from+pos] != (mark{s.Part, i}) {
				t.Fatalf("package at %d is %+v, segment %+v says index %d", from+pos, marks[from+pos], s, i)
			}
			n := min(size.Package, s.Plain-i*size.Package)
			body := stored[pos+16 : pos+16+n]
			pos += n + 32
			body = body[skip:]
			body = body[:min(take, int64(len(body)))]
			if string(body) != string(want[out:out+len(body)]) {
				t.Fatalf("part %d package %d differs", s.Part, i)
			}
			out += len(body)
			skip, take = 0, take-int64(len(body))
		}
		if take != 0 || pos-begin != s.Stored() {
			t.Fatalf("segment %+v: %d bytes left to take, %d stored", s, take, pos-begin)
		}
	}
	if pos != int64(len(stored)) || out != len(want) {
		t.Fatalf("read %d of %d stored and %d of %d plaintext bytes", pos, len(stored), out, len(want))
	}
}
