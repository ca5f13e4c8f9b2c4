package keycache

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"s3veil/crypto/kms"
)

// id is the read-cache key of a blob (FORMAT.md 4.4).
type id [sha256.Size]byte

// idOf returns SHA-256(LP(kid) ‖ LP(wrapped) ‖ canonical(context)). Write keys, which have no blob yet, use it with an
// empty one, which no envelope can hold.
func idOf(kid string, wrapped []byte, realm string, pairs kms.Context) id {
	var room [1536]byte // enough for every kid, blob and realm within the limits, without pairs
	b := appendLP(room[:0], kid)
	b = binary.BigEndian.AppendUint32(b, uint32(len(wrapped)))
	b = append(b, wrapped...)
	if len(pairs) == 0 { // canonical order: realm precedes s3veil
		b = appendLP(b, kms.ContextRealm)
		b = appendLP(b, realm)
		b = appendLP(b, kms.ContextFormat)
		b = appendLP(b, "1")
	} else {
		b = append(b, kms.RealmContext(realm, pairs).Canonical()...)
	}
	return sha256.Sum256(b)
}

// FingerprintOf is the fingerprint of a key that no KMS holds, for audit lines.
func FingerprintOf(kid string, wrapped []byte, realm string, pairs kms.Context) Fingerprint {
	at := idOf(kid, wrapped, realm, pairs)
	return Fingerprint(at[:8])
}

func appendLP(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

// entry is one intermediate key. The write table and the read cache can hold the same entry. The fields below refs belong
// to Cache.mu, the others never change.
type entry struct {
	id      id
	kid     string
	wrapped []byte
	bound   kms.Key32
	born    time.Time
	release func() // one function for all users, so that handing out a key allocates nothing

	refs  atomic.Int64 // tables, flights and users that hold it; at zero the key is overwritten
	bytes atomic.Int64 // of plaintext sealed below it

	readUntil  time.Time
	writeUntil time.Time // write keys only
	refreshAt  time.Time
	uses       int64
	nearing    bool
}

// newEntry takes over a fresh key, which it overwrites, with one reference for the caller. born is when the KMS was asked.
func newEntry(at id, kid string, wrapped []byte, key *kms.Key32, ec kms.Context, born time.Time, age time.Duration) *entry {
	life := age - time.Duration(rand.Int64N(int64(age)/5+1)) // replicas and realms do not come back together
	e := &entry{id: at, kid: kid, wrapped: wrapped, bound: kms.Bind(*key, ec), born: born}
	key.Zero()
	e.readUntil = born.Add(age)
	e.writeUntil = born.Add(life)
	e.refreshAt = born.Add(life - life/3) // whenever an outage begins, a third is left
	e.release = e.drop
	e.refs.Store(1)
	return e
}

// key returns the entry with a reference of its own for the caller, who holds one already or Cache.mu.
func (e *entry) key() Key {
	e.refs.Add(1)
	return Key{KID: e.kid, Wrapped: e.wrapped, Bound: &e.bound, Print: Fingerprint(e.id[:8]), Release: e.release, entry: e}
}

// hold adds a reference; the caller has one already or Cache.mu.
func (e *entry) hold() *entry {
	e.refs.Add(1)
	return e
}

// drop gives a reference back and overwrites the key after the last one.
func (e *entry) drop() {
	switch n := e.refs.Add(-1); {
	case n == 0:
		e.bound.Zero()
	case n < 0:
		panic("keycache: a key was released twice")
	}
}

// spent reports whether the key has sealed as much as the limits allow; the caller holds Cache.mu.
func (e *entry) spent(l *limits) bool { return e.uses >= l.maxUses || e.bytes.Load() >= l.maxBytes }

// nearlySpent is true once, shortly before spent is: then is the time to ask for another key. The caller holds Cache.mu.
func (e *entry) nearlySpent(l *limits) bool {
	near := !e.nearing && (e.uses > l.maxUses-l.maxUses/16 || e.bytes.Load() > l.maxBytes-l.maxBytes/16)
	e.nearing = e.nearing || near
	return near
}

// cut shortens the entry's life to age; the caller holds Cache.mu.
func (e *entry) cut(age time.Duration) {
	end := e.born.Add(age)
	for _, at := range []*time.Time{&e.readUntil, &e.writeUntil} {
		if end.Before(*at) {
			*at = end
		}
	}
	if soon := end.Add(-age / 3); soon.Before(e.refreshAt) {
		e.refreshAt = soon
	}
}
