// Package keycache stands in front of the KMS: it hands out intermediate keys for writing and reading, bounded by age,
// uses and entries, with one KMS call at a time per key (FORMAT.md 4.4). It reports numbers and knows no metrics library.
//
// A key is overwritten in memory once it is neither cached nor used by a caller any more.
package keycache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"s3veil/crypto/kms"
)

// KEK is one configured KMS key.
type KEK struct {
	KID      string       // as in envelopes
	Provider kms.Provider // that holds it
	Name     string       // the key's name inside the provider
}

// Options configure a Cache. Zero values mean the defaults given. Those marked * can be changed by Configure.
type Options struct {
	KEKs        []KEK
	MaxAge      time.Duration // * 15 minutes, which is also the most; write keys are replaced once two thirds of it, or a little less, are over
	MaxUses     int64         // * per write key: 1 << 19, which is also the most; one use seals two envelopes at most
	MaxBytes    int64         // * plaintext per write key, as told by Key.Charge: 16 TiB
	ReadEntries int           // * 10,000
	WriteKeys   int           // write keys of contexts with client pairs: 1,000
	Outage      Outage        // * what expired entries are good for while the KMS is away
	PerObject   bool          // * dek.cache: off — a fresh IKEK per envelope, no reuse; then every read counts as a miss
	MissRate    float64       // unwraps of unseen blobs per second and (client, realm): 100; burst the same; four times that per client
	CallTimeout time.Duration // 5 s per try
	Tries       int           // 3
	TryWindow   time.Duration // 10 s over all tries
	Now         func() time.Time
	Observe     func(Event) // may be nil; called by many goroutines, not to be blocked
}

// Outage is the policy while a KMS cannot be reached (kms.outage).
type Outage struct {
	Read        time.Duration // serve expired read entries this long; at most 24 h
	WriteCached bool          // go on with an expired write key for Read's time
}

// Event is one observation, for metrics. Every ForWriting and ForReading gives exactly one "hit" (answered from the
// cache, refusals included), "miss" (the KMS was needed, or the rate limit refused) or "expired" (the outage policy
// served an expired key). "evicted" is an entry that made room for another; "kms" is one call, successful or not. "away"
// comes once when a call has failed in all its tries, and "back" with the first answer after that.
type Event struct {
	Kind    string
	Cache   string // "read" or "write"; empty for "kms", "away" and "back"
	KID     string
	Op      string // of "kms": "generate", "unwrap", "health"
	Err     error
	Seconds float64 // of "kms"
	// Context has the values of the caller's context; of "kms", those of the caller that began the call. It is not to be kept.
	Context context.Context
}

// Fingerprint is the first 8 bytes of the read-cache key, for audit lines.
type Fingerprint [8]byte

// Key is a usable intermediate key. Bound is IKEK' (kms.Bind); Release must be called exactly once when the caller is done
// with it, and Bound not be used afterwards. Wrapped and Bound are shared: callers do not change them.
type Key struct {
	KID     string
	Wrapped []byte
	Bound   *kms.Key32
	Print   Fingerprint
	Release func()

	entry *entry
}

// Charge counts n bytes of plaintext that are sealed below the key, towards Options.MaxBytes: for the bytes of one object
// or part, also after Release. The key that reaches the limit seals nothing further.
func (k Key) Charge(n int64) {
	if k.entry != nil {
		k.entry.bytes.Add(n)
	}
}

// ErrMissLimit reports that a client's unwraps of unseen blobs exceed the rate limit (503 SlowDown).
var ErrMissLimit = errors.New("keycache: too many keys asked of the KMS")

