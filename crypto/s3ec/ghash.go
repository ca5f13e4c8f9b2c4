package s3ec

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"math/bits"
)

// element is an element of GF(2^128) in the bit order of SP 800-38D 6.3: bit 0 is the highest bit of hi.
type element struct{ hi, lo uint64 }

func elementOf(b []byte) element {
	return element{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (x element) plus(y element) element { return element{x.hi ^ y.hi, x.lo ^ y.lo} }

// times multiplies (SP 800-38D 6.3, algorithm 1), without branches on secrets.
func (x element) times(y element) element {
	var z element
	for i := range 128 {
		word := x.hi
		if i >= 64 {
			word = x.lo
		}
		bit := -(word >> (63 - i%64) & 1)
		z.hi ^= y.hi & bit
		z.lo ^= y.lo & bit
		carry := -(y.lo & 1)
		y.lo = y.lo>>1 | y.hi<<63
		y.hi = y.hi>>1 ^ carry&(0xE1<<56)
	}
	return z
}

// one is the neutral element of times.
var one = element{hi: 1 << 63}

func (x element) power(n uint64) element {
	z := one
	for i := bits.Len64(n) - 1; i >= 0; i-- {
		if z = z.times(z); n>>i&1 == 1 {
			z = z.times(x)
		}
	}
	return z
}

// inverse is x^(2^128 - 2).
func (x element) inverse() element {
	z := one
	for range 127 {
		x = x.times(x)
		z = z.times(x)
	}
	return z
}

// ghash computes the GCM tag of a ciphertext that comes in pieces. The standard library has no GHASH by itself, but the tag
// of a message without plaintext is one over its additional data, at full speed; a few multiplications join the pieces.
type ghash struct {
	aead    cipher.AEAD
	nonce   []byte
	mask    element // E(K, J0)
	h       element
	inverse element
	sum     element
	aadBits uint64
	bytes   uint64
	tag     [tagLen]byte
	steps   uint64  // blocks of the last piece
	jump    element // h^steps
}

func newGHASH(block cipher.Block, nonce, aad []byte) (*ghash, error) {
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	var h, j0 [aes.BlockSize]byte
	block.Encrypt(h[:], h[:])
	copy(j0[:], nonce)
	j0[15] = 1
	block.Encrypt(j0[:], j0[:])
	g := &ghash{aead: aead, nonce: nonce, mask: elementOf(j0[:]), h: elementOf(h[:]), aadBits: uint64(len(aad)) * 8}
	g.inverse = g.h.inverse()
	if len(aad) > 0 {
		g.add(aad)
		g.bytes = 0
	}
	return g, nil
}

// add takes the next piece: all but the last have a multiple of 16 bytes.
func (g *ghash) add(piece []byte) {
	tag := elementOf(g.aead.Seal(g.tag[:0], g.nonce, nil, piece))
	length := element{hi: uint64(len(piece)) * 8}
	own := tag.plus(g.mask).plus(length.times(g.h)).times(g.inverse)
	if n := uint64(len(piece)+aes.BlockSize-1) / aes.BlockSize; n != g.steps {
		g.steps, g.jump = n, g.h.power(n)
	}
	g.sum = g.sum.times(g.jump).plus(own)
	g.bytes += uint64(len(piece))
}

// final returns the tag.
func (g *ghash) final() [tagLen]byte {
	e := g.sum.plus(element{g.aadBits, g.bytes * 8}).times(g.h).plus(g.mask)
	var out [tagLen]byte
	binary.BigEndian.PutUint64(out[:], e.hi)
	binary.BigEndian.PutUint64(out[8:], e.lo)
	return out
}
