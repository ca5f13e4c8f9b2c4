package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"s3veil/proxy/conn"
	"s3veil/proxy/forward"
	"s3veil/proxy/s3err"
)

// opConnect is the name of CONNECT in logs; in metrics it counts among the others.
const opConnect = "CONNECT"

// established answers a CONNECT. It has no Content-Length, which the engine would write (RFC 9110 9.3.6).
const established = "HTTP/1.1 200 Connection Established\r\n\r\n"

// handleConnect answers CONNECT: S3 hosts are intercepted, others tunnelled.
func (s *Server) handleConnect(ctx *fasthttp.RequestCtx) {
	x := s.newExchange(ctx)
	x.req.Op = opConnect
	var host net.Conn
	err := x.guard(func() (err error) {
		host, err = x.connect()
		return err
	})
	if x.via != nil {
		x.via.other = true // no object is concerned yet
	}
	if err != nil {
		s.metrics.Forward(forwardOutcome(err))
		x.fail(err)
		ctx.SetConnectionClose()
		x.finish()
		return
	}
	counted, _ := conn.Below(ctx.Conn())
	j := &junction{s: s, st: x.st, target: x.via.target, counted: counted, host: host, id: x.id, source: x.source.String()}
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(j.run)
	x.code = "200"
	x.finish()
}

func forwardOutcome(err error) string {
	if s3err.From(err).Status >= 500 {
		return "failed"
	}
	return "refused"
}

// connect judges a CONNECT. host is the connection to another host, nil for an S3 host.
func (x *exchange) connect() (host net.Conn, err error) {
	if x.head, err = parseFields(&x.ctx.Request.Header); err != nil {
		return nil, forwardMalformed(err)
	}
	x.head.method, x.head.path = fasthttp.MethodConnect, "/"
	x.beginTrace()
	f := x.st.forward
	switch {
	case x.via == nil:
		return nil, s3err.MethodNotAllowed.Closing()
	case f == nil:
		return nil, forwardRefused("the forward proxy is switched off")
	case !f.Admits(x.source):
		return nil, forwardRefused("clients may not come from " + x.source.String())
	case x.via.connected:
		return nil, forwardMalformed(errors.New("CONNECT inside a CONNECT"))
	case x.head.has("transfer-encoding") || x.head.has("content-length") && x.head.get("content-length") != "0":
		return nil, forwardMalformed(errors.New("CONNECT with a body"))
	case x.head.count("host") > 1:
		return nil, forwardMalformed(errors.New("more than one Host header"))
	}
	if x.via.target, err = forward.ParseTarget(string(x.ctx.Request.Header.RequestURI()), 0); err != nil {
		return nil, forwardMalformed(err)
	}
	if h := x.head.get("host"); h != "" && !x.via.target.Is(h, x.via.target.Port) {
		return nil, forwardMalformed(fmt.Errorf("CONNECT to %s, but Host %q", x.via.target, h))
	}
	if err := x.authenticateProxy(f); err != nil {
		return nil, err
	}
	if x.via.place, err = f.Decide(x.via.target); err != nil {
		return nil, forwardError(err)
	}
	if !x.via.place.S3 {
		host, err = x.dialOther()
		return host, forwardError(asRefusal(err))
	}
	if !f.Intercepts() {
		return nil, forwardRefused("TLS to " + x.via.target.Host + " cannot be intercepted without forward.ca_file")
	}
	return nil, nil
}

// asRefusal finds the refusal in an error of a connection, so that it becomes the client's answer.
func asRefusal(err error) error {
	var r *forward.Refusal
	if errors.As(err, &r) {
		return r
	}
	return err
}

// junction is a CONNECT that has been answered. The engine's request belongs to others by then.
type junction struct {
	s       *Server
	st      *state
	target  forward.Target
	counted *conn.Conn
	host    net.Conn // nil: intercepted
	id      string
	source  string
}

