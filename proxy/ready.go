package proxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// The rhythm of the checks behind readiness.
const (
	checkEvery   = 5 * time.Second
	checkTimeout = 4 * time.Second
	checkMisses  = 3 // an upstream is gone after this many checks without an answer
)

// health remembers the last checks. Probes read it; they never wait for a store or a KMS.
type health struct {
	mu      sync.Mutex
	missed  map[string]int // by upstream
	keys    map[string]error
	checked time.Time
	running bool
}

// ErrNotReady is what Ready wraps.
var ErrNotReady = errors.New("not ready")

// Ready reports whether a request could succeed: not draining, every upstream answered within the last three checks, every
// bucket key usable from KMS or cache. The error names what is missing. The first call checks before it answers.
func (s *Server) Ready(ctx context.Context) error {
	if s.drain.Load() {
		return fmt.Errorf("%w: draining", ErrNotReady)
	}
	s.health.mu.Lock()
	stale := s.now().Sub(s.health.checked) >= checkEvery
	first := s.health.checked.IsZero()
	if stale && !s.health.running {
		s.health.running = true
		s.health.mu.Unlock()
		if first {
			s.check(ctx)
		} else {
			go s.check(context.WithoutCancel(ctx))
		}
		s.health.mu.Lock()
	}
	defer s.health.mu.Unlock()
	var missing []error
	for _, name := range slices.Sorted(maps.Keys(s.health.missed)) {
		if n := s.health.missed[name]; n >= checkMisses || (first && n > 0) {
			missing = append(missing, fmt.Errorf("%w: upstream %s does not answer", ErrNotReady, name))
		}
	}
	for _, kid := range slices.Sorted(maps.Keys(s.health.keys)) {
		if err := s.health.keys[kid]; err != nil {
			missing = append(missing, fmt.Errorf("%w: key %s: %w", ErrNotReady, kid, err))
		}
	}
	return errors.Join(missing...)
}

// check asks every upstream and every key that wraps for some bucket, side by side.
func (s *Server) check(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	st := s.state.Load()
	var wait sync.WaitGroup
	var mu sync.Mutex
	answers, keys := map[string]error{}, map[string]error{}
	for name, o := range st.stores {
		wait.Go(func() {
			err := o.control.Health(ctx)
			mu.Lock()
			defer mu.Unlock()
			answers[name] = err
		})
	}
	for kid := range st.writers() {
		wait.Go(func() {
			err := s.keys.Health(ctx, kid)
			mu.Lock()
			defer mu.Unlock()
			keys[kid] = err
		})
	}
	wait.Wait()
	s.settleHealth(answers, keys)
}

// writers are the kids that wrap for some bucket.
func (st *state) writers() map[string]bool {
	out := map[string]bool{}
	for i := range st.settings.Buckets {
		if family := st.settings.Families[st.settings.Buckets[i].Key]; len(family) > 0 {
			out[family[0]] = true
		}
	}
	return out
}

// working says which checks ended well.
func working(checks map[string]error) map[string]bool {
	up := make(map[string]bool, len(checks))
	for name, err := range checks {
		up[name] = err == nil
	}
	return up
}

func (s *Server) settleHealth(answers, keys map[string]error) {
	h := &s.health
	h.mu.Lock()
	defer h.mu.Unlock()
	missed := make(map[string]int, len(answers))
	for name, err := range answers {
		if err != nil {
			missed[name] = h.missed[name] + 1
			s.log.Warn("upstream does not answer", "upstream", name, "checks", missed[name], "cause", err.Error())
		} else {
			missed[name] = 0
		}
	}
	s.metrics.Dependencies("upstream", working(answers))
	s.metrics.Dependencies("key", working(keys))
	h.missed, h.keys, h.checked, h.running = missed, keys, s.now(), false
}
