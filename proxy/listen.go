package proxy

import (
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"s3veil/proxy/s3err"
)

// Serve accepts connections until Shutdown.
func (s *Server) Serve(ln net.Listener) error {
	s.Protect(ln.Addr())
	return s.http.Serve(&clientListener{Listener: ln, s: s})
}

// ServeForward is Serve for a forward proxy.
func (s *Server) ServeForward(ln net.Listener) error {
	s.Protect(ln.Addr())
	return s.http.Serve(&clientListener{Listener: ln, s: s, forward: true})
}

// ServeTLS is Serve behind TLS.
func (s *Server) ServeTLS(ln net.Listener, config *tls.Config) error {
	s.Protect(ln.Addr())
	return s.http.Serve(&clientListener{Listener: ln, s: s, tls: config})
}

// clientListener hands the engine connections that are counted, limited in number, and rest while they are idle.
type clientListener struct {
	net.Listener
	s   *Server
	tls *tls.Config // nil without TLS

	forward bool
}

// Accept waits for the next connection. Those beyond limits.connections are turned away.
func (l *clientListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.s.conns.Add(1) > int64(l.s.limits.Connections) {
			l.turnAway(c)
			continue
		}
		counted := &countedConn{Conn: c, s: l.s, forward: l.forward}
		if l.tls == nil {
			return &clientConn{Conn: counted, counted: counted}, nil
		}
		secured := tls.Server(counted, l.tls)
		return &secureConn{clientConn{Conn: secured, counted: counted}, secured}, nil
	}
}

// turnAway answers without reading and closes. A client that expects TLS gets no answer.
func (l *clientListener) turnAway(c net.Conn) {
	defer l.s.conns.Add(-1)
	defer c.Close()
	l.s.metrics.Request("", s3err.SlowDown.Code, 0)
	if l.tls != nil || c.SetWriteDeadline(time.Now().Add(time.Second)) != nil {
		return
	}
	body := s3err.Body(s3err.SlowDown, "/", newRequestID(), "")
	_, _ = fmt.Fprintf(c, "HTTP/1.1 %d Service Unavailable\r\nContent-Type: application/xml\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		s3err.SlowDown.Status, len(body), body)
}
