package proxy

import (
	"bytes"
	"fmt"
	"io"
)

// answerSource serves answers and copies.
type answerSource interface {
	streamedSource
	streamedBody
}

// memoryBody is verified plaintext in memory.
type memoryBody struct {
	*bytes.Reader
	all     []byte
	body    io.Closer // of the store's answer, nil when it has ended
	release func()
	length  int64
	report  func(error)
}

// Len is the number of bytes of the whole window, and Verify has nothing left to do: the body is a source for copies.
func (b *memoryBody) Len() int64          { return b.length }
func (b *memoryBody) Verify() error       { return nil }
func (b *memoryBody) onEnd(f func(error)) { b.report = f }
func (b *memoryBody) remaining() int64    { return int64(b.Reader.Len()) }

// Close overwrites the plaintext and ends the exchange with the store.
func (b *memoryBody) Close() error {
	if b.all == nil {
		return nil
	}
	var failure error
	if b.remaining() > 0 {
		failure = errClientGone
	}
	clear(b.all)
	b.all = nil
	b.release()
	var err error
	if b.body != nil {
		err = b.body.Close()
	}
	if b.report != nil {
		b.report(failure)
	}
	return err
}

// sendWhole answers under verify: full: everything is opened before the head goes out, so that damage anywhere in the window is
// an error answer and never a broken connection.
func (x *exchange) sendWhole(o *object, w window, body answerSource, status int) error {
	n := body.Len()
	buf, release, err := x.s.memory.Held(x.context(), n)
	if err != nil {
		body.Close()
		return err
	}
	if _, err = io.ReadFull(body, buf); err == nil {
		err = body.Verify()
	}
	if closed := body.Close(); err == nil && closed != nil {
		err = fmt.Errorf("%w: %w", errRelayShort, closed)
	}
	if err != nil {
		release()
		return err
	}
	x.respondObject(status, o)
	if err := x.applyOverrides(); err != nil {
		release()
		return err
	}
	x.setWindow(o, w)
	x.stream(&memoryBody{Reader: bytes.NewReader(buf), all: buf, release: release, length: n}, n)
	return nil
}
