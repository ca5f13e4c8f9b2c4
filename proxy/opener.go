package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"

	"s3veil/crypto/kms"
	"s3veil/crypto/size"
	"s3veil/crypto/stream"
	"s3veil/proxy/budget"
)

// openedBody is the plaintext of consecutive segments of an answer of the store. Bytes leave it only after their package
// has been authenticated; errors are sticky. It is a body for an answer to a client (WriteTo) and a source for a copy (Read).
type openedBody struct {
	src      io.ReadCloser // stored bytes, positioned at the first segment
	segments []size.Segment
	suite    stream.Suite
	dek      kms.Key32
	memory   *budget.Budget
	buf      *budget.Buffers
	opener   *stream.Opener
	toFetch  int64 // packages of the current segment still to be fetched
	index    int64 // index of the next package
	skip     int64
	take     int64
	left     int64 // plaintext bytes not yet released
	length   int64
	fetched  int64  // stored bytes read
	plain    []byte // opened, not yet released
	most     int    // bytes of the largest batch opened
	err      error
	closed   bool
	opening  *step                            // of a trace
	part     func(part int, r stream.R) error // sees R of each opened stream, may be nil

	count  func(stored int64) // told how much was read of the store
	report func(err error)    // told once how it ended, may be nil
	stale  func()             // called when the stream does not fit a remembered part table, may be nil
}

var errEarlyEnd = fmt.Errorf("%w: stored body ends early", stream.ErrStream)

// newOpenedBody takes buffers and opens the first package, so that a damaged object is an error answer and not a broken
// connection. It owns src from the start.
func (x *exchange) newOpenedBody(src io.ReadCloser, suite stream.Suite, dek *kms.Key32, segments []size.Segment) (*openedBody, error) {
	b := &openedBody{src: src, segments: segments, suite: suite, dek: *dek, memory: x.s.memory, opening: x.step("open"),
		count: func(n int64) { x.s.metrics.Bytes("upstream", "in", n) }}
	var need int64
	for _, g := range segments {
		b.left += g.Take
		need += min(g.Count*size.Package, g.Plain)
	}
	b.length = b.left
	if b.left == 0 {
		return b, nil
	}
	buf, err := x.s.memory.Stream(context.Background(), need)
	if b.err = err; err != nil {
		b.Close()
		return nil, err
	}
	b.buf = buf
	if b.err = b.fill(); b.err != nil {
		b.Close()
		return nil, b.err
	}
	return b, nil
}

// fill reads and opens the next batch. At the end of everything it returns io.EOF.
func (b *openedBody) fill() error {
	for b.toFetch == 0 {
		if err := b.nextSegment(); err != nil {
			return err
		}
	}
	g := &b.segments[0]
	n := min(b.toFetch, int64(b.buf.Packages))
	stored := n * size.Cipher
	if b.index+n == size.Packages(g.Plain) {
		stored = size.Enc(g.Plain) - b.index*size.Cipher
	}
	sealed := b.buf.Cipher[:stored]
	if _, err := io.ReadFull(b.src, sealed); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return errEarlyEnd
		}
		return fmt.Errorf("stored body: %w", err) // a broken connection, not a shorter object: it can be tried again
	}
	b.fetched += stored
	plain, err := b.opener.Open(b.buf.Plain[:0], sealed) // after an error the buffer is as it was
	if err != nil {
		return err
	}
	b.most = max(b.most, len(plain))
	if b.part != nil {
		if r, ok := b.opener.R(); ok {
			if err := b.part(g.Part, r); err != nil {
				return err
			}
		}
	}
	b.index += n
	b.toFetch -= n
	plain = plain[b.skip:]
	b.skip = 0
	plain = plain[:min(int64(len(plain)), b.take)]
	b.take -= int64(len(plain))
	b.plain = plain
	if b.toFetch == 0 {
		b.segments = b.segments[1:]
		if len(b.segments) == 0 {
			return b.expectEnd()
		}
	}
	return nil
}

func (b *openedBody) nextSegment() error {
	if len(b.segments) == 0 {
		return io.EOF
	}
	if b.opener != nil {
		b.opener.Close()
	}
	g := b.segments[0]
	b.opener = stream.NewOpener(b.suite, &b.dek, g)
	b.toFetch, b.index, b.skip, b.take = g.Count, g.First, g.Skip, g.Take
	return nil
}

// expectEnd makes sure that nothing follows the last package, which also gives the connection back to the pool.
func (b *openedBody) expectEnd() error {
	var one [1]byte
	n, err := io.ReadFull(b.src, one[:])
	if n == 0 && err == io.EOF {
		return nil
	}
	return fmt.Errorf("%w: data behind the last package", stream.ErrStream)
}

// WriteTo releases everything. It must not be mixed with Read.
func (b *openedBody) WriteTo(w io.Writer) (written int64, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
		}
		if err != nil {
			b.err = err
		}
	}()
	for b.left > 0 {
		if b.err != nil {
			return written, b.err
		}
		if len(b.plain) == 0 {
			if b.err = b.fill(); b.err != nil {
				return written, b.err
			}
			continue
		}
		n, err := w.Write(b.plain)
		written += int64(n)
		b.left -= int64(n)
		b.plain = b.plain[n:]
		if err != nil {
			return written, fmt.Errorf("%w: %w", errClientGone, err)
		}
	}
	return written, nil
}

// SupportsBodyWriteTo tells the engine that WriteTo does all that Read does.
func (b *openedBody) SupportsBodyWriteTo() bool { return true }

// Read releases opened bytes.
func (b *openedBody) Read(p []byte) (int, error) {
	for {
		switch {
		case b.err != nil:
			return 0, b.err
		case b.left == 0:
			return 0, io.EOF
		case len(p) == 0:
			return 0, nil
		case len(b.plain) > 0:
			n := copy(p, b.plain)
			b.plain = b.plain[n:]
			b.left -= int64(n)
			return n, nil
		}
		if err := b.fill(); err != nil {
			b.err = err
		}
	}
}

// Len is the number of plaintext bytes; with Verify it makes the body a source.
func (b *openedBody) Len() int64 { return b.length }

// Verify reports whether all of it has been released.
func (b *openedBody) Verify() error {
	if b.err != nil {
		return b.err
	}
	if b.left > 0 {
		return errEarlyEnd
	}
	return nil
}

// Close ends the exchange with the store: the connection is kept when everything has been read and dropped otherwise.
func (b *openedBody) Close() error {
	if b.closed {
		return nil
	}
	b.closed = true
	err := b.src.Close()
	if b.count != nil {
		b.count(b.fetched)
	}
	if b.opener != nil {
		b.opener.Close()
	}
	if b.stale != nil && errors.Is(b.err, stream.ErrStream) {
		b.stale()
	}
	b.dek.Zero()
	if b.buf != nil {
		b.buf.Filled(b.most)
		b.memory.Release(b.buf)
	}
	failure := b.err
	if failure == nil && b.left > 0 {
		failure = errClientGone
	}
	b.opening.end(failure)
	if b.report != nil {
		b.report(failure)
	}
	return err
}

var errClientGone = errors.New("client went away")
