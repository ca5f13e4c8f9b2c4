package conn

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// restAfter is how long a connection stays with the engine between two requests. After that it rests: it costs a small
// goroutine and no buffers until the client sends something.
const restAfter = 250 * time.Millisecond

// clientConn is a client's connection as the engine sees it. When the client has been quiet for a while, Read reports a
// time-out, whereupon the engine lets go of its buffers and closes the connection; the close puts it to rest instead, and
// the next byte brings it back to the engine.
type clientConn struct {
	net.Conn // counted, or TLS above it
	counted  *Conn

	// The engine waits for the next request, until the idle limit. Both belong to the engine's goroutine.
	idle  bool
	until time.Time

	resting atomic.Bool // the next Close puts the connection to rest
}

// Client is the TCP connection below.
func (c *clientConn) Client() *Conn { return c.counted }

// restable is a connection that the engine knows.
type restable interface {
	net.Conn
	rests() *clientConn
}

func (c *clientConn) rests() *clientConn { return c }

// SetReadDeadline is shorter than asked for between two requests.
func (c *clientConn) SetReadDeadline(t time.Time) error {
	if c.idle {
		c.until = t
		if rest := time.Now().Add(c.counted.set.opts.Rest); rest.Before(t) {
			t = rest
		}
	}
	return c.Conn.SetReadDeadline(t)
}

// Read reports a time-out early between two requests.
func (c *clientConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && n == 0 && c.idle && errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(c.until) {
		c.resting.Store(true)
	}
	return n, err
}

// Close closes the connection or puts it to rest.
func (c *clientConn) Close() error { return c.close(c) }

func (c *clientConn) close(self restable) error {
	if c.resting.Swap(false) && c.counted.set.idle.add(self) {
		go c.counted.set.rest(self)
		return nil
	}
	return c.Conn.Close()
}

// secureConn is a clientConn under TLS, in the form in which the engine recognises it.
type secureConn struct {
	clientConn
	tls *tls.Conn
}

// Handshake is called by the engine before the first request.
func (c *secureConn) Handshake() error { return c.tls.Handshake() }

// ConnectionState makes the engine see TLS.
func (c *secureConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

// Close closes the connection or puts it to rest.
func (c *secureConn) Close() error { return c.close(c) }

// Between tells a connection that the engine waits for its next request, or that one has begun. Only between two requests it
// may rest. The engine must not call it after Close, when the connection may be somebody else's already.
func Between(nc net.Conn, requests bool) {
	if c, ok := nc.(restable); ok {
		c.rests().idle = requests
	}
}

// rest waits until the client sends something and gives the connection back to the engine.
func (s *Set) rest(nc restable) {
	c := nc.rests()
	c.idle = false
	said := s.idle.arm(c) == nil && awaitInput(c.counted.Conn)
	s.idle.remove(nc)
	if !said {
		_ = c.Conn.Close()
		return
	}
	c.counted.timer = time.Time{} // end may have changed what the runtime knows
	_ = s.opts.Serve(nc)
}

// resting are the connections without a request.
type resting struct {
	mu    sync.Mutex
	conns map[restable]struct{}
	over  bool
}

// add reports whether c may rest. After the end it may for a moment: rest looks whether a request has come, and closes.
func (r *resting) add(c restable) bool {
	if !canRest {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conns == nil {
		r.conns = map[restable]struct{}{}
	}
	r.conns[c] = struct{}{}
	return true
}

// remove forgets a connection that rests no more.
func (r *resting) remove(c restable) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
}

// arm limits the rest of c: to the idle limit, to nothing after the end.
func (r *resting) arm(c *clientConn) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return c.counted.arm(past)
	}
	return c.counted.arm(c.until)
}

// past is a deadline that ends a wait at once.
var past = time.Unix(1, 0)

func (r *resting) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

// end wakes all, now and from now on: each is closed by its own goroutine unless a request has arrived on it.
func (r *resting) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	for c := range r.conns {
		_ = c.rests().counted.Conn.SetReadDeadline(past)
	}
}
