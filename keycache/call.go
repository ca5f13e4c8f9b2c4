package keycache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"s3veil/crypto/kms"
)

// The operations of a provider in events.
const (
	opGenerate = "generate"
	opUnwrap   = "unwrap"
	opHealth   = "health"
)

// firstPause is the longest pause after the first failed try; it doubles with every further one.
const firstPause = 200 * time.Millisecond

// errNoKey reports a provider that breaks its contract.
var errNoKey = errors.New("keycache: the provider returned no usable key")

// generate asks for a fresh write key. The entry comes with one reference.
func (c *Cache) generate(ctx context.Context, k *kek, ec kms.Context) (*entry, error) {
	var key kms.Key32
	defer key.Zero()
	var wrapped []byte
	born := c.now()
	err := c.call(ctx, k, opGenerate, c.opts.Tries, c.opts.CallTimeout, func(ctx context.Context) (err error) {
		key, wrapped, err = k.Provider.Generate(ctx, k.Name, ec)
		return err
	})
	if err == nil && (key == (kms.Key32{}) || len(wrapped) == 0 || len(wrapped) > maxWrapped) {
		err = errNoKey
	}
	if err != nil {
		return nil, err
	}
	return newEntry(idOfContext(k.KID, wrapped, ec), k.KID, wrapped, &key, ec, born, c.limits.Load().maxAge), nil
}

// unwrap asks for the key of a blob. The entry comes with one reference.
func (c *Cache) unwrap(ctx context.Context, k *kek, at id, wrapped []byte, ec kms.Context) (*entry, error) {
	var key kms.Key32
	defer key.Zero()
	born := c.now()
	err := c.call(ctx, k, opUnwrap, c.opts.Tries, c.opts.CallTimeout, func(ctx context.Context) (err error) {
		key, err = k.Provider.Unwrap(ctx, k.Name, wrapped, ec)
		return err
	})
	if err == nil && key == (kms.Key32{}) {
		err = errNoKey
	}
	if err != nil {
		return nil, err
	}
	return newEntry(at, k.KID, wrapped, &key, ec, born, c.limits.Load().maxAge), nil
}

// idOfContext is idOf for a merged context.
func idOfContext(kid string, wrapped []byte, ec kms.Context) id {
	realm := ec[kms.ContextRealm]
	if len(ec) == 2 {
		return idOf(kid, wrapped, realm, nil)
	}
	return idOf(kid, wrapped, realm, ec)
}

// ForOneObject returns a write key that serves no other object: for clients that ask for no bucket key. Each costs a call
// of the KMS, so they count as misses. Errors are those of ForWriting.
func (c *Cache) ForOneObject(ctx context.Context, client, kid, realm string, pairs kms.Context) (Key, error) {
	if !c.opts.PerObject && !c.misses.allow(c.now(), client, realm, true) {
		c.report(ctx, cacheWrite, kid, ErrMissLimit)
		return Key{}, ErrMissLimit
	}
	name := writeName{kid: kid, realm: realm}
	if len(pairs) > 0 {
		name.pairs = string(pairs.Canonical())
	}
	return c.generateOnce(ctx, name, pairs)
}

// generateOnce makes a key for one envelope (PerObject).
func (c *Cache) generateOnce(ctx context.Context, name writeName, pairs kms.Context) (Key, error) {
	c.mu.Lock()
	k, err := c.kek(name.kid)
	if err == nil {
		err = c.refusal(idOf(name.kid, nil, name.realm, pairs), c.now())
	}
	c.mu.Unlock()
	if err != nil {
		return Key{}, err
	}
	e, err := c.generate(ctx, k, kms.RealmContext(name.realm, pairs))
	return c.once(ctx, cacheWrite, k, flightName{true, idOf(name.kid, nil, name.realm, pairs)}, e, err)
}

// unwrapOnce unwraps for one reader (PerObject).
func (c *Cache) unwrapOnce(ctx context.Context, k *kek, at id, wrapped []byte, ec kms.Context) (Key, error) {
	e, err := c.unwrap(ctx, k, at, append([]byte(nil), wrapped...), ec)
	return c.once(ctx, cacheRead, k, flightName{false, at}, e, err)
}

// once hands an entry to its only user, or remembers a definite refusal.
func (c *Cache) once(ctx context.Context, cache string, k *kek, at flightName, e *entry, err error) (Key, error) {
	c.opts.Observe(Event{Kind: kindMiss, Cache: cache, KID: k.KID, Err: err, Context: ctx})
	if err != nil {
		if definite(err) {
			c.mu.Lock()
			c.refused.Add(at.id, refusal{err, c.now().Add(refusalAge)})
			c.mu.Unlock()
		}
		return Key{}, cmp.Or(ctx.Err(), err)
	}
	defer e.drop()
	return e.key(), nil
}

// call tries an operation until it succeeds, is refused, or the tries or their time are used up. Only throttling and
// unavailability are tried again (FORMAT.md B.1). one is the time of each try.
func (c *Cache) call(caller context.Context, k *kek, op string, tries int, one time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(caller, c.opts.TryWindow)
	defer cancel()
	var last error
	for try := 0; ; try++ {
		began := c.now()
		if !k.breaker.allow(began) {
			if last == nil {
				last = fmt.Errorf("%w: the KMS of %q has failed several times and is left alone for a moment", kms.ErrUnavailable, k.KID)
			}
			return last
		}
		last = c.try(ctx, k, op, one, f)
		if caller.Err() != nil {
			return last // says nothing about the KMS
		}
		if k.breaker.report(began, c.now(), last) {
			c.opts.Observe(Event{Kind: kindBack, KID: k.KID})
		}
		if !outage(last) {
			return last
		}
		if try+1 >= tries || !pause(ctx, rand.N(firstPause<<try)+time.Millisecond) {
			if k.breaker.gaveUp() {
				c.opts.Observe(Event{Kind: kindAway, KID: k.KID, Err: last})
			}
			return last
		}
	}
}

// pause waits, and reports whether ctx lasted.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// try makes one call with its own deadline. A call that ran into it is kms.ErrUnavailable.
func (c *Cache) try(ctx context.Context, k *kek, op string, one time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, one)
	defer cancel()
	start := time.Now()
	err := f(ctx)
	if err != nil {
		if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w: %w", kms.ErrUnavailable, err)
		}
		err = fmt.Errorf("keycache: %s under %q: %w", op, k.KID, err)
	}
	c.opts.Observe(Event{Kind: kindKMS, KID: k.KID, Op: op, Err: err, Seconds: time.Since(start).Seconds(), Context: ctx})
	return err
}
