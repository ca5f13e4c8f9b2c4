package conn

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is a client's TCP connection, below TLS: a TLS write that has timed out cannot be resumed, a plain one can. It is
// counted, its writes may take any time as long as they move, and its read deadline costs a timer only now and then.
type Conn struct {
	net.Conn
	Forward bool // accepted on the forward port

	set    *Set
	once   sync.Once
	armed  time.Time   // when the write deadline was last set
	heard  atomic.Bool // the client has sent something
	unread atomic.Bool // the client may still be sending a body that nobody wants

	// The read deadline asked for, and the one that the runtime knows, which may be an earlier one: then Read goes on. The
	// engine asks for two per request, and a runtime timer costs as much as a small read. Both belong to the reading goroutine.
	until, timer time.Time
}

// Read reads up to the deadline. It notes that the client has sent something.
func (c *Conn) Read(p []byte) (int, error) {
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
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.until = t
	if !c.timer.IsZero() && (t.IsZero() || !c.timer.After(t)) {
		return nil
	}
	return c.arm(t)
}

func (c *Conn) arm(t time.Time) error {
	c.timer = t
	return c.Conn.SetReadDeadline(t)
}

// Below returns the TCP connection below one that the engine knows: one that a listener of a Set has accepted, or any other
// with a method Client.
func Below(c net.Conn) (*Conn, bool) {
	if k, ok := c.(interface{ Client() *Conn }); ok {
		return k.Client(), true
	}
	return nil, false
}

// Silent reports whether nothing was ever received on a connection of the engine's.
func Silent(c net.Conn) bool {
	counted, ok := Below(c)
	return ok && !counted.heard.Load()
}

// RenewEvery is how often a deadline that rolls with progress moves, for the longest time without progress: often enough that a
// short limit does not cut what is not stalled, seldom enough that its timer costs nothing.
func RenewEvery(stall time.Duration) time.Duration { return min(time.Second, stall/4) }

// Write sends p as a whole. The stall limit counts from the last byte that moved, not from the start of the answer.
func (c *Conn) Write(p []byte) (written int, err error) {
	for {
		if now := time.Now(); now.Sub(c.armed) >= RenewEvery(c.set.opts.Stall) {
			c.armed = now
			if err := c.Conn.SetWriteDeadline(now.Add(c.set.opts.Stall)); err != nil {
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
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }

// Close closes the connection and stops counting it.
func (c *Conn) Close() error {
	c.once.Do(func() {
		if c.unread.Load() {
			c.linger()
		}
		c.set.open.Add(-1)
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
func (c *Conn) linger() {
	if t, ok := c.Conn.(*net.TCPConn); !ok || t.CloseWrite() != nil {
		return
	}
	if c.Conn.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
	}
}

// Unread says whether the client may still be sending what nobody is going to read: Close then reads on for a moment.
func (c *Conn) Unread(yes bool) { c.unread.Store(yes) }

// Interrupt ends a Read under way, and those that begin before the next SetReadDeadline.
func (c *Conn) Interrupt() { _ = c.Conn.SetReadDeadline(past) }

// CloseWrite ends what the client receives.
func (c *Conn) CloseWrite() error {
	if t, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return t.CloseWrite()
	}
	return errors.ErrUnsupported
}
