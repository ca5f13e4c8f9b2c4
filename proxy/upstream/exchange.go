package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/valyala/fasthttp"

	"s3veil/sigv4"
)

// lastWord is how long a failed write waits for the answer that may explain it.
const lastWord = 2 * time.Second

// smallBody is the size up to which a body is written before the answer is awaited: it fits into the socket's buffers.
const smallBody = bufferSize

// failure is an exchange without an answer.
type failure struct {
	err error
	// unsent: the store has seen nothing of the request. final: trying again does not help.
	unsent, final bool
}

func (e *failure) Error() string { return ErrUnavailable.Error() + ": " + e.err.Error() }
func (e *failure) Unwrap() []error {
	return []error{ErrUnavailable, e.err}
}

// message is a signed request, ready to be written.
type message struct {
	method, target, host string
	header               []Field
	body                 Body // nil for none
	wire                 wire
	seed                 sigv4.ChunkSeed
	timeout              time.Duration // for the answer
	asked                bool          // the body has been asked for its bytes
}

// link is a connection taken from a pool, with what else an exchange holds.
type link struct {
	nc  net.Conn
	raw *conn
	put func(reuse bool)

	c    *Client
	h    *fasthttp.HostClient
	br   *bufio.Reader
	pair *pair       // of the slot, nil for none
	stop func() bool // ends the watch over the context, nil for none
}

// finish gives everything back, the connection for the next request or closed.
func (l *link) finish(reuse bool) {
	if l.stop != nil {
		reuse = l.stop() && reuse
	}
	l.h.ReleaseReader(l.br)
	l.put(reuse)
	l.c.release(l.pair)
}

// connect takes an idle connection that is still good, or opens one. fasthttp dials without a context, so where one can
// be cancelled a goroutine does it and leaves a late connection to the pool.
func (c *Client) connect(ctx context.Context, h *fasthttp.HostClient) (*link, error) {
	if ctx.Done() == nil || h.IdleConnsCount() > 0 {
		return c.pooled(h)
	}
	type result struct {
		l   *link
		err error
	}
	got := make(chan result, 1)
	go func() {
		l, err := c.pooled(h)
		got <- result{l, err}
	}()
	select {
	case r := <-got:
		return r.l, r.err
	case <-ctx.Done():
		go func() {
			if r := <-got; r.err == nil {
				r.l.put(true)
			}
		}()
		return nil, &failure{err: context.Cause(ctx), unsent: true, final: true}
	}
}

