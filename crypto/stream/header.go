package stream

import (
	"encoding/binary"
	"fmt"

	"s3veil/crypto/size"
)

const (
	headerSize = 16
	tagSize    = 16
	version20  = 0x20
	finalBit   = 0x80 // in the first byte of R, set in the final package
	aadSize    = 4    // header bytes that are additional data; the rest is the nonce
)

// header is the start of a package (FORMAT.md 7.2).
type header [headerSize]byte

// makeHeader returns the only header that package index of a stream of plain bytes may have.
func makeHeader(cipherByte byte, r R, index, plain int64) (h header) {
	m := min(size.Package, plain-index*size.Package)
	h[0], h[1] = version20, cipherByte
	binary.LittleEndian.PutUint16(h[2:4], uint16(m-1))
	copy(h[4:], r[:])
	if index == size.Packages(plain)-1 {
		h[4] |= finalBit
	}
	return h
}

// r returns the random value with its top bit clear.
func (h *header) r() (r R) {
	copy(r[:], h[4:])
	r[0] &^= finalBit
	return r
}

// nonce returns nonce_index: bytes 4–15, the last four XORed with the index, little endian.
func (h *header) nonce(index int64) (n [12]byte) {
	copy(n[:], h[4:])
	binary.LittleEndian.PutUint32(n[8:], binary.LittleEndian.Uint32(n[8:])^uint32(index))
	return n
}

// check compares a header with the one expected at index and names the first difference.
func (h *header) check(want header, index int64) error {
	if *h == want {
		return nil
	}
	what := "final marker"
	switch {
	case h[0] != want[0]:
		what = "version"
	case h[1] != want[1]:
		what = "cipher byte"
	case h[2] != want[2] || h[3] != want[3]:
		what = "payload length"
	case h.r() != want.r():
		what = "random value"
	}
	return packageError(index, "unexpected "+what)
}

func packageError(index int64, what string) error {
	return fmt.Errorf("%w: package %d: %s", ErrStream, index, what)
}
