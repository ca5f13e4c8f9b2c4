package proxy

import (
	"errors"
	"io"

	"s3veil/crypto/s3ec"
)

// heldBack is how much of its end a delayed body keeps until the tag has been checked.
const heldBack = 16 << 10

// delayedBody is a window in front of something that has to be checked too: the tag behind a foreign object that is too large to
// be verified in memory, or the padding of an object. Its last bytes leave only after that, so that a forged object never arrives
// whole.
type delayedBody struct {
	src    io.Reader // ends in io.EOF once everything has been checked
	body   io.Closer
	skip   int64 // plaintext in front of the window
	left   int64 // bytes of the window that have not been released
	length int64
	tail   []byte // the end of the window, held back
	proved bool
	err    error
	report func(error)
}

func newDelayedBody(src io.Reader, body io.Closer, a, n int64) *delayedBody {
	return &delayedBody{src: src, body: body, skip: a, left: n, length: n}
}

// Read releases the window. Errors are s3ec.ErrContent and those of the store's body.
func (b *delayedBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if err := b.advance(); err != nil {
		b.err = err
		return 0, b.err
	}
	if b.left == 0 {
		return 0, io.EOF
	}
	if free := b.left - heldBack; free > 0 {
		n, err := b.src.Read(p[:min(int64(len(p)), free)])
		b.left -= int64(n)
		if err != nil {
			b.err = early(err)
		}
		return n, b.err
	}
	n := copy(p, b.tail)
	b.tail = b.tail[n:]
	b.left -= int64(n)
	return n, nil
}

// advance skips to the window, and at its end reads on to the tag of the object.
func (b *delayedBody) advance() error {
	if b.skip > 0 {
		n, err := io.CopyN(io.Discard, b.src, b.skip)
		if b.skip -= n; err != nil {
			return early(err)
		}
	}
	if b.proved || b.left > heldBack {
		return nil
	}
	b.tail = make([]byte, b.left)
	if _, err := io.ReadFull(b.src, b.tail); err != nil {
		return early(err)
	}
	if _, err := io.Copy(io.Discard, b.src); err != nil {
		return err
	}
	b.proved = true
	return nil
}

// early turns an end inside the window into an error.
func early(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return s3ec.ErrContent
	}
	return err
}

// Len, Verify, onEnd and remaining make it a source for copies and the body of an answer.
func (b *delayedBody) Len() int64          { return b.length }
func (b *delayedBody) onEnd(f func(error)) { b.report = f }
func (b *delayedBody) remaining() int64    { return b.left }

// Verify reports whether all of the window has been read, hence the tag checked.
func (b *delayedBody) Verify() error {
	if b.err == nil && b.left > 0 {
		return errRelayShort
	}
	return b.err
}

// Close ends the exchange with the store.
func (b *delayedBody) Close() error {
	if b.body == nil {
		return nil
	}
	clear(b.tail)
	err := b.body.Close()
	b.body = nil
	if b.report != nil {
		failure := b.err
		if failure == nil && b.left > 0 {
			failure = errClientGone
		}
		b.report(failure)
	}
	return err
}
