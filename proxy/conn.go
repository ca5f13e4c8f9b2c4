package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// countedConn is a client's TCP connection, below TLS: a TLS write that has timed out cannot be resumed, a plain one can. It
// is counted, its writes may take any time as long as they move, and its read deadline costs a timer only now and then.
type countedConn struct {
	net.Conn
	s      *Server
	once   sync.Once
	armed  time.Time   // when the write deadline was last set
	heard  atomic.Bool // the client has sent something
	unread atomic.Bool // the client may still be sending a body that nobody wants

	forward bool // accepted on the forward port

	// The read deadline asked for, and the one that the runtime knows, which may be an earlier one: then Read goes on. The
	// engine asks for two per request, and a runtime timer costs as much as a small read. Both belong to the reading goroutine.
	until, timer time.Time
}

// Read reads up to the deadline. It notes that the client has sent something.
func (c *countedConn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if n > 0 && !c.heard.Load() {
			c.heard.Store(true)
		}
		if n > 0 || err == nil || c.timer.Equal(c.until) || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if err := c.arm(c.until); err != nil {
			return 0, err
		}
	}
}

// SetReadDeadline leaves an earlier deadline standing, past which Read goes on.
func (c *countedConn) SetReadDeadline(t time.Time) error {
	c.until = t
	if !c.timer.IsZero() && (t.IsZero() || !c.timer.After(t)) {
		return nil
	}
	return c.arm(t)
}

func (c *countedConn) arm(t time.Time) error {
	c.timer = t
	return c.Conn.SetReadDeadline(t)
}

// silent reports whether nothing was ever received on a connection.
func silent(c net.Conn) bool {
	counted, ok := countedBelow(c)
	return ok && !counted.heard.Load()
}

// countedBelow is the TCP connection of a connection that the engine knows.
func countedBelow(c net.Conn) (*countedConn, bool) {
	if k, ok := c.(interface{ tcp() *countedConn }); ok {
		return k.tcp(), true
	}
	return nil, false
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
	if c, ok := countedBelow(x.ctx.Conn()); ok {
		c.unread.Store(x.lent || x.body == nil || x.body.failed == nil)
	}
}