func (c *Client) pooled(h *fasthttp.HostClient) (*link, error) {
	for {
		cc, err := h.AcquireConn(0, false)
		if err != nil {
			var hs *handshakeError
			final := errors.As(err, &hs) || errors.Is(err, errProxy) || isTimeout(err)
			return nil, &failure{err: err, unsent: true, final: final}
		}
		l := &link{nc: cc.Conn(), raw: rawConn(cc.Conn())}
		l.put = func(reuse bool) {
			if reuse && l.raw.SetReadDeadline(time.Time{}) == nil {
				h.ReleaseConn(cc)
				return
			}
			// Without TLS's goodbye: a body that was cut off must not look finished.
			_ = l.raw.Close()
			h.CloseConn(cc)
		}
		if cc.LastUseTime().IsZero() || alive(l.raw) {
			return l, nil
		}
		l.put(false)
	}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// exchange sends a message over one connection and returns the answer as soon as its head is there. Errors are a
// *failure, ErrBusy, or what the body's WriteTo returned.
func (c *Client) exchange(ctx context.Context, h *fasthttp.HostClient, m *message) (*Response, error) {
	slot, err := c.acquire(ctx)
	if err != nil {
		return nil, err
	}
	l, err := c.connect(ctx, h)
	if err != nil {
		c.release(slot)
		return nil, err
	}
	c.observeConns()
	l.c, l.h, l.br, l.pair = c, h, h.AcquireReader(l.nc), slot
	if ctx.Done() != nil {
		l.stop = context.AfterFunc(ctx, l.raw.stop)
	}
	head := headers.Get().(*fasthttp.ResponseHeader)
	defer headers.Put(head)

	whole, err := c.converse(h, l, l.br, head, m)
	if err != nil {
		l.finish(false)
		if ctx.Err() != nil && isFailure(err) {
			return nil, &failure{err: context.Cause(ctx), final: true}
		}
		return nil, err
	}
	return respond(ctx, m.method, head, l, whole), nil
}

func isFailure(err error) bool {
	var f *failure
	return errors.As(err, &f)
}

// converse writes m and reads the head of the answer. whole is false where the answer came before the whole body was
// written; the connection cannot be used again then.
func (c *Client) converse(h *fasthttp.HostClient, l *link, br *bufio.Reader, head *fasthttp.ResponseHeader, m *message) (whole bool, err error) {
	bw := h.AcquireWriter(l.nc)
	defer h.ReleaseWriter(bw)
	writeHead(bw, m)
	if m.body == nil || m.body.Len() <= smallBody {
		wErr, bErr := c.write(bw, l, m)
		if bErr != nil {
			l.raw.abort()
			return false, bErr
		}
		return c.hear(l, br, head, m, wErr)
	}

	if err := l.raw.awaitNothing(); err != nil {
		return false, &failure{err: err, unsent: true}
	}
	heard := make(chan error, 1)
	go func() {
		err := readHead(br, head)
		if err != nil || head.StatusCode()/100 != 2 {
			l.raw.stopWriting()
		}
		heard <- err
	}()
	wErr, bErr := c.write(bw, l, m)
	switch {
	case bErr != nil:
		l.raw.abort()
		<-heard
		return false, bErr
	case wErr != nil && isTimeout(wErr) && !l.raw.stopWrites.Load():
		l.raw.abort()
		<-heard
		return false, &failure{err: fmt.Errorf("no progress within %v: %w", c.o.Stall, wErr), final: true}
	case wErr != nil:
		_ = l.raw.awaitAnswer(min(lastWord, m.timeout))
	default:
		_ = l.raw.awaitAnswer(m.timeout)
	}
	err = <-heard
	if wErr == nil && err == nil {
		l.raw.stopWrites.Store(false)
	}
	return judgeHead(head, m, wErr, err)
}

// hear reads the head of the answer to a request that has been written, or not quite.
func (c *Client) hear(l *link, br *bufio.Reader, head *fasthttp.ResponseHeader, m *message, wErr error) (whole bool, err error) {
	wait := m.timeout
	if wErr != nil {
		wait = min(lastWord, wait)
	}
	if err := l.raw.awaitAnswer(wait); err != nil {
		return false, &failure{err: err}
	}
	return judgeHead(head, m, wErr, readHead(br, head))
}

// judgeHead combines how writing and reading went: an answer counts, but success to a body that was not taken whole does
// not.
func judgeHead(head *fasthttp.ResponseHeader, m *message, wErr, rErr error) (whole bool, err error) {
	switch {
	case rErr == nil && wErr == nil:
		return true, nil
	case rErr == nil && head.StatusCode()/100 != 2:
		return false, nil
	case errors.Is(rErr, errHead):
		return false, &failure{err: rErr, final: true}
	case wErr != nil && !errors.Is(wErr, errStopped) && !isTimeout(wErr):
		return false, &failure{err: fmt.Errorf("sending: %w", wErr)}
	case rErr == nil:
		return false, &failure{err: fmt.Errorf("answered %d before it had the body, and stopped reading", head.StatusCode())}
	case isTimeout(rErr):
		return false, &failure{err: fmt.Errorf("no answer within %v", m.timeout), final: true}
	default:
		// Not wrapped: this end is not that of a stream.
		return false, &failure{err: fmt.Errorf("closed without an answer: %s", rErr)}
	}
}

// write writes head and body. wErr is the connection's failure, bErr the body's.
func (c *Client) write(bw *bufio.Writer, l *link, m *message) (wErr, bErr error) {
	if m.body == nil {
		return bw.Flush(), nil
	}
	w := &bodyWriter{bw: bw, nc: l.nc, wire: m.wire, seed: m.seed}
	m.asked = true
	err := w.send(m.body)
	if w.err != nil {
		return w.err, nil
	}
	return nil, err
}

// abort closes the connection by a reset, so that the bytes sent so far cannot be mistaken for a message.
func (c *conn) abort() {
	if t, ok := c.Conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

func writeHead(bw *bufio.Writer, m *message) {
	// Errors of bw stay and come back with Flush.
	put := func(parts ...string) {
		for _, s := range parts {
			_, _ = bw.WriteString(s)
		}
	}
	put(m.method, " ", m.target, " HTTP/1.1\r\nHost: ", m.host, "\r\n")
	for i := range m.header {
		put(m.header[i].Name, ": ", m.header[i].Value, "\r\n")
	}
	put("\r\n")
}

// bodiless reports whether a request without a body has no Content-Length either.
func bodiless(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodOptions:
		return true
	}
	return false
}
