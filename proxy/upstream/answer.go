package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// maxInterim bounds the 1xx answers before the one that counts.
const maxInterim = 100

var errHead = errors.New("malformed answer")

// headers are used for one answer each and then again.
var headers = sync.Pool{New: func() any { return new(fasthttp.ResponseHeader) }}

// readHead reads the head of the answer that counts. A head that does not fit into br is errHead.
func readHead(br *bufio.Reader, h *fasthttp.ResponseHeader) error {
	h.Reset()
	h.DisableNormalizing()
	h.SetNoDefaultContentType(true)
	for range maxInterim {
		// Header.Read takes every failure of its first read for an end.
		if _, err := br.Peek(1); err != nil {
			return err
		}
		if err := h.Read(br); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return io.ErrUnexpectedEOF
			}
			var timeout interface{ Timeout() bool }
			if errors.As(err, &timeout) && timeout.Timeout() {
				return err
			}
			return fmt.Errorf("%w: %w", errHead, err)
		}
		switch status := h.StatusCode(); {
		case status >= 200 && status < 600:
			return nil
		case status < 100 || status == http.StatusSwitchingProtocols || status >= 600:
			return fmt.Errorf("%w: status %d", errHead, status)
		}
	}
	return fmt.Errorf("%w: more than %d interim answers", errHead, maxInterim)
}

// fields copies the headers, names in lower case, into two allocations. It reports whether the store will close.
func fields(h *fasthttp.ResponseHeader) (list []Field, closing bool) {
	count, size := 0, 0
	for k, v := range h.All() {
		count++
		size += len(k) + len(v)
	}
	text := make([]byte, 0, size)
	for k, v := range h.All() {
		for _, b := range k {
			if 'A' <= b && b <= 'Z' {
				b |= 0x20
			}
			text = append(text, b)
		}
		text = append(text, v...)
	}
	rest := string(text)
	list = make([]Field, 0, count)
	closing = h.ConnectionClose()
	for k, v := range h.All() {
		f := Field{Name: rest[:len(k)], Value: rest[len(k) : len(k)+len(v)]}
		rest = rest[len(k)+len(v):]
		if f.Name == "connection" && strings.Contains(strings.ToLower(f.Value), "close") {
			closing = true
		}
		list = append(list, f)
	}
	return list, closing
}

// answer is the body of an answer; the connection goes back when it is closed.
type answer struct {
	ctx   context.Context
	link  *link
	left  int64     // of a declared length
	lines io.Reader // chunked, or up to the end of the connection; nil with a declared length
	// chunked answers have a trailer behind their last chunk.
	chunked bool
	reuse   bool // the store leaves the connection open

	mu     sync.Mutex
	closed atomic.Bool
	done   bool
	err    error
}

// Read reads; large reads are not buffered.
func (a *answer) Read(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed.Load() {
		return 0, errStopped
	}
	if a.err != nil {
		return 0, a.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	var n int
	var err error
	if a.lines == nil {
		n, err = a.link.br.Read(p[:min(int64(len(p)), a.left)])
		a.left -= int64(n)
		if a.left == 0 {
			a.done, a.err = true, io.EOF
			return n, nil
		}
		if err != nil {
			a.err = a.cut(err)
		}
		return n, a.err
	}
	n, err = a.lines.Read(p)
	switch {
	case err == nil:
	case err != io.EOF:
		a.err = a.cut(err)
	case a.chunked && skipTrailer(a.link.br) != nil:
		a.err = a.cut(io.ErrUnexpectedEOF)
	default:
		a.done, a.err = a.chunked, io.EOF
	}
	return n, a.err
}

// cut hides the cause: to the encryption engine io.EOF and io.ErrUnexpectedEOF mean the end of a stream (DATAPATH.md S5).
func (a *answer) cut(err error) error {
	if a.ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(a.ctx))
	}
	return fmt.Errorf("%w: the answer broke off: %s", ErrUnavailable, err)
}

// Close gives the connection back, or closes it when the answer has not been read to its end.
func (a *answer) Close() error {
	if a.closed.Swap(true) {
		return nil
	}
	if !a.mu.TryLock() {
		a.link.raw.stop() // wakes the read under way
		a.mu.Lock()
	}
	defer a.mu.Unlock()
	a.link.finish(a.done && a.link.br.Buffered() == 0 && a.reuse)
	return nil
}

// skipTrailer reads the trailer section of a chunked answer, whose fields nobody has asked for.
func skipTrailer(br *bufio.Reader) error {
	for range 64 {
		line, err := br.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			return nil
		}
	}
	return errHead
}

// respond turns a head into a Response. The connection goes back at once where no body follows.
func respond(ctx context.Context, method string, h *fasthttp.ResponseHeader, l *link, whole bool) *Response {
	list, closing := fields(h)
	length := int64(h.ContentLength())
	chunked := length == -1
	r := &Response{Status: h.StatusCode(), Header: list, ContentLength: max(length, -1)}
	reuse := whole && !closing
	if method == http.MethodHead || r.Status == http.StatusNoContent || r.Status == http.StatusNotModified || length == 0 {
		l.finish(reuse && l.br.Buffered() == 0)
		r.Body = http.NoBody
		return r
	}
	a := &answer{ctx: ctx, link: l, left: length, chunked: chunked, reuse: reuse}
	switch {
	case chunked:
		a.lines = httputil.NewChunkedReader(l.br)
	case length < 0:
		a.lines = l.br
	}
	l.raw.rolling.Store(true)
	r.Body = a
	return r
}
