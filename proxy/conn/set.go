// Package conn has the connections of clients: counted, limited in number, and at rest while they are quiet. It knows nothing
// of what is said on them: an engine serves what a listener of a Set accepts, and tells it by Between when it waits for the
// next request.
package conn

import (
	"context"
	"net"
	"sync/atomic"
	"time"
)

// Options are fixed for the life of a Set.
type Options struct {
	Max   int           // connections at once, those at rest included
	Stall time.Duration // longest time without progress in a write
	Rest  time.Duration // how long a quiet connection stays with the engine; a quarter of a second when zero

	// Serve hands a connection that comes back from its rest to the engine, and returns when the engine has closed it. The
	// engine sets a read deadline before it reads.
	Serve func(net.Conn) error
	// Refuse is asked for the answer to a connection beyond Max. A client that expects TLS does not get it.
	Refuse func() []byte
	// Trouble is told, every ten seconds at most, why no connection can be accepted. It may be nil.
	Trouble func(error)
}

// Set are the connections of all listeners of a server.
type Set struct {
	opts Options
	open atomic.Int64
	idle resting
}

// New returns a set without connections.
func New(o Options) *Set {
	if o.Rest == 0 {
		o.Rest = restAfter
	}
	return &Set{opts: o}
}

// Count is the number of open connections, those at rest included.
func (s *Set) Count() int64 { return s.open.Load() }

// Resting is the number of connections at rest.
func (s *Set) Resting() int { return s.idle.count() }

// End closes connections at rest, now and from now on, but for those on which a request has arrived: these go back to the
// engine. It then waits for connections between two requests to rest, and so to end, because an engine that stops closes
// those it holds without looking whether a request has come. Others may be open when it returns: see Await.
func (s *Set) End(ctx context.Context) {
	s.idle.end()
	s.letRest(ctx)
}

func (s *Set) letRest(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.Rest+restAfter/5)
	defer cancel()
	_ = s.Await(ctx)
}

// Await waits for the end of the last connection. One that is on its way back from its rest is not the engine's yet, so that
// the end of the engine is not enough.
func (s *Set) Await(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for s.open.Load() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
