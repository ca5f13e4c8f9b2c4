package upstream

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// acquire takes one slot: from the pair in ctx while it has one, else from the client, waiting for PoolWait at most. The pair
// that it is of, if any, goes to release.
func (c *Client) acquire(ctx context.Context) (*pair, error) {
	if p, ok := ctx.Value(pairKey{}).(*pair); ok && p.c == c && p.take() {
		c.inUse.Add(1)
		return p, nil
	}
	if err := c.take(ctx, 1); err != nil {
		return nil, err
	}
	c.inUse.Add(1)
	return nil, nil
}

// release gives back what acquire took.
func (c *Client) release(p *pair) {
	c.inUse.Add(-1)
	if p != nil {
		p.give()
	} else {
		c.slots.Release(1)
	}
	c.observeConns()
}

func (c *Client) take(ctx context.Context, n int64) error {
	if c.slots.TryAcquire(n) {
		return nil
	}
	wait, cancel := context.WithTimeout(ctx, c.o.PoolWait)
	defer cancel()
	if c.slots.Acquire(wait, n) == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	}
	return fmt.Errorf("%w within %v", ErrBusy, c.o.PoolWait.Round(time.Millisecond))
}

type pairKey struct{}

// pair is two slots set aside.
type pair struct {
	c    *Client
	mu   sync.Mutex
	free int64
	over bool
}

func (p *pair) take() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || p.free == 0 {
		return false
	}
	p.free--
	return true
}

func (p *pair) give() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		p.c.slots.Release(1)
		return
	}
	p.free++
}

func (p *pair) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.over = true
		p.c.slots.Release(p.free)
	}
}

// Pair reserves two connections at once for a streamed copy, or none: work that took them one after the other could wait
// for itself in a full pool. Requests draw on the reservation when they are made with the returned context; release gives
// it back, a connection still in use then when its answer is closed.
func (c *Client) Pair(ctx context.Context) (paired context.Context, release func(), err error) {
	if err := c.take(ctx, 2); err != nil {
		return nil, nil, err
	}
	p := &pair{c: c, free: 2}
	return context.WithValue(ctx, pairKey{}, p), p.release, nil
}
