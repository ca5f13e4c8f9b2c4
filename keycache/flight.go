package keycache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"s3veil/crypto/kms"
)

// errClosed answers calls after Close.
var errClosed = fmt.Errorf("%w: the key cache is closed", kms.ErrUnavailable)

// flightName is what at most one flight at a time is for.
type flightName struct {
	write bool
	id    id
}

// flight is one question to the KMS that any number of callers wait for. It runs in a goroutine of its own, so that no
// caller's end is the end of it. The fields but done belong to Cache.mu.
type flight struct {
	name    flightName
	kek     *kek
	done    chan struct{} // closed once landed
	waiters int           // callers that have joined and not left
	landed  bool
	entry   *entry // with a reference that the last waiter gives back; nil with err
	err     error
	expired bool // the entry is an expired one, served by the outage policy
}

// start begins a flight; the caller holds mu. key is where a write key goes.
func (c *Cache) start(k *kek, at flightName, key writeName, ask func() (*entry, error)) *flight {
	f := &flight{name: at, kek: k, done: make(chan struct{})}
	c.flights[at] = f
	go func() {
		e, err := ask()
		now := c.now()
		c.mu.Lock()
		if c.flights[at] == f { // not yet forgotten by Update
			delete(c.flights, at)
		}
		evictedRead, evictedWrite := c.land(now, f, key, e, err)
		c.mu.Unlock()
		defer close(f.done)
		if evictedRead {
			c.opts.Observe(Event{Kind: kindEvicted, Cache: cacheRead, KID: k.KID})
		}
		if evictedWrite {
			c.opts.Observe(Event{Kind: kindEvicted, Cache: cacheWrite, KID: k.KID})
		}
	}()
	return f
}

// land files the outcome of a flight and says where an entry had to make room; the caller holds mu. e comes with one
// reference.
func (c *Cache) land(now time.Time, f *flight, key writeName, e *entry, err error) (evictedRead, evictedWrite bool) {
	k := f.kek
	f.landed = true
	current := !c.closed && c.keks[k.KID] == k
	switch {
	case c.closed:
		f.err = errClosed
	case c.keks[k.KID] == nil:
		f.err = fmt.Errorf("%w: key %q is no longer configured", kms.ErrKeyNotFound, k.KID)
	case err != nil:
		f.err = err
		e = c.fallBack(now, f, key, current)
	default:
		f.entry = e
		if current && !c.limits.Load().perObject { // or else it came from a provider that a reload has replaced
			evictedRead, evictedWrite = c.insert(f, key, e)
		}
	}
	if e != nil && (f.entry == nil || f.waiters == 0) {
		f.entry = nil
		e.drop()
	}
	if !now.Before(c.sweepAt) {
		c.sweep(now)
	}
	return evictedRead, evictedWrite
}

// insert puts a new entry into the tables.
func (c *Cache) insert(f *flight, key writeName, e *entry) (evictedRead, evictedWrite bool) {
	c.refused.Remove(f.name.id)
	c.reads.Remove(e.id)
	evictedRead = c.reads.Add(e.id, e.hold())
	if f.name.write {
		lru := c.writes(key)
		lru.Remove(key)
		evictedWrite = lru.Add(key, e.hold())
	}
	return evictedRead, evictedWrite
}

// fallBack deals with a failed flight: definite refusals are remembered and take what was cached with them, outages may be
// bridged by an expired entry, which is returned with a reference.
func (c *Cache) fallBack(now time.Time, f *flight, key writeName, current bool) *entry {
	if definite(f.err) {
		if current {
			c.refused.Add(f.name.id, refusal{f.err, now.Add(refusalAge)})
			if f.name.write {
				c.writes(key).Remove(key)
			} else {
				c.reads.Remove(f.name.id)
			}
		}
		return nil
	}
	if !outage(f.err) {
		return nil
	}
	if e := c.bridge(now, f.name, key); e != nil {
		f.entry, f.err, f.expired = e.hold(), nil, true
		return e
	}
	return nil
}

// bridge returns an expired entry that the outage policy still serves, or one that has not expired yet.
func (c *Cache) bridge(now time.Time, at flightName, key writeName) *entry {
	lim := c.limits.Load()
	if !at.write {
		if e, ok := c.reads.Peek(at.id); ok && now.Before(e.readUntil.Add(lim.outage.Read)) {
			return e
		}
		return nil
	}
	if e, ok := c.writes(key).Peek(key); ok && now.Before(e.writeUntil.Add(lim.bridgeWrites())) && !e.spent(lim) {
		return e
	}
	return nil
}

// await waits for a flight that the caller has joined. again means that others have used the new write key up.
func (c *Cache) await(ctx context.Context, f *flight) (key Key, again bool, err error) {
	select {
	case <-f.done:
	case <-ctx.Done():
	}
	cache, event := cacheRead, Event{Kind: kindMiss, KID: f.kek.KID, Context: ctx}
	if f.name.write {
		cache = cacheWrite
	}
	c.mu.Lock()
	f.waiters--
	switch {
	case !f.landed:
		err = ctx.Err()
	case f.err != nil:
		err = f.err
	case f.name.write && f.entry.spent(c.limits.Load()):
		again = true
	default:
		if f.name.write {
			f.entry.uses++
		}
		key = f.entry.key()
	}
	if f.landed && f.waiters == 0 && f.entry != nil {
		f.entry.drop()
		f.entry = nil
	}
	expired := f.expired
	c.mu.Unlock()
	if again {
		return key, again, nil
	}
	if expired {
		event.Kind = kindExpired
	}
	event.Cache, event.Err = cache, err
	c.opts.Observe(event)
	return key, false, err
}

// definite reports whether an error is the KMS's last word on a blob or key.
func definite(err error) bool {
	return errors.Is(err, kms.ErrAccessDenied) || errors.Is(err, kms.ErrBadCiphertext) ||
		errors.Is(err, kms.ErrKeyNotFound) || errors.Is(err, kms.ErrKeyDisabled)
}

// outage reports whether an error says that the KMS is away or overloaded.
func outage(err error) bool {
	return errors.Is(err, kms.ErrUnavailable) || errors.Is(err, kms.ErrThrottled)
}
