package stream

import (
	"crypto/cipher"
	"slices"

	"s3veil/crypto/kms"
	"s3veil/crypto/size"
)

// Sealer seals one stream batch by batch (FORMAT.md 7.4). It is not safe for concurrent use.
type Sealer struct {
	aead   cipher.AEAD
	cipher byte
	r      R
	plain  int64 // declared plaintext length
	index  int64 // next package
	sealed int64 // plaintext bytes sealed so far
	nonce  [12]byte
}

// NewSealer draws R and derives the stream key for a stream of plain bytes. part is 0 for a single PUT. Errors wrap
// ErrSetup. The data key is not kept. A retry that seals again needs a new Sealer, hence another R.
func NewSealer(suite Suite, dek *kms.Key32, part int, plain int64) (*Sealer, error) {
	return newSealer(suite, dek, part, plain, drawR())
}

func newSealer(suite Suite, dek *kms.Key32, part int, plain int64, r R) (*Sealer, error) {
	if err := checkSetup(suite, dek, part, plain); err != nil {
		return nil, err
	}
	s := &Sealer{plain: plain, r: r}
	s.cipher, _ = suite.cipherByte()
	if plain == 0 {
		return s, nil // the empty stream has neither packages nor R (FORMAT.md 7.1)
	}
	aead, err := newAEAD(suite, dek, r, part)
	if err != nil {
		return nil, err
	}
	s.aead = aead
	return s, nil
}

// R returns the stream's random value. It appears in the headers of streams that are not empty.
func (s *Sealer) R() R { return s.r }

// Left returns the plaintext bytes that remain to be sealed.
func (s *Sealer) Left() int64 { return s.plain - s.sealed }

// Done reports whether the declared length has been sealed.
func (s *Sealer) Done() bool { return s.sealed == s.plain }

// Seal appends the packages of plain to dst and returns it. plain is a multiple of 65,536 bytes unless it reaches the
// declared end of the stream; the final marker is set on the package that does. Sealing past the declared length, a
// short batch before the end, or sealing after Close panics: all are misuse. dst and plain must not overlap. It does not
// allocate if dst has room for size.Enc(len(plain)) more bytes.
func (s *Sealer) Seal(dst, plain []byte) []byte {
	n := int64(len(plain))
	switch {
	case n > s.Left():
		panic("stream: sealing past the declared length")
	case n < s.Left() && n%size.Package != 0:
		panic("stream: short batch before the end of the stream")
	case n > 0 && s.aead == nil:
		panic("stream: sealing after Close")
	}
	dst = slices.Grow(dst, int(size.Enc(n)))
	for len(plain) > 0 {
		m := min(size.Package, len(plain))
		h := makeHeader(s.cipher, s.r, s.index, s.plain)
		s.nonce = h.nonce(s.index)
		dst = append(dst, h[:]...)
		aad := dst[len(dst)-headerSize : len(dst)-headerSize+aadSize]
		dst = s.aead.Seal(dst, s.nonce[:], plain[:m], aad)
		plain = plain[m:]
		s.sealed += int64(m)
		s.index++
	}
	return dst
}

// Close drops the cipher, so that the stream key can be collected; nothing can be sealed afterwards. The bytes from which
// the cipher was made are overwritten as soon as it exists. Close may be repeated.
func (s *Sealer) Close() { s.aead = nil }
