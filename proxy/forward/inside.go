package forward

import (
	"crypto/tls"
	"errors"
	"net"

	"s3veil/proxy/conn"
)

// intercepted is a connection inside a CONNECT, as the engine sees it. It does not rest: its buffers are those of the
// connection that the CONNECT came over.
type intercepted struct {
	net.Conn
	counted *conn.Conn
	target  Target
}

// Client is the connection itself.
func (c *intercepted) Client() *conn.Conn { return c.counted }

// Close ends TLS, and the connection itself: what the engine has handed over closes only after its handler.
func (c *intercepted) Close() error { return errors.Join(c.Conn.Close(), c.counted.Close()) }

func (c *intercepted) inside() Target { return c.target }

// interceptedTLS is an intercepted connection in the form in which the engine recognises TLS.
type interceptedTLS struct {
	intercepted
	tls *tls.Conn
}

// Handshake is done by then.
func (c *interceptedTLS) Handshake() error { return c.tls.Handshake() }

// ConnectionState makes the engine see TLS.
func (c *interceptedTLS) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

// Inside tells what the CONNECT asked for that a connection of the engine's is inside of.
func Inside(c net.Conn) (Target, bool) {
	if k, ok := c.(interface{ inside() Target }); ok {
		return k.inside(), true
	}
	return Target{}, false
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
