package upstream

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// errStopped is what reads and writes of a connection return that has been given up, because its request was cancelled or
// the answer made the rest of the body pointless.
var errStopped = errors.New("upstream: exchange given up")

// past is a deadline that has always passed.
var past = time.Unix(1, 0)

// conn is a TCP connection to the store below TLS. While a body moves its deadlines roll: an exchange ends after stall
// without a byte, not after a total time. fasthttp's own time-outs cover the whole body (DATAPATH.md rule 9).
type conn struct {
	net.Conn
	stall  time.Duration
	closed atomic.Bool
	onDown func()

	// peek looks whether something has come unasked, and sets quiet if not. Both belong to who takes the connection.
	peek  func() error
	quiet bool

	rolling    atomic.Bool // Read extends its deadline
	stopReads  atomic.Bool
	stopWrites atomic.Bool
}

// Read reads; the deadline is the rolling one, or what awaitAnswer has set.
func (c *conn) Read(b []byte) (int, error) {
	if c.rolling.Load() {
		if err := c.SetReadDeadline(time.Now().Add(c.stall)); err != nil {
			return 0, err
		}
	}
	// After the deadline: a stop that comes later sets its own.
	if c.stopReads.Load() {
		return 0, errStopped
	}
	return c.Conn.Read(b)
}

// Write writes all of b as long as the store takes some of it every stall. Large writes are one system call.
func (c *conn) Write(b []byte) (n int, err error) {
	for {
		if err := c.SetWriteDeadline(time.Now().Add(c.stall)); err != nil {
			return n, err
		}
		if c.stopWrites.Load() {
			return n, errStopped
		}
		m, err := c.Conn.Write(b[n:])
		n += m
		if err == nil || m == 0 || !errors.Is(err, os.ErrDeadlineExceeded) || c.stopWrites.Load() {
			return n, err
		}
	}
}

// Close closes once and tells the client that one connection less is open.
func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	err := c.Conn.Close()
	c.onDown()
	return err
}

// stopWriting makes the write under way and all later ones fail; the answer can still be read.
func (c *conn) stopWriting() {
	c.stopWrites.Store(true)
	_ = c.SetWriteDeadline(past)
}

// stop makes everything fail.
func (c *conn) stop() {
	c.stopReads.Store(true)
	c.stopWrites.Store(true)
	_ = c.SetDeadline(past)
}

// awaitNothing removes the read deadline, for the time in which the body is still being written.
func (c *conn) awaitNothing() error {
	c.rolling.Store(false)
	return c.readDeadline(time.Time{})
}

// awaitAnswer limits the time to the head of the answer.
func (c *conn) awaitAnswer(d time.Duration) error {
	c.rolling.Store(false)
	return c.readDeadline(time.Now().Add(d))
}

func (c *conn) readDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	if c.stopReads.Load() {
		return c.SetReadDeadline(past)
	}
	return nil
}

// rawConn returns the conn below what the dialer has returned.
func rawConn(nc net.Conn) *conn {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	return nc.(*conn)
}
