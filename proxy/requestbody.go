package proxy

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"s3veil/proxy/conn"
	"s3veil/proxy/s3err"
)

// requestBody reads the body of a request from the engine and counts it: the engine's stream ends in a clean EOF when the
// client dies. It keeps a rolling deadline: a slow upload goes on, a stalled one is cut.
type requestBody struct {
	x       *exchange
	stream  io.Reader
	length  int64 // -1: chunked
	n       int64
	eof     bool
	failed  error
	renewed time.Time
}

// announcedTooLarge refuses an object or a part by the length that its head announces.
func (x *exchange) announcedTooLarge() error {
	if x.req.Op != "PutObject" && x.req.Op != "UploadPart" {
		return nil
	}
	text := orDefault(x.head.Get("x-amz-decoded-content-length"), x.head.Get("content-length"))
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > maxPut {
		return s3err.TooLarge(n, maxPut)
	}
	return nil
}

// openBody returns the request's body; it may be called once.
func (x *exchange) openBody() (*requestBody, error) {
	n, err := x.head.AnnouncedLength()
	if err != nil {
		return nil, s3err.InvalidRequest.With(err)
	}
	x.body = &requestBody{x: x, length: n, stream: x.ctx.RequestBodyStream()}
	if n == 0 || x.body.stream == nil {
		x.body.stream = eofReader{}
	}
	return x.body, nil
}

type eofReader struct{}

func (eofReader) Read([]byte) (int, error) { return 0, io.EOF }

// Read returns the body's bytes. A body that ends before its announced length is errShortBody, which is neither io.EOF nor
// io.ErrUnexpectedEOF: both mean "end of plaintext" to an encryption engine.
func (b *requestBody) Read(p []byte) (int, error) {
	if b.failed != nil {
		return 0, b.failed
	}
	if b.eof || b.n == b.length {
		b.eof = true
		return 0, io.EOF
	}
	if b.length >= 0 && int64(len(p)) > b.length-b.n {
		p = p[:b.length-b.n]
	}
	b.renew()
	n, err := b.stream.Read(p)
	b.n += int64(n)
	switch {
	case err == io.EOF && b.length >= 0 && b.n < b.length:
		b.failed = errShortBody
	case err == io.EOF:
		b.eof = true
	case errors.Is(err, os.ErrDeadlineExceeded): // RequestTimeout, which clients try again
		b.failed = fmt.Errorf("%w: %w", errShortBody, err)
	case err != nil:
		b.failed = fmt.Errorf("%w: %v", errShortBody, err)
	}
	switch {
	case n > 0:
		return n, nil
	case b.failed != nil:
		return 0, b.failed
	case b.eof:
		return 0, io.EOF
	}
	return 0, nil
}

// renew moves the read deadline, at most once a second: a runtime timer costs more than the read of a small chunk.
func (b *requestBody) renew() {
	now, stall := time.Now(), b.x.s.limits.StallTimeout
	if now.Sub(b.renewed) < conn.RenewEvery(stall) {
		return
	}
	b.renewed = now
	_ = b.x.ctx.Conn().SetReadDeadline(now.Add(stall))
}

// bodyDone reports whether nothing of the request's body is left on the connection, so that it can carry another request.
func (x *exchange) bodyDone() bool {
	if x.lent {
		return false
	}
	if x.body != nil {
		return x.body.failed == nil && (x.body.eof || x.body.n == x.body.length)
	}
	n, err := x.head.AnnouncedLength()
	return err == nil && n == 0
}

// drainLimit is how much of an unwanted body is read to keep a connection.
const drainLimit = 64 << 10

// discardBody reads a small rest of the body, for operations that have none by rights.
func (x *exchange) discardBody() error {
	body, err := x.openBody()
	if err != nil {
		return err
	}
	if body.length == 0 {
		return nil
	}
	n, err := io.Copy(io.Discard, io.LimitReader(body, drainLimit+1))
	if err != nil {
		return s3err.IncompleteBody.With(err)
	}
	if n > drainLimit {
		return s3err.InvalidRequest.With(fmt.Errorf("unexpected body"))
	}
	return nil
}
