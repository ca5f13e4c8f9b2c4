package proxy

import (
	"bytes"
	"io"
	"runtime/debug"
	"time"

	"s3veil/proxy/s3err"
)

// keepaliveAfter is when a slow Complete or Copy begins to answer, and how often it then sends white space. Only tests
// change it.
var keepaliveAfter = 10 * time.Second

// slowAnswer is the outcome of an operation that may take minutes.
type slowAnswer struct {
	doc  func(started bool) []byte // started: without XML declaration, which white space may not precede
	head func()                    // sets status and headers; only called when the answer has not begun yet
}

type slowOutcome struct {
	answer *slowAnswer
	err    error
}

// slow runs an operation whose answer S3 allows to begin before its end is known: from keepaliveAfter on the client gets
// status 200 and white space, and an error is an <Error> document then. work must not touch the engine's request context.
func (x *exchange) slow(work func() (*slowAnswer, error)) error {
	done := make(chan slowOutcome, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				x.s.log.Error("panic", "request_id", x.id, "panic", p, "stack", string(debug.Stack()))
				done <- slowOutcome{err: s3err.InternalError.With(errPanic)}
			}
		}()
		a, err := work()
		done <- slowOutcome{a, err}
	}()
	timer := time.NewTimer(keepaliveAfter)
	defer timer.Stop()
	begin := timer.C
	if !x.ctx.Request.Header.IsHTTP11() {
		begin = nil // HTTP/1.0 has no chunks, so nothing can be sent before the length is known
	}
	select {
	case out := <-done:
		if out.err != nil {
			return out.err
		}
		if out.answer.head != nil {
			out.answer.head()
		}
		return x.xml(200, out.answer.doc(false))
	case <-begin:
	}
	x.ctx.Response.SetStatusCode(200)
	x.code = "200"
	x.set("x-amz-request-id", x.id) // the store's id belongs to the worker until it is done
	x.ctx.Response.Header.SetContentType("application/xml")
	x.streaming = true
	x.ctx.Response.SetBodyStream(&slowBody{x: x, done: done}, -1)
	return nil
}

// slowBody sends white space until the outcome is known, then its document.
type slowBody struct {
	x       *exchange
	done    chan slowOutcome
	left    []byte
	settled bool
}

// Read blocks for one keepalive interval at most.
func (b *slowBody) Read(p []byte) (int, error) {
	if len(b.left) > 0 {
		n := copy(p, b.left)
		b.left = b.left[n:]
		return n, nil
	}
	if b.settled {
		return 0, io.EOF
	}
	select {
	case out := <-b.done:
		b.settled = true
		if out.err != nil {
			e := s3err.From(out.err)
			b.x.code, b.x.note.class = e.Code, e.Class
			b.x.logFailure(e)
			b.left = withoutProlog(s3err.Body(e, b.x.resource(), b.x.id, b.x.storeID))
		} else {
			b.left = out.answer.doc(true)
		}
		return b.Read(p)
	case <-time.After(keepaliveAfter):
		return copy(p, " "), nil
	}
}

// Close ends the exchange when the work is done.
func (b *slowBody) Close() error {
	x := b.x
	if x == nil {
		return nil
	}
	b.x = nil
	if b.settled {
		x.finish()
		return nil
	}
	go func() { // the client has gone, the work goes on
		if out := <-b.done; out.err != nil {
			e := s3err.From(out.err)
			x.code, x.note.class = e.Code, e.Class
			x.logFailure(e)
		}
		x.end(200)
	}()
	return nil
}

// withoutProlog drops the XML declaration: white space has gone before, and a declaration may stand only at the very start.
func withoutProlog(doc []byte) []byte {
	if rest, ok := bytes.CutPrefix(doc, []byte("<?xml")); ok {
		if i := bytes.Index(rest, []byte("?>")); i >= 0 {
			return bytes.TrimLeft(rest[i+2:], "\r\n")
		}
	}
	return doc
}
