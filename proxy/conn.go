package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// countedListener hands out connections that are counted and whose writes may take any time as long as they move.
type countedListener struct {
	net.Listener
	s *Server
}

// Accept waits for the next connection.
func (l *countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.s.conns.Add(1)
	return &countedConn{Conn: c, s: l.s}, nil
}

// countedConn lies below TLS: a TLS write that has timed out cannot be resumed, a plain one can.
type countedConn struct {
	net.Conn
	s      *Server
	once   sync.Once
	armed  time.Time   // when the write deadline was last set
	heard  atomic.Bool // the client has sent something
	unread atomic.Bool // the client may still be sending a body that nobody wants
}

// Read notes that the client has sent something.
func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.heard.Load() {
		c.heard.Store(true)
	}
	return n, err
}

// silent reports whether nothing was ever received on a connection.
func silent(c net.Conn) bool {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	counted, ok := c.(*countedConn)
	return ok && !counted.heard.Load()
}

// Write sends p as a whole. The stall limit counts from the last byte that moved, not from the start of the answer.
func (c *countedConn) Write(p []byte) (written int, err error) {
	for {
		if now := time.Now(); now.Sub(c.armed) >= renewEvery(c.s.limits.StallTimeout) {
			c.armed = now
			if err := c.Conn.SetWriteDeadline(now.Add(c.s.limits.StallTimeout)); err != nil {
				return written, err
			}
		}
		n, err := c.Conn.Write(p)
		written += n
		if n == 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return written, err
		}
		p = p[n:]
		c.armed = time.Time{}
	}
}

// SetWriteDeadline is the engine's, which means a whole answer by it; Write keeps its own.
func (c *countedConn) SetWriteDeadline(time.Time) error { return nil }

// Close closes the connection and stops counting it.
func (c *countedConn) Close() error {
	c.once.Do(func() {
		if c.unread.Load() {
			c.linger()
		}
		c.s.conns.Add(-1)
	})
	return c.Conn.Close()
}

// How much of an unwanted body is read, and for how long, before its connection is closed.
const (
	lingerBytes = 8 << 20
	lingerTime  = time.Second
)

// linger reads on for a moment after the answer: closing with unread bytes resets the connection, and the reset can overtake
// the answer, which then nobody sees.
func (c *countedConn) linger() {
	if t, ok := c.Conn.(*net.TCPConn); !ok || t.CloseWrite() != nil {
		return
	}
	if c.Conn.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
	}
}

// abandonBody closes the connection after the answer without having read the request's body.
func (x *exchange) abandonBody() {
	x.ctx.SetConnectionClose()
	nc := x.ctx.Conn()
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	if c, ok := nc.(*countedConn); ok {
		c.unread.Store(x.body == nil || x.body.failed == nil)
	}
}

// Serve accepts connections until Shutdown.
func (s *Server) Serve(ln net.Listener) error {
	return s.http.Serve(&countedListener{Listener: ln, s: s})
}

// ServeTLS is Serve behind TLS.
func (s *Server) ServeTLS(ln net.Listener, config *tls.Config) error {
	return s.http.Serve(tls.NewListener(&countedListener{Listener: ln, s: s}, config))
}
