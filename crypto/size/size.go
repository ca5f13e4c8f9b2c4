// Package size is the arithmetic between plaintext and stored sizes (FORMAT.md 8). It is pure and knows no keys.
//
// A stream of p plaintext bytes is stored as ⌈p / 65,536⌉ packages of at most 65,568 bytes, nothing before, between or
// behind them; an object is the concatenation of the streams of its parts. Everything that HEAD, GET, Range and LIST
// need follows from that and from the list of part lengths.
//
// All sizes and offsets are in bytes. Values that come from a store or a client go through Dec, CheckStream, NewTable or
// Table.Range, which return errors; the other functions panic on values that no caller can have checked.
package size

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

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

// CheckStream returns ErrSize unless p, padding included, is the plaintext length of a stream: 0 ≤ p ≤ MaxStream
// (FORMAT.md 3.3).
func CheckStream(p int64) error {
	if p < 0 || p > MaxStream {
		return fmt.Errorf("%w: stream of %d plaintext bytes", ErrSize, p)
	}
	return nil
}

// Packages returns the number of packages of a stream of p plaintext bytes (FORMAT.md 7.2). It panics if p is negative.
func Packages(p int64) int64 {
	if p < 0 {
		panic("size: negative plaintext length")
	}
	n := p / Package
	if p%Package != 0 {
		n++
	}
	return n
}

// Enc returns the stored size of a stream of p plaintext bytes (FORMAT.md 8.1). It panics if p is negative or the result
// does not fit.
func Enc(p int64) int64 {
	overhead := Overhead * Packages(p)
	if p > math.MaxInt64-overhead {
		panic("size: stored size overflows")
	}
	return p + overhead
}

// Dec returns the plaintext size of one stream of c stored bytes (FORMAT.md 8.1), or ErrSize if no stream has that size.
func Dec(c int64) (int64, error) {
	if c < 0 || c > MaxStream+MaxStream/Package*Overhead {
		return 0, fmt.Errorf("%w: %d stored bytes", ErrSize, c)
	}
	q, r := c/Cipher, c%Cipher
	switch {
	case r == 0:
		return q * Package, nil
	case r <= Overhead:
		return 0, fmt.Errorf("%w: %d stored bytes end inside a package", ErrSize, c)
	}
	return q*Package + r - Overhead, nil
}

// Est returns the plaintext size that a listing shows for c stored bytes (FORMAT.md 8.4): exact for one stream and for
// parts of multiples of 65,536 bytes, else too large by less than 32 bytes per part. It is total, because c is whatever
// a store says: sizes that no object has, negative ones included, give 0 where the formula would fall below it.
func Est(c int64) int64 {
	if c <= Overhead {
		return 0
	}
	n := c / Cipher
	if c%Cipher != 0 {
		n++
	}
	return c - Overhead*n
}

// Fit returns the largest plaintext length of a stream whose stored size does not exceed limit: what an upstream that
// caps one PUT or part at limit bytes can take (FORMAT.md 8.1). It is 0 if limit leaves no room for a package.
func Fit(limit int64) int64 {
	if limit <= 0 {
		return 0
	}
	q, r := limit/Cipher, limit%Cipher
	return min(q*Package+max(r-Overhead, 0), MaxStream)
}

// Pad returns the padded length of FORMAT.md 8.5: l with its low bits rounded up, so that it leaks only O(log log l)
// bits. It panics if l is negative or above MaxStream.
func Pad(l int64) int64 {
	if CheckStream(l) != nil {
		panic("size: length to pad is not that of a stream")
	}
	if l < 2 {
		return l
	}
	e := bits.Len64(uint64(l)) - 1 // ⌊log2 l⌋
	s := bits.Len64(uint64(e))     // ⌊log2 e⌋ + 1; 0 for e = 0 does not occur
	m := int64(1)<<(e-s) - 1
	return (l + m) &^ m
}
