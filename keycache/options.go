package keycache

import (
	"errors"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

func (o Options) withDefaults() (Options, error) {
	bound(&o.MaxAge, maxAge)
	bound(&o.MaxUses, maxUses)
	bound(&o.MaxBytes, maxBytes)
	bound(&o.ReadEntries, 10_000)
	bound(&o.WriteKeys, 1_000)
	bound(&o.MissRate, 100)
	bound(&o.CallTimeout, 5*time.Second)
	bound(&o.Tries, 3)
	bound(&o.TryWindow, 10*time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Observe == nil {
		o.Observe = func(Event) {}
	}
	var wrong []error
	refuse := func(bad bool, what string) {
		if bad {
			wrong = append(wrong, errors.New("keycache: "+what))
		}
	}
	refuse(o.MaxAge < 0 || o.MaxAge > maxAge, "MaxAge must be at most 15 minutes")
	refuse(o.MaxUses < 0 || o.MaxUses > maxUses, "MaxUses must be at most 524,288")
	refuse(o.MaxBytes < 0, "MaxBytes must not be negative")
	refuse(o.ReadEntries < 0 || o.WriteKeys < 0, "numbers of entries must not be negative")
	refuse(o.MissRate < 0, "MissRate must not be negative")
	refuse(o.CallTimeout < 0 || o.TryWindow < 0 || o.Tries < 0, "times and tries of calls must not be negative")
	refuse(o.Outage.Read < 0 || o.Outage.Read > maxOutage, "Outage.Read must be at most 24 hours")
	return o, errors.Join(wrong...)
}

// bound replaces the zero value by a default.
func bound[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// limits are the options that Configure can change.
type limits struct {
	maxAge    time.Duration
	maxUses   int64
	maxBytes  int64
	outage    Outage
	perObject bool
}

func (o *Options) limits() *limits {
	return &limits{o.MaxAge, o.MaxUses, o.MaxBytes, o.Outage, o.PerObject}
}

// bridgeWrites is how long an expired write key goes on while the KMS is away.
func (l *limits) bridgeWrites() time.Duration {
	if l.outage.WriteCached {
		return l.outage.Read
	}
	return 0
}

// Configure puts new limits into force: MaxAge, MaxUses, MaxBytes, ReadEntries, Outage and PerObject of opts, for keys that
// are cached already too. An operator can so extend the outage policy in mid-outage. With an error nothing has changed.
func (c *Cache) Configure(opts Options) error {
	opts, err := opts.withDefaults()
	if err != nil {
		return err
	}
	lim := opts.limits()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	before := c.limits.Swap(lim)
	if lim.maxAge < before.maxAge {
		for _, lru := range []*simplelru.LRU[writeName, *entry]{c.plain, c.paired} {
			for _, e := range lru.Values() {
				e.cut(lim.maxAge)
			}
		}
		for _, e := range c.reads.Values() {
			e.cut(lim.maxAge)
		}
	}
	c.reads.Resize(opts.ReadEntries)
	if lim.perObject {
		c.reads.Purge()
		c.plain.Purge()
		c.paired.Purge()
	}
	return nil
}
