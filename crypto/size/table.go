package size

import (
	"errors"
	"fmt"
	"sort"
)

// ErrRange reports a range that does not lie inside the object (S3: 416 InvalidRange).
var ErrRange = errors.New("size: range outside the object")

// Table is the immutable part table of an object: a single PUT is one part with number 0. It holds prefix sums, so that
// its memory is proportional to the number of parts (18 bytes each), whatever their sizes.
type Table struct {
	numbers []uint16 // part numbers, strictly ascending
	plain   []int64  // plain[i] = plaintext bytes before part i; one entry more than parts
	stored  []int64  // stored[i] = stored bytes before part i; one entry more than parts
}

// Part is one stream of an object.
type Part struct {
	Number int   // 0 for a single PUT, else 1–10,000
	Size   int64 // plaintext bytes
}

// Segment is the piece of one stream that a range needs.
type Segment struct {
	Part  int   // part number, as it enters the stream key
	Plain int64 // plaintext length of the whole stream
	First int64 // index of the first package to fetch
	Count int64 // packages to fetch, ≥ 1
	Skip  int64 // plaintext bytes to drop from the first package
	Take  int64 // plaintext bytes to release
}

// Stored returns the stored bytes of the segment's packages.
func (s Segment) Stored() int64 {
	return min(Cipher*(s.First+s.Count), Enc(s.Plain)) - Cipher*s.First
}

// Last reports whether the segment reaches the final package of its stream.
func (s Segment) Last() bool { return s.First+s.Count == Packages(s.Plain) }

// Single returns the table of a single PUT of p plaintext bytes, padding included. It panics if CheckStream refuses p.
func Single(p int64) *Table {
	if err := CheckStream(p); err != nil {
		panic(err)
	}
	t := &struct { // one allocation: every small object has one
		Table
		number [1]uint16
		sums   [4]int64
	}{sums: [4]int64{0, p, 0, Enc(p)}}
	t.Table = Table{numbers: t.number[:], plain: t.sums[:2:2], stored: t.sums[2:]}
	return &t.Table
}

// NewTable returns the table of a multipart object, or an error that wraps ErrSize. There is at least one part, numbers
// are strictly ascending in 1–10,000 and every size is that of a stream (FORMAT.md 3.3); parts may be empty.
func NewTable(parts []Part) (*Table, error) {
	if len(parts) == 0 || len(parts) > MaxParts {
		return nil, fmt.Errorf("%w: %d parts", ErrSize, len(parts))
	}
	t := &Table{
		numbers: make([]uint16, len(parts)),
		plain:   make([]int64, len(parts)+1),
		stored:  make([]int64, len(parts)+1),
	}
	last := 0
	for i, p := range parts {
		if p.Number <= last || p.Number > MaxParts {
			return nil, fmt.Errorf("%w: part number %d after %d", ErrSize, p.Number, last)
		}
		if err := CheckStream(p.Size); err != nil {
			return nil, fmt.Errorf("part %d: %w", p.Number, err)
		}
		last = p.Number
		t.numbers[i] = uint16(p.Number)
		// No overflow: the checks above bound both sums by MaxParts · Enc(MaxStream) < 2^46.
		t.plain[i+1] = t.plain[i] + p.Size
		t.stored[i+1] = t.stored[i] + Enc(p.Size)
	}
	return t, nil
}

// Plain returns the plaintext bytes of the whole object.
func (t *Table) Plain() int64 { return t.plain[len(t.numbers)] }

// Stored returns the stored bytes of the whole object.
func (t *Table) Stored() int64 { return t.stored[len(t.numbers)] }

// Len returns the number of parts, 1 for a single PUT.
func (t *Table) Len() int { return len(t.numbers) }

// Part returns the i-th listed part, 0 ≤ i < Len.
func (t *Table) Part(i int) Part {
	return Part{Number: int(t.numbers[i]), Size: t.plain[i+1] - t.plain[i]}
}

// Start returns the plaintext offset of the i-th listed part, 0 ≤ i < Len.
func (t *Table) Start(i int) int64 { return t.plain[:len(t.numbers)][i] }

// Index returns the position of the part with the given number, and whether there is one.
func (t *Table) Index(number int) (i int, ok bool) {
	i = sort.Search(len(t.numbers), func(i int) bool { return int(t.numbers[i]) >= number })
	return i, i < len(t.numbers) && int(t.numbers[i]) == number
}

// Range maps the plaintext bytes a..b (inclusive, 0 ≤ a ≤ b < Plain) to one stored byte range from..to (inclusive) and
// the segments that lie in it one after the other (FORMAT.md 8.2, 8.3). Empty parts have no segment. The first segment
// starts at stored byte from, the last one ends at to. Other ranges, and any range of an empty object, are ErrRange.
func (t *Table) Range(a, b int64) (from, to int64, segments []Segment, err error) {
	if a < 0 || b < a || b >= t.Plain() {
		return 0, 0, nil, fmt.Errorf("%w: bytes %d–%d of %d", ErrRange, a, b, t.Plain())
	}
	f, l := t.find(a), t.find(b)
	segments = make([]Segment, 0, l-f+1)
	for i := f; i <= l; i++ {
		p := t.plain[i+1] - t.plain[i]
		if p == 0 {
			continue
		}
		lo := max(a-t.plain[i], 0)
		hi := min(b-t.plain[i], p-1)
		first := lo / Package
		segments = append(segments, Segment{
			Part:  int(t.numbers[i]),
			Plain: p,
			First: first,
			Count: hi/Package - first + 1,
			Skip:  lo - Package*first,
			Take:  hi - lo + 1,
		})
	}
	head, tail := segments[0], segments[len(segments)-1]
	from = t.stored[f] + Cipher*head.First
	to = t.stored[l] + Cipher*tail.First + tail.Stored() - 1
	return from, to, segments, nil
}

// find returns the position of the part that holds plaintext byte x, 0 ≤ x < Plain. Parts that hold it are not empty.
func (t *Table) find(x int64) int {
	return sort.Search(len(t.numbers), func(i int) bool { return t.plain[i+1] > x })
}
