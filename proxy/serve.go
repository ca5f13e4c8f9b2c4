package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/valyala/fasthttp"

	"s3veil/proxy/conn"
	"s3veil/proxy/s3err"
)

// Serve accepts connections until Shutdown.
func (s *Server) Serve(ln net.Listener) error { return s.serve(ln, nil, false) }

// ServeForward is Serve for a forward proxy.
func (s *Server) ServeForward(ln net.Listener) error { return s.serve(ln, nil, true) }

// ServeTLS is Serve behind TLS.
func (s *Server) ServeTLS(ln net.Listener, config *tls.Config) error {
	return s.serve(ln, config, false)
}

func (s *Server) serve(ln net.Listener, config *tls.Config, forward bool) error {
	s.Protect(ln.Addr())
	return s.http.Serve(s.conns.Listener(ln, config, forward))
}

// newConns returns the set of client connections, for an engine that stands.
func (s *Server) newConns() *conn.Set {
	return conn.New(conn.Options{Max: s.limits.Connections, Stall: s.limits.StallTimeout, Rest: s.opts.restAfter, Serve: s.http.ServeConn, Refuse: s.refuseConn, Trouble: s.troubled})
}

// troubled says why no connection can be accepted: mostly that the process may open no more files.
func (s *Server) troubled(err error) {
	s.log.Error("no connection can be accepted, trying again", "connections", s.conns.Count(), "cause", err.Error())
}

// refuseConn counts a connection beyond limits.connections and returns the answer to it.
func (s *Server) refuseConn() []byte {
	s.metrics.Request("", s3err.SlowDown.Code, 0)
	body := s3err.Body(s3err.SlowDown, "/", newRequestID(), "")
	return fmt.Appendf(nil, "HTTP/1.1 %d Service Unavailable\r\nContent-Type: application/xml\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		s3err.SlowDown.Status, len(body), body)
}

// connState follows the engine. Its other states arrive after the connection has been closed.
func connState(c net.Conn, state fasthttp.ConnState) {
	if state == fasthttp.StateIdle || state == fasthttp.StateActive {
		conn.Between(c, state == fasthttp.StateIdle)
	}
}

// abandonBody closes the connection after the answer without having read the request's body.
func (x *exchange) abandonBody() {
	x.ctx.SetConnectionClose()
	if c, ok := conn.Below(x.ctx.Conn()); ok {
		c.Unread(x.lent || x.body == nil || x.body.failed == nil)
	}
}

// Drain makes readiness fail, ahead of Shutdown. Requests are served as before, but every answer closes its connection, so
// that clients and balancers move on by themselves.
func (s *Server) Drain() { s.drain.Store(true) }

// Shutdown stops accepting, lets running requests finish until ctx ends, and overwrites the keys. Connections at rest are
// closed, unless a request has already arrived on them: that one is served.
func (s *Server) Shutdown(ctx context.Context) error {
	s.drain.Store(true)
	s.conns.End(ctx)
	err := errors.Join(s.http.ShutdownWithContext(ctx), s.connects.End(ctx), s.conns.Await(ctx))
	st := s.state.Load()
	for _, o := range st.stores {
		o.close()
	}
	st.hosts.close()
	s.keys.Close()
	return err
}

// closeInDrain ends the connection with the answer, which says so: a client that learns it from a closed connection may have
// sent its next request already.
func (s *Server) closeInDrain(ctx *fasthttp.RequestCtx) {
	if s.drain.Load() {
		ctx.SetConnectionClose()
	}
}
