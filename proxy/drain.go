package proxy

import (
	"context"
	"errors"
	"time"

	"github.com/valyala/fasthttp"
)

// Drain makes readiness fail, ahead of Shutdown. Requests are served as before, but every answer closes its connection, so
// that clients and balancers move on by themselves.
func (s *Server) Drain() { s.drain.Store(true) }

// Shutdown stops accepting, lets running requests finish until ctx ends, and overwrites the keys. Connections at rest are
// closed, unless a request has already arrived on them: that one is served.
func (s *Server) Shutdown(ctx context.Context) error {
	s.drain.Store(true)
	s.idle.end()
	s.letRest(ctx)
	err := errors.Join(s.http.ShutdownWithContext(ctx), s.tunnels.end(ctx), s.awaitClients(ctx))
	st := s.state.Load()
	for _, o := range st.stores {
		o.close()
	}
	st.hosts.close()
	s.keys.Close()
	return err
}

// letRest waits until connections that are between two requests rest, and so have ended: the engine would close them without
// looking whether a request has come.
func (s *Server) letRest(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.restAfter+restAfter/5)
	defer cancel()
	_ = s.awaitClients(ctx)
}

// awaitClients waits for the end of the last client connection: one that is on its way back from its rest is not the engine's yet.
func (s *Server) awaitClients(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for s.conns.Load() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// closeInDrain ends the connection with the answer, which says so: a client that learns it from a closed connection may have
// sent its next request already.
func (s *Server) closeInDrain(ctx *fasthttp.RequestCtx) {
	if s.drain.Load() {
		ctx.SetConnectionClose()
	}
}
