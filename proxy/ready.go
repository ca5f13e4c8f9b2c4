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

// health remembers the last checks. Probes read it; only before the first check is done they wait for a store or a KMS.
type health struct {
	mu      sync.Mutex
	missed  map[string]int // by upstream
	keys    map[string]error
	audit   error
	checked time.Time
	running chan struct{} // closed at the end of the check under way; nil without
}

// ErrNotReady is what Ready wraps.
var ErrNotReady = errors.New("not ready")

// Ready reports whether a request could succeed: not draining, every upstream answered within the last three checks, every
// bucket key usable from KMS or cache, audit lines can be written; an outage of the KMS that cached keys
// bridge takes no replica out of service. The error
// names what is missing. The first call checks before it answers.
func (s *Server) Ready(ctx context.Context) error {
	if s.drain.Load() {
		return fmt.Errorf("%w: draining", ErrNotReady)
	}
	if first := s.startCheck(ctx); first != nil {
		select {
		case <-first:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrNotReady, ctx.Err())
		}
	}
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	var missing []error
	for _, name := range slices.Sorted(maps.Keys(s.health.missed)) {
		if s.health.missed[name] >= checkMisses {
			missing = append(missing, fmt.Errorf("%w: upstream %s does not answer", ErrNotReady, name))
		}
	}
	for _, kid := range slices.Sorted(maps.Keys(s.health.keys)) {
		if err := s.health.keys[kid]; err != nil {
			missing = append(missing, fmt.Errorf("%w: key %s: %w", ErrNotReady, kid, err))
		}
	}
	if s.health.audit != nil {
		missing = append(missing, fmt.Errorf("%w: %w", ErrNotReady, s.health.audit))
	}
	return errors.Join(missing...)
}

// startCheck starts a check unless one is under way or the last one is recent. Before the end of the first one it returns
// what that end closes, later nil.
func (s *Server) startCheck(ctx context.Context) <-chan struct{} {
	h := &s.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if !s.drain.Load() && h.running == nil && s.now().Sub(h.checked) >= checkEvery {
		h.running = make(chan struct{})
		go s.check(context.WithoutCancel(ctx))
	}
	if h.checked.IsZero() {
		return h.running
	}
	return nil
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
	audited := s.checkAudit()
	wait.Wait()
	kms := map[string]bool{}
	for i := range st.settings.KEKs {
		kid := st.settings.KEKs[i].KID
		kms[kid] = !s.keys.Away(kid)
	}
	s.settleHealth(answers, keys, kms, audited)
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

func (s *Server) settleHealth(answers, keys map[string]error, kms map[string]bool, audited error) {
	h := &s.health
	h.mu.Lock()
	defer h.mu.Unlock()
	missed := make(map[string]int, len(answers))
	for name, err := range answers {
		if err != nil {
			before, known := h.missed[name]
			if !known {
				before = checkMisses - 1 // a store that has never answered gets no grace
			}
			missed[name] = before + 1
			s.log.Warn("upstream does not answer", "upstream", name, "checks", missed[name], "cause", err.Error())
		} else {
			missed[name] = 0
		}
	}
	s.metrics.Dependencies("upstream", working(answers))
	s.metrics.Dependencies("key", working(keys))
	if s.opts.Audit != nil {
		s.metrics.Dependencies("audit", map[string]bool{"log": audited == nil})
	}
	h.audit = audited
	s.metrics.Dependencies("kms", kms)
	h.missed, h.keys, h.checked = missed, keys, s.now()
	close(h.running)
	h.running = nil
}