// The bounds that are no options (FORMAT.md 3.3, 4.4).
const (
	maxAge        = 15 * time.Minute
	maxUses       = 1 << 19 // of 2^20 envelopes: the start of a multipart upload seals a token and an object with one key
	maxBytes      = 16 << 40
	maxOutage     = 24 * time.Hour
	maxWrapped    = 1024
	refusalAge    = 5 * time.Second
	refusals      = 10_000
	plainKeys     = 10_000 // write keys without client pairs: a client's bucket names are realms, so it can vary them
	cacheRead     = "read"
	cacheWrite    = "write"
	kindHit       = "hit"
	kindMiss      = "miss"
	kindExpired   = "expired"
	kindEvicted   = "evicted"
	kindKMS       = "kms"
	kindAway      = "away"
	kindBack      = "back"
	sweepInterval = time.Minute
)

// Cache hands out intermediate keys. It is safe for concurrent use.
type Cache struct {
	opts   Options // but for what limits holds
	limits atomic.Pointer[limits]
	now    func() time.Time
	misses *missLimits
	ctx    context.Context // of calls that outlive their callers; ends with Close
	stop   context.CancelFunc

	mu      sync.Mutex // guards what follows, and the mutable fields of entries and flights
	keks    map[string]*kek
	reads   *simplelru.LRU[id, *entry]
	plain   *simplelru.LRU[writeName, *entry] // write keys without client pairs
	paired  *simplelru.LRU[writeName, *entry] // and with
	refused *simplelru.LRU[id, refusal]
	flights map[flightName]*flight
	sweepAt time.Time
	idle    *time.Timer // sweeps though nobody asks for a key
	closed  bool
}

// kek is a configured key with what is known of its KMS.
type kek struct {
	KEK
	breaker breaker
}

// writeName names a write key. pairs is canonical, and empty without client pairs.
type writeName struct{ kid, realm, pairs string }

// refusal is a definite answer of the KMS that is repeated for a while.
type refusal struct {
	err   error
	until time.Time
}

