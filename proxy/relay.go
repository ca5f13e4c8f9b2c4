package proxy

import (
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"s3veil/proxy/conn"
	"s3veil/proxy/forward"
	"s3veil/proxy/s3err"
)

// opRelay is the name of a plain request for another host in logs.
const opRelay = "Relay"

// checkRelay refuses plain requests for other hosts that cannot be passed on as they are.
func (x *exchange) checkRelay() error {
	x.req.Op = opRelay
	switch {
	case x.head.Scheme != "http":
		return forwardMalformed(errors.New("https in a plain request: other hosts take a CONNECT"))
	case forward.Loops(x.head.Fields):
		return forwardRefused("the request has come through s3veil before")
	}
	_, err := x.head.AnnouncedLength()
	if err != nil {
		return forwardMalformed(err)
	}
	return nil
}

// relay passes a plain request for another host on, body and answer as they are.
func (x *exchange) relay() error {
	r := &forward.Request{Method: x.head.Method, Path: x.head.Path, Query: x.head.Query, Host: x.head.Host, Header: x.head.Fields}
	body, err := x.openBody()
	if err != nil {
		return err
	}
	lent := &lentBody{src: body, done: make(chan struct{})}
	if r.Length = body.length; r.Length != 0 {
		r.Body = lent
	} else {
		_ = lent.Close()
	}
	resp, err := x.st.forward.Relay(x.via.target, x.source, r)
	if err != nil {
		lent.takeBack(x)
		err = forwardError(asRefusal(err))
		x.s.metrics.Forward(forwardOutcome(err))
		return err
	}
	if resp.StatusCode == 101 { // it speaks something else from here on, though no Upgrade has been passed on
		_ = resp.Body.Close()
		lent.takeBack(x)
		x.s.metrics.Forward("failed")
		return forwardError(errSwitched)
	}
	x.s.metrics.Forward("relayed")
	x.code = strconv.Itoa(resp.StatusCode)
	x.ctx.Response.SetStatusCode(resp.StatusCode)
	for _, f := range forward.AnswerHeaders(resp.Header) {
		x.ctx.Response.Header.Add(f.Name, f.Value)
	}
	x.ctx.Response.Header.Add("Via", "1.1 s3veil")
	if x.head.Method == "HEAD" {
		lent.takeBack(x)
		x.ctx.Response.SkipBody = true
		x.ctx.Response.Header.SetContentLength(int(max(resp.ContentLength, 0)))
		return resp.Body.Close()
	}
	if resp.ContentLength < 0 && x.head.Old {
		lent.takeBack(x)
		x.relayToTheEnd(resp.Body)
		return nil
	}
	x.streaming, x.lent = true, !lent.returned()
	x.ctx.Response.SetBodyStream(&relayedBody{x: x, src: resp.Body, lent: lent}, int(resp.ContentLength))
	return nil
}

var errSwitched = errors.New("the host switches protocols unasked")

// relayToTheEnd sends an answer of unknown length to a client of HTTP/1.0, which knows no chunks: the answer ends with the
// connection. The engine has no such form, and takes its request back before the answer begins.
func (x *exchange) relayToTheEnd(body io.ReadCloser) {
	x.ctx.SetConnectionClose()
	head := append([]byte(nil), x.ctx.Response.Header.Header()...)
	stall := x.s.limits.StallTimeout
	x.ctx.HijackSetNoResponse(true)
	x.ctx.Hijack(func(c net.Conn) {
		defer body.Close()
		buf, n, err := head, len(head), error(nil)
		for {
			_ = c.SetWriteDeadline(time.Now().Add(stall))
			if _, werr := c.Write(buf[:n]); werr != nil || err != nil {
				return
			}
			if len(buf) < 32<<10 {
				buf = make([]byte, 32<<10)
			}
			n, err = body.Read(buf)
		}
	})
}

// lentBody is a request's body in the hands of the client of another host, which may go on reading when it has an answer.
// The engine's stream must not be touched after the exchange.
type lentBody struct {
	src  io.Reader
	over atomic.Bool
	once sync.Once
	done chan struct{}
}

// Read reads on behalf of the other client.
func (b *lentBody) Read(p []byte) (int, error) {
	if b.over.Load() {
		return 0, errShortBody
	}
	return b.src.Read(p)
}

// Close is called by the other client when it does not read any more.
func (b *lentBody) Close() error {
	b.once.Do(func() { close(b.done) })
	return nil
}

func (b *lentBody) returned() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// takeBack ends the lending: a Read under way is cut off.
func (b *lentBody) takeBack(x *exchange) {
	b.over.Store(true)
	counted, _ := conn.Below(x.ctx.Conn())
	for !b.returned() {
		if counted != nil {
			counted.Interrupt() // a Read that has just begun may move its deadline once more
		}
		select {
		case <-b.done:
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// relayedBody is the body of another host's answer.
type relayedBody struct {
	x    *exchange
	src  io.ReadCloser
	lent *lentBody
	err  error
}

// Read returns what has arrived.
func (b *relayedBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.src.Read(p)
	b.x.note.out += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		b.x.code = s3err.BadGateway.Code
	}
	b.err = err
	return n, err
}

// Close ends the exchange.
func (b *relayedBody) Close() error {
	if b.x == nil {
		return nil
	}
	err := b.src.Close()
	b.lent.takeBack(b.x)
	b.x.finish()
	b.x = nil
	return err
}
