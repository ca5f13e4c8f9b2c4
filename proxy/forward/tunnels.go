package forward

import (
	"context"
	"sync"
	"time"
)

// tunnels are those under way.
type tunnels struct {
	mu   sync.Mutex
	open map[*tunnel]struct{}
	over bool
}

func (t *tunnels) add(one *tunnel) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return false
	}
	if t.open == nil {
		t.open = map[*tunnel]struct{}{}
	}
	t.open[one] = struct{}{}
	return true
}

func (t *tunnels) remove(one *tunnel) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, one)
}

func (t *tunnels) count() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return int64(len(t.open))
}

// quietTunnel is how long nothing has moved in a tunnel that may be closed when s3veil stops.
const quietTunnel = 2 * time.Second

// end lets tunnels go on while something moves in them, and closes all when ctx ends.
func (t *tunnels) end(ctx context.Context) error {
	t.mu.Lock()
	t.over = true
	t.mu.Unlock()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		t.mu.Lock()
		left := len(t.open)
		for one := range t.open {
			if one.idleFor() > quietTunnel || ctx.Err() != nil {
				one.close()
			}
		}
		t.mu.Unlock()
		if left == 0 || ctx.Err() != nil {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}