// New returns a cache over opts.KEKs. It calls no KMS.
func New(opts Options) (*Cache, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Cache{opts: opts, now: opts.Now, flights: map[flightName]*flight{}}
	c.limits.Store(opts.limits())
	c.misses = newMissLimits(opts.MissRate)
	c.reads = newLRU(opts.ReadEntries, func(_ id, e *entry) { e.drop() })
	c.plain = newLRU(plainKeys, func(_ writeName, e *entry) { e.drop() })
	c.paired = newLRU(opts.WriteKeys, func(_ writeName, e *entry) { e.drop() })
	c.refused = newLRU[id, refusal](refusals, nil)
	c.ctx, c.stop = context.WithCancel(context.Background())
	if err := c.Update(opts.KEKs); err != nil {
		c.stop()
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = time.AfterFunc(sweepInterval, c.sweepIdle)
	return c, nil
}

// newLRU panics for a size below 1, which withDefaults excludes.
func newLRU[K comparable, V any](size int, evict func(K, V)) *simplelru.LRU[K, V] {
	l, err := simplelru.NewLRU(size, evict)
	if err != nil {
		panic(err)
	}
	return l
}

// ForWriting returns the write key of (kid, realm, pairs) and counts one use, which is good for two envelopes of one
// request. client limits misses of new contexts and realms.
//
// Errors: kms.ErrKeyNotFound for an unknown kid, the definite refusals of the KMS, ErrMissLimit, the end of ctx, and
// kms.ErrUnavailable or kms.ErrThrottled for a KMS that is away. A caller that leaves does not disturb the others that
// wait for the same key.
func (c *Cache) ForWriting(ctx context.Context, client, kid, realm string, pairs kms.Context) (Key, error) {
	name := writeName{kid: kid, realm: realm}
	if len(pairs) > 0 {
		name.pairs = string(pairs.Canonical())
	}
	if c.limits.Load().perObject {
		return c.generateOnce(ctx, name, pairs)
	}
	for {
		key, f, err := c.findWriteKey(ctx, client, name, pairs)
		if f == nil {
			return key, err
		}
		key, again, err := c.await(ctx, f)
		if !again {
			return key, err
		}
	}
}

// findWriteKey returns a cached key or refusal, or else the flight that fetches the key, which the caller has joined.
func (c *Cache) findWriteKey(ctx context.Context, client string, name writeName, pairs kms.Context) (Key, *flight, error) {
	now := c.now()
	c.mu.Lock()
	k, err := c.kek(name.kid)
	if err != nil {
		c.mu.Unlock()
		return Key{}, nil, err
	}
	lim := c.limits.Load()
	e, found := c.writes(name).Get(name)
	event := Event{Kind: kindHit, Cache: cacheWrite, KID: k.KID, Context: ctx}
	usable := found && !e.spent(lim) && now.Before(e.writeUntil)
	if found && !usable && !e.spent(lim) && k.breaker.away() && now.Before(e.writeUntil.Add(lim.bridgeWrites())) {
		usable, event.Kind = true, kindExpired // nobody has to wait until a call to a KMS known to be away has failed
	}
	if usable {
		e.uses++
		key := e.key()
		if !now.Before(e.refreshAt) || e.nearlySpent(lim) {
			c.refresh(now, k, name, pairs, e)
		}
		c.mu.Unlock()
		c.opts.Observe(event)
		return key, nil, nil
	}
	f, err := c.joinWrite(ctx, now, k, client, name, pairs, found)
	c.mu.Unlock()
	if err != nil {
		c.report(ctx, cacheWrite, k.KID, err)
	}
	return Key{}, f, err
}

// joinWrite joins or starts the flight for a write key; the caller holds mu. known says that there was such a key, so that
// this is no new context.
func (c *Cache) joinWrite(ctx context.Context, now time.Time, k *kek, client string, name writeName, pairs kms.Context, known bool) (*flight, error) {
	at := flightName{write: true, id: idOf(name.kid, nil, name.realm, pairs)}
	f := c.flights[at]
	if f == nil {
		if err := c.refusal(at.id, now); err != nil {
			return nil, err
		}
		// A plain write key is one per realm, but realms are as many as a client can name buckets.
		perRealm := name.pairs != ""
		if !known && !c.misses.allow(now, client, name.realm, perRealm) {
			return nil, ErrMissLimit
		}
		f = c.startWrite(ctx, k, at, name, pairs)
	}
	f.waiters++
	return f, nil
}

// refreshPause is the time to the next attempt, where one to replace a write key ahead of its end has failed.
const refreshPause = 15 * time.Second

// refresh starts to replace a write key that will expire soon, so that nobody has to wait for it. Nobody does.
func (c *Cache) refresh(now time.Time, k *kek, name writeName, pairs kms.Context, e *entry) {
	e.refreshAt = now.Add(min(refreshPause, c.limits.Load().maxAge/60))
	if !now.Before(e.writeUntil) {
		e.refreshAt = now // only a KMS that is away has let it get so old: it is asked as often as the breaker allows
	}
	if !k.breaker.open(now) {
		return
	}
	at := flightName{write: true, id: idOf(name.kid, nil, name.realm, pairs)}
	if c.flights[at] == nil && c.refusal(at.id, now) == nil {
		c.startWrite(c.ctx, k, at, name, pairs)
	}
}

func (c *Cache) startWrite(caller context.Context, k *kek, at flightName, name writeName, pairs kms.Context) *flight {
	name = writeName{k.KID, strings.Clone(name.realm), name.pairs} // kept beyond the request
	ec := kms.RealmContext(name.realm, pairs)
	return c.start(k, at, name, func() (*entry, error) { return c.generate(c.outlive(caller), k, ec) })
}

// ForReading unwraps, or finds, the IKEK of an envelope. Unknown kids are kms.ErrKeyNotFound. The other errors are those
// of ForWriting, and kms.ErrBadCiphertext.
func (c *Cache) ForReading(ctx context.Context, client, kid string, wrapped []byte, realm string, pairs kms.Context) (Key, error) {
	at := flightName{id: idOf(kid, wrapped, realm, pairs)}
	now := c.now()
	c.mu.Lock()
	k, err := c.kek(kid)
	if err != nil {
		c.mu.Unlock()
		return Key{}, err
	}
	e, found := c.reads.Get(at.id)
	if found && now.Before(e.readUntil) {
		key := e.key()
		c.mu.Unlock()
		c.opts.Observe(Event{Kind: kindHit, Cache: cacheRead, KID: k.KID, Context: ctx})
		return key, nil
	}
	lim := c.limits.Load()
	if lim.perObject {
		err = c.admit(now, at.id, client, realm, found)
		c.mu.Unlock()
		if err != nil {
			c.report(ctx, cacheRead, k.KID, err)
			return Key{}, err
		}
		return c.unwrapOnce(ctx, k, at.id, wrapped, kms.RealmContext(realm, pairs))
	}
	f := c.flights[at]
	if found && k.breaker.away() && now.Before(e.readUntil.Add(lim.outage.Read)) {
		key := e.key()
		if f == nil && k.breaker.open(now) && c.refusal(at.id, now) == nil {
			c.startRead(c.ctx, k, at, wrapped, realm, pairs)
		}
		c.mu.Unlock()
		c.opts.Observe(Event{Kind: kindExpired, Cache: cacheRead, KID: k.KID, Context: ctx})
		return key, nil
	}
	if f == nil {
		if err = c.admit(now, at.id, client, realm, found); err == nil {
			f = c.startRead(ctx, k, at, wrapped, realm, pairs)
		}
	}
	if err != nil {
		c.mu.Unlock()
		c.report(ctx, cacheRead, k.KID, err)
		return Key{}, err
	}
	f.waiters++
	c.mu.Unlock()
	key, _, err := c.await(ctx, f)
	return key, err
}

// admit says whether a read may ask the KMS; the caller holds mu. known says that the blob is an expired entry, hence not
// unseen.
func (c *Cache) admit(now time.Time, at id, client, realm string, known bool) error {
	if err := c.refusal(at, now); err != nil {
		return err
	}
	if !known && !c.misses.allow(now, client, realm, true) {
		return ErrMissLimit
	}
	return nil
}

// Miss counts a call of a KMS that does not go through the cache against the client's limit (ErrMissLimit).
func (c *Cache) Miss(client, realm string) error {
	if !c.misses.allow(c.now(), client, realm, true) {
		return ErrMissLimit
	}
	return nil
}

func (c *Cache) startRead(caller context.Context, k *kek, at flightName, wrapped []byte, realm string, pairs kms.Context) *flight {
	wrapped = append([]byte(nil), wrapped...) // kept beyond the request
	ec := kms.RealmContext(strings.Clone(realm), pairs)
	return c.start(k, at, writeName{}, func() (*entry, error) { return c.unwrap(c.outlive(caller), k, at.id, wrapped, ec) })
}

// kek finds a configured key; the caller holds mu.
func (c *Cache) kek(kid string) (*kek, error) {
	if c.closed {
		return nil, errClosed
	}
	k, ok := c.keks[kid]
	if !ok {
		return nil, fmt.Errorf("%w: no key %q is configured", kms.ErrKeyNotFound, kid)
	}
	return k, nil
}

// refusal returns the definite answer that the KMS gave a moment ago, if any; the caller holds mu.
func (c *Cache) refusal(at id, now time.Time) error {
	if r, ok := c.refused.Get(at); ok && now.Before(r.until) {
		return r.err
	}
	return nil
}

// writes returns the table of a write key.
func (c *Cache) writes(name writeName) *simplelru.LRU[writeName, *entry] {
	if name.pairs == "" {
		return c.plain
	}
	return c.paired
}

// report observes a call that ended with an error before any flight: a refusal from the cache, or the rate limit.
func (c *Cache) report(ctx context.Context, cache, kid string, err error) {
	kind := kindHit
	if errors.Is(err, ErrMissLimit) {
		kind = kindMiss
	}
	c.opts.Observe(Event{Kind: kind, Cache: cache, KID: kid, Err: err, Context: ctx})
}
