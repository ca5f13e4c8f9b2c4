// Package size is the arithmetic between plaintext and stored sizes (FORMAT.md 8). It is pure and knows no keys.
package size

import "errors"

// The constants of FORMAT.md 8 and 3.3, in bytes.
const (
	Package   = 65536              // plaintext of a full package
	Overhead  = 32                 // header 16, tag 16
	Cipher    = Package + Overhead // a full package as stored
	MaxStream = 5 << 30            // plaintext of one stream, padding included
	MaxParts  = 10000
)

// ErrSize reports a stored or plaintext size that no stream or object can have.
var ErrSize = errors.New("size: impossible size")

// Packages returns the number of packages of a stream of p plaintext bytes.
func Packages(p int64) int64 { panic("stub") }

// Enc returns the stored size of a stream of p plaintext bytes.
func Enc(p int64) int64 { panic("stub") }

// Dec returns the plaintext size of one stream of c stored bytes, or ErrSize.
func Dec(c int64) (int64, error) { panic("stub") }

// Est returns the plaintext size that a listing shows for c stored bytes (FORMAT.md 8.4).
func Est(c int64) int64 { panic("stub") }

// Pad returns the padded length of FORMAT.md 8.5.
func Pad(l int64) int64 { panic("stub") }

// Table is the immutable part table of an object: a single PUT is one part with number 0.
// Its memory is proportional to the number of parts.
type Table struct{ _ int }

// Part is one stream of an object.
type Part struct {
	Number int   // 0 for a single PUT, else 1–10,000
	Size   int64 // plaintext bytes
}

// Single returns the table of a single PUT of p plaintext bytes.
func Single(p int64) *Table { panic("stub") }

// NewTable returns the table of a multipart object. Numbers are strictly ascending in 1–10,000; sums are checked.
func NewTable(parts []Part) (*Table, error) { panic("stub") }

func (t *Table) Plain() int64      { panic("stub") } // plaintext bytes of the whole object
func (t *Table) Stored() int64     { panic("stub") } // stored bytes of the whole object
func (t *Table) Len() int          { panic("stub") } // number of parts
func (t *Table) Part(i int) Part   { panic("stub") } // i-th listed part
func (t *Table) Start(i int) int64 { panic("stub") } // plaintext offset of the i-th listed part

// Segment is the piece of one stream that a range needs.
type Segment struct {
	Part  int   // part number, as it enters the stream key
	Plain int64 // plaintext length of the whole stream
	First int64 // index of the first package to fetch
	Count int64 // packages to fetch, ≥ 1
	Skip  int64 // plaintext bytes to drop from the first package
	Take  int64 // plaintext bytes to release
}

// Range maps the plaintext bytes a..b (inclusive, 0 ≤ a ≤ b < Plain) to one stored byte range from..to (inclusive) and
// the segments that lie in it one after the other (FORMAT.md 8.2, 8.3). Empty parts have no segment.
func (t *Table) Range(a, b int64) (from, to int64, segments []Segment, err error) { panic("stub") }
