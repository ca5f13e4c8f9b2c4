package proxy

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"s3veil/keycache"
	"s3veil/proxy/proxytest"
)

// check has everything looked at again and waits for the outcome.
func (r *outageRig) check() error {
	r.t.Helper()
	r.pass(checkEvery)
	_ = r.s.Ready(r.t.Context())
	r.eventually("the check is done", func() bool {
		r.s.health.mu.Lock()
		defer r.s.health.mu.Unlock()
		return r.s.health.running == nil
	})
	return r.s.Ready(r.t.Context())
}

// A store that has answered before may miss two checks; one that never has gets no grace.
func TestReadinessFollowsTheStores(t *testing.T) {
	r := newOutageRig(t, keycache.Options{})
	up := func() float64 { return r.metric("dependency_up", "kind=upstream", "name=default") }
	if err := r.check(); err != nil || up() != 1 {
		t.Fatalf("%v, dependency_up %v", err, up())
	}
	out := func() (end func()) {
		return r.store.Hook(proxytest.Hook{Before: func(*proxytest.Call) *proxytest.Answer {
			return &proxytest.Answer{Status: http.StatusServiceUnavailable, Header: http.Header{}}
		}})
	}
	end := out()
	for i := range 3 {
		err := r.check()
		if last := i == 2; errors.Is(err, ErrNotReady) != last || last && !strings.Contains(err.Error(), "upstream default") {
			t.Errorf("check %d: %v", i, err)
		}
		if up() != 0 {
			t.Errorf("check %d: dependency_up %v", i, up())
		}
	}
	end()
	if err := r.check(); err != nil || up() != 1 {
		t.Errorf("back: %v, dependency_up %v", err, up())
	}

	r = newOutageRig(t, keycache.Options{})
	defer out()()
	if err := r.s.Ready(t.Context()); !errors.Is(err, ErrNotReady) {
		t.Errorf("a store that has never answered: %v", err)
	}
}
