// Package keycache stands in front of the KMS: it hands out intermediate keys for writing and reading, bounded by age,
// uses and entries, with one KMS call at a time per key (FORMAT.md 4.4). It reports numbers and knows no metrics library.
package keycache

import (
	"context"
	"time"

	"s3veil/crypto/kms"
)

// KEK is one configured KMS key.
type KEK struct {
	KID      string       // as in envelopes
	Provider kms.Provider // that holds it
	Name     string       // the key's name inside the provider
}

// Options configure a Cache. Zero values mean the defaults given.
type Options struct {
	KEKs        []KEK
	MaxAge      time.Duration // 15 minutes, with jitter
	MaxUses     int64         // envelopes per write key: 1 << 20
	ReadEntries int           // 10,000
	WriteKeys   int           // write keys of contexts with client pairs: 1,000
	Outage      Outage        // what expired entries are good for while the KMS is away
	PerObject   bool          // dek.cache: off — a fresh IKEK per envelope, no reuse
	MissRate    float64       // unwraps of unseen blobs per second and (client, realm): 100; burst the same
	CallTimeout time.Duration // 5 s per try
	Tries       int           // 3
	TryWindow   time.Duration // 10 s over all tries
	Now         func() time.Time
	Observe     func(Event) // may be nil
}

// Outage is the policy while a KMS cannot be reached (kms.outage).
type Outage struct {
	Read        time.Duration // serve expired read entries this long; at most 24 h
	WriteCached bool          // go on with an expired write key for Read's time
}

// Event is one observation, for metrics. Kind is "hit", "miss", "expired", "evicted", "kms".
type Event struct {
	Kind    string
	Cache   string // "read" or "write"
	KID     string
	Op      string // "generate", "unwrap", "rewrap", "health"
	Err     error
	Seconds float64
}

// Fingerprint is the first 8 bytes of the read-cache key, for audit lines.
type Fingerprint [8]byte

// Key is a usable intermediate key. Bound is IKEK' (kms.Bind); Release must be called once when the caller is done with it.
type Key struct {
	KID     string
	Wrapped []byte
	Bound   *kms.Key32
	Print   Fingerprint
	Release func()
}

// ErrMissLimit reports that a client's unwraps of unseen blobs exceed the rate limit (503 SlowDown).
var ErrMissLimit error

// Cache hands out intermediate keys. It is safe for concurrent use.
type Cache struct{ _ int }

// New returns a cache over opts.KEKs.
func New(opts Options) (*Cache, error) { panic("stub") }

// ForWriting returns the write key of (kid, realm, pairs) and counts one use. client limits misses of contexts with pairs.
func (c *Cache) ForWriting(ctx context.Context, client, kid, realm string, pairs kms.Context) (Key, error) {
	panic("stub")
}

// ForReading unwraps, or finds, the IKEK of an envelope. Unknown kids are kms.ErrKeyNotFound.
func (c *Cache) ForReading(ctx context.Context, client, kid string, wrapped []byte, realm string, pairs kms.Context) (Key, error) {
	panic("stub")
}

// Newest resolves a configured id such as "main" to the kid that wraps now ("main.2"), and Family to all kids it stands for
// (DESIGN.md 6.1, local key files); for other providers both are the id itself.
// Health reports whether kid is usable, from the KMS or from cached entries that still serve.
func (c *Cache) Health(ctx context.Context, kid string) error { panic("stub") }

// Stats returns entry counts by cache ("read", "write").
func (c *Cache) Stats() map[string]int { panic("stub") }

// Close overwrites every cached key. The cache must not be used afterwards.
func (c *Cache) Close() { panic("stub") }
