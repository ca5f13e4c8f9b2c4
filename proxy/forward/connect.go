package forward

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"s3veil/proxy/conn"
)

// Connects takes over the connections of CONNECTs that have been granted: S3 hosts are intercepted, others tunnelled.
type Connects struct {
	// Serve hands a connection inside a CONNECT to the engine, and returns when the engine has closed it.
	Serve func(net.Conn) error
	// Count counts "intercepted" and "tunnelled", and what went wrong after that: "refused" and "failed".
	Count    func(outcome string)
	Log      *slog.Logger
	Patience time.Duration // for the first byte and the TLS handshake of an intercepted connection

	open tunnels
}

// Connect is a CONNECT that is to be answered with 200. The engine's request belongs to others by then.
type Connect struct {
	Rules  *Forward
	Target Target
	Client *conn.Conn // the client's connection itself: the engine's wrapper closes only after its handler
	Host   net.Conn   // the other host's; nil: intercepted
	ID     string     // of the request, for the log
	Source string     // the client's address, for the log
}

// Tunnels is the number of tunnels under way.
func (s *Connects) Tunnels() int64 { return s.open.count() }

// End lets tunnels go on while something moves in them, and closes all when ctx ends. From now on there are no new ones.
func (s *Connects) End(ctx context.Context) error { return s.open.end(ctx) }

// established answers a CONNECT. It has no Content-Length, which the engine would write (RFC 9110 9.3.6).
const established = "HTTP/1.1 200 Connection Established\r\n\r\n"

// Run answers the CONNECT and does what it asks for. It is called with the connection that the engine has let go of, which the
// engine closes afterwards.
func (s *Connects) Run(c net.Conn, one *Connect) {
	attrs := []any{"request_id", one.ID, "target", one.Target.String(), "source", one.Source}
	if _, err := io.WriteString(c, established); err != nil {
		if one.Host != nil {
			_ = one.Host.Close()
		}
		return
	}
	if one.Host == nil {
		if err := s.intercept(c, one); err != nil {
			s.Count("failed")
			s.Log.Info("interception failed", append(attrs, "cause", err.Error())...)
		}
		return
	}
	s.Count("tunnelled")
	t := one.Rules.newTunnel(&halfCloser{c, one.Client}, one.Host)
	if !s.open.add(t) {
		t.close()
		return
	}
	defer s.open.remove(t)
	up, down, err := t.run()
	if err != nil {
		s.Count("refused")
		s.Log.Warn("tunnel cut", append(attrs, "cause", err.Error())...)
		return
	}
	s.Log.Debug("tunnel ended", append(attrs, "bytes_up", up, "bytes_down", down)...)
}

// tlsHandshake begins every record of a handshake (RFC 8446 5.1).
const tlsHandshake = 22

// intercept serves S3 inside a CONNECT, with TLS where the client begins with it.
func (s *Connects) intercept(c net.Conn, one *Connect) error {
	if err := c.SetReadDeadline(time.Now().Add(s.Patience)); err != nil {
		return err
	}
	var first [1]byte
	if _, err := io.ReadFull(c, first[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return nil // a connection opened ahead of need and never used
		}
		return err
	}
	inner := intercepted{Conn: &ahead{c, first[:]}, counted: one.Client, target: one.Target}
	if first[0] != tlsHandshake {
		s.Count("intercepted")
		return s.served(one, s.Serve(&inner))
	}
	secured := tls.Server(inner.Conn, one.Rules.serverTLS(one.Target))
	if err := secured.Handshake(); err != nil {
		return handshakeFailure(err)
	}
	s.Count("intercepted")
	inner.Conn = secured
	return s.served(one, s.Serve(&interceptedTLS{inner, secured}))
}

// served is the end of an intercepted connection: how it ended is no concern, each request has had its line.
func (s *Connects) served(one *Connect, err error) error {
	if err != nil {
		s.Log.Debug("intercepted connection ended", "target", one.Target.String(), "cause", err.Error())
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