// run is called by the engine with the connection, which it closes afterwards.
func (j *junction) run(c net.Conn) {
	attrs := []any{"request_id", j.id, "target", j.target.String(), "source", j.source}
	if _, err := io.WriteString(c, established); err != nil {
		if j.host != nil {
			_ = j.host.Close()
		}
		return
	}
	if j.host == nil {
		if err := j.intercept(c); err != nil {
			j.s.metrics.Forward("failed")
			j.s.log.Info("interception failed", append(attrs, "cause", err.Error())...)
		}
		return
	}
	j.s.metrics.Forward("tunnelled")
	t := j.st.forward.NewTunnel(&halfCloser{c, j.counted}, j.host)
	if !j.s.tunnels.add(t) {
		t.Close()
		return
	}
	defer j.s.tunnels.remove(t)
	up, down, err := t.Run()
	if err != nil {
		j.s.metrics.Forward("refused")
		j.s.log.Warn("tunnel cut", append(attrs, "cause", err.Error())...)
		return
	}
	j.s.log.Debug("tunnel ended", append(attrs, "bytes_up", up, "bytes_down", down)...)
}

// tlsHandshake begins every record of a handshake (RFC 8446 5.1).
const tlsHandshake = 22

// intercept serves S3 inside a CONNECT, with TLS where the client begins with it.
func (j *junction) intercept(c net.Conn) error {
	if err := c.SetReadDeadline(time.Now().Add(j.s.limits.HeadTimeout)); err != nil {
		return err
	}
	var first [1]byte
	if _, err := io.ReadFull(c, first[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return nil // a connection opened ahead of need and never used
		}
		return err
	}
	inner := intercepted{Conn: &ahead{c, first[:]}, counted: j.counted, target: j.target}
	if first[0] != tlsHandshake {
		j.s.metrics.Forward("intercepted")
		return j.served(j.s.http.ServeConn(&inner))
	}
	secured := tls.Server(inner.Conn, j.st.forward.ServerTLS(j.target))
	if err := secured.Handshake(); err != nil {
		return handshakeFailure(err)
	}
	j.s.metrics.Forward("intercepted")
	inner.Conn = secured
	return j.served(j.s.http.ServeConn(&interceptedTLS{inner, secured}))
}

// served is the end of an intercepted connection: how it ended is no concern, each request has had its line.
func (j *junction) served(err error) error {
	if err != nil {
		j.s.log.Debug("intercepted connection ended", "target", j.target.String(), "cause", err.Error())
	}
	return nil
}

// handshakeFailure says what the operator can do about a client that breaks the handshake off.
func handshakeFailure(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" { // an alert of the client's
		return fmt.Errorf("the client refuses TLS, as one does that does not trust the forward proxy's certificate authority: %w", err)
	}
	return fmt.Errorf("TLS with the client: %w", err)
}

// ahead is a connection of which some bytes have been read.
type ahead struct {
	net.Conn
	start []byte
}

// Read returns what was read ahead first.
func (c *ahead) Read(p []byte) (int, error) {
	if len(c.start) > 0 {
		n := copy(p, c.start)
		c.start = c.start[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// halfCloser is a client's connection whose sending side can end by itself.
type halfCloser struct {
	net.Conn
	counted *conn.Conn
}

// CloseWrite ends what the client receives.
func (c *halfCloser) CloseWrite() error { return c.counted.CloseWrite() }

// Close closes the connection itself: the engine's wrapper waits for the end of its handler.
func (c *halfCloser) Close() error { return c.counted.Close() }

// tunnels are those under way.
type tunnels struct {
	mu   sync.Mutex
	open map[*forward.Tunnel]struct{}
	over bool
}

func (t *tunnels) add(one *forward.Tunnel) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return false
	}
	if t.open == nil {
		t.open = map[*forward.Tunnel]struct{}{}
	}
	t.open[one] = struct{}{}
	return true
}

func (t *tunnels) remove(one *forward.Tunnel) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, one)
}

func (t *tunnels) count() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return int64(len(t.open))
}

// quietTunnel is how long nothing has moved in a tunnel that may be closed when s3veil stops.
const quietTunnel = 2 * time.Second

// end lets tunnels go on while something moves in them, and closes all when ctx ends.
func (t *tunnels) end(ctx context.Context) error {
	t.mu.Lock()
	t.over = true
	t.mu.Unlock()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		t.mu.Lock()
		left := len(t.open)
		for one := range t.open {
			if one.Idle() > quietTunnel || ctx.Err() != nil {
				one.Close()
			}
		}
		t.mu.Unlock()
		if left == 0 || ctx.Err() != nil {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}
