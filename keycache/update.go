package keycache

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Update takes new KEKs over, for a reload of the configuration. Keys of kids that are gone are overwritten and no longer
// handed out. Where a kid has another provider or name, new envelopes get a new key at once, and cached keys are
// unwrapped again at their next use, so that a key disabled in the new place stops. All other entries stay. With an error
// nothing has changed.
func (c *Cache) Update(keks []KEK) error {
	next := make(map[string]*kek, len(keks))
	var wrong []error
	for _, k := range keks {
		switch {
		case k.KID == "" || k.KID[0] == '@':
			wrong = append(wrong, fmt.Errorf("keycache: %q cannot be a kid", k.KID))
		case k.Provider == nil:
			wrong = append(wrong, fmt.Errorf("keycache: key %q has no provider", k.KID))
		case next[k.KID] != nil:
			wrong = append(wrong, fmt.Errorf("keycache: key %q is configured twice", k.KID))
		default:
			next[k.KID] = &kek{KEK: k}
		}
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	for kid, k := range next {
		if old := c.keks[kid]; old != nil && old.same(k) {
			next[kid] = old
		}
	}
	c.replaced(now, next)
	for at, f := range c.flights {
		if next[f.kek.KID] != f.kek {
			delete(c.flights, at) // those who wait get its outcome, nobody joins it any more
		}
	}
	c.keks = next
	c.refused.Purge()
	return nil
}

// same reports whether two keys are the same one of the same provider.
func (k *kek) same(other *kek) bool {
	return k.Name == other.Name && reflect.TypeOf(k.Provider).Comparable() && k.Provider == other.Provider
}

// replaced applies the change from c.keks to next to the tables.
func (c *Cache) replaced(now time.Time, next map[string]*kek) {
	for _, e := range c.reads.Values() {
		switch k := next[e.kid]; {
		case k == nil:
			c.reads.Remove(e.id)
		case k != c.keks[e.kid] && now.Before(e.readUntil):
			e.readUntil = now
		}
	}
	for _, name := range append(c.plain.Keys(), c.paired.Keys()...) {
		if next[name.kid] == nil || next[name.kid] != c.keks[name.kid] {
			c.writes(name).Remove(name)
		}
	}
}

// Health reports whether kid is usable, from the KMS or from cached entries that still serve. It returns within three
// seconds. Any call that came back proves that the KMS is usable; only for want of one the KMS gets a canary: at most two a
// minute, one in five minutes while there is a fresh write key, and every time while the KMS is away.
func (c *Cache) Health(ctx context.Context, kid string) error {
	now := c.now()
	c.mu.Lock()
	k, err := c.kek(kid)
	proof := healthAge
	if err == nil && c.wraps(now, kid) {
		proof = freshHealthAge
	}
	c.mu.Unlock()
	if err != nil || !k.breaker.away() && now.Before(k.breaker.answered().Add(proof)) {
		return err
	}
	err = c.canary(ctx, k)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && c.serves(now, kid) {
		return nil
	}
	return err
}

// canary makes one call to the KMS of k. It ends in time for those who wait for Health, whatever the KMS does.
func (c *Cache) canary(ctx context.Context, k *kek) error {
	ask := k.Provider.Health
	if p, ok := k.Provider.(keyHealth); ok {
		ask = func(ctx context.Context) error { return p.KeyHealth(ctx, k.Name) }
	}
	return c.call(ctx, k, opHealth, 1, min(c.opts.CallTimeout, healthTimeout), ask)
}

// Away reports whether the last call to the KMS of kid found it out of reach or overloaded.
func (c *Cache) Away(kid string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.keks[kid]
	return ok && k.breaker.away()
}

// How long an answer proves that the KMS is usable, without and with a fresh write key, and the time of a canary.
const (
	healthAge      = 30 * time.Second
	freshHealthAge = 5 * time.Minute
	healthTimeout  = 3 * time.Second
)

// keyHealth is implemented by providers that can check one of their keys alone.
type keyHealth interface {
	KeyHealth(ctx context.Context, kek string) error
}

// wraps reports whether there is a write key under kid that is still fresh; the caller holds mu.
func (c *Cache) wraps(now time.Time, kid string) bool {
	for _, e := range append(c.plain.Values(), c.paired.Values()...) {
		if e.kid == kid && now.Before(e.writeUntil) {
			return true
		}
	}
	return false
}

// serves reports whether any entry under kid can still be handed out; the caller holds mu.
func (c *Cache) serves(now time.Time, kid string) bool {
	lim := c.limits.Load()
	for _, e := range c.reads.Values() {
		if e.kid == kid && now.Before(e.readUntil.Add(lim.outage.Read)) {
			return true
		}
	}
	return c.wraps(now, kid)
}

// Stats returns entry counts by cache ("read", "write").
func (c *Cache) Stats() map[string]int {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !now.Before(c.sweepAt) {
		c.sweep(now)
	}
	return map[string]int{cacheRead: c.reads.Len(), cacheWrite: c.plain.Len() + c.paired.Len()}
}

// sweep removes what can no longer be served, so that keys do not stay in memory for want of newer ones; the caller holds
// mu.
func (c *Cache) sweep(now time.Time) {
	c.sweepAt = now.Add(sweepInterval)
	lim := c.limits.Load()
	for _, e := range c.reads.Values() {
		if !now.Before(e.readUntil.Add(lim.outage.Read)) {
			c.reads.Remove(e.id)
		}
	}
	for _, lru := range []*simplelru.LRU[writeName, *entry]{c.plain, c.paired} {
		for _, name := range lru.Keys() {
			if e, ok := lru.Peek(name); ok && !now.Before(e.writeUntil.Add(lim.bridgeWrites())) {
				lru.Remove(name)
			}
		}
	}
}

// sweepIdle sweeps once in a while: in a process that serves nobody, and whose metrics nobody reads, keys would stay in memory long
// after their time.
func (c *Cache) sweepIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.sweep(c.now())
	c.idle.Reset(sweepInterval)
}

// Close overwrites every cached key; keys in use are overwritten at their release. The cache must not be used afterwards.
func (c *Cache) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.idle.Stop()
	c.stop()
	c.reads.Purge()
	c.plain.Purge()
	c.paired.Purge()
	c.refused.Purge()
	c.keks = map[string]*kek{}
}
