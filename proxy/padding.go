package proxy

import (
	"io"

	"s3veil/crypto/envelope"
	"s3veil/crypto/size"
)

// paddedSource is a source followed by the zeros of FORMAT.md 8.5.
type paddedSource struct {
	source
	left, zeros int64 // of the source, and behind it
}

func newPaddedSource(src source) *paddedSource {
	n := src.Len()
	return &paddedSource{source: src, left: n, zeros: size.Pad(n) - n}
}

// Len is the length with padding.
func (p *paddedSource) Len() int64 { return size.Pad(p.source.Len()) }

// Read reads the source to its length, then zeros.
func (p *paddedSource) Read(b []byte) (int, error) {
	if p.left > 0 {
		n, err := p.source.Read(b[:min(int64(len(b)), p.left)])
		if p.left -= int64(n); p.left == 0 && err == io.EOF {
			err = nil
		}
		return n, err
	}
	if p.zeros == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(b)), p.zeros)
	clear(b[:n])
	p.zeros -= n
	return int(n), nil
}

// through is the last byte of the stream that has to be read for the window a..b: a read of all of a padded object goes through
// the padding, whose packages are verified like the others (FORMAT.md 8.5).
func (o *object) through(a, b int64) int64 {
	if o.head.Padded && a == 0 && b == o.content-1 {
		return size.Pad(o.content) - 1
	}
	return b
}

// withoutPadding cuts a body that goes through the padding to the n bytes of the window.
func (o *object) withoutPadding(body *openedBody, n int64) answerSource {
	if body.Len() == n {
		return body
	}
	return newDelayedBody(&zeroTail{src: body, left: n}, body, 0, n)
}

// zeroTail passes a body on and demands zeros behind its first bytes.
type zeroTail struct {
	src  *openedBody
	left int64
}

func (z *zeroTail) Read(b []byte) (int, error) {
	n, err := z.src.Read(b)
	for i := min(z.left, int64(n)); i < int64(n); i++ {
		if b[i] != 0 {
			return 0, errPadding
		}
	}
	z.left = max(0, z.left-int64(n))
	return n, err
}

var errPadding = lengthError("padding of other bytes than zeros")

// isExact reports whether arithmetic tells an object's length from its stored size (FORMAT.md 8.4).
func isExact(h envelope.Header) bool { return h.Kind == envelope.SinglePut && !h.Padded }
