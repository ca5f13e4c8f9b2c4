package keycache

import (
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

// limiters bounds the number of clients and (client, realm) pairs that are remembered each.
const limiters = 10_000

// clientFactor is how much more a client may miss in all its realms together than in one.
const clientFactor = 4

// missLimits holds back those who make the KMS work: forged blobs, contexts and realms made up cost a call each.
type missLimits struct {
	rate rate.Limit

	mu      sync.Mutex
	clients *simplelru.LRU[string, *rate.Limiter]
	realms  *simplelru.LRU[clientRealm, *rate.Limiter]
}

type clientRealm struct{ client, realm string }

func newMissLimits(perSecond float64) *missLimits {
	return &missLimits{
		rate:    rate.Limit(perSecond),
		clients: newLRU[string, *rate.Limiter](limiters, nil),
		realms:  newLRU[clientRealm, *rate.Limiter](limiters, nil),
	}
}

// allow counts a miss. perRealm false leaves out the limit of the realm.
func (m *missLimits) allow(now time.Time, client, realm string, perRealm bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if perRealm && !limiter(m.realms, clientRealm{client, realm}, m.rate, func(k clientRealm) clientRealm {
		return clientRealm{strings.Clone(k.client), strings.Clone(k.realm)}
	}).AllowN(now, 1) {
		return false
	}
	return limiter(m.clients, client, clientFactor*m.rate, strings.Clone).AllowN(now, 1)
}

// limiter finds or makes a limiter. keep copies a name that is remembered.
func limiter[K comparable](l *simplelru.LRU[K, *rate.Limiter], name K, limit rate.Limit, keep func(K) K) *rate.Limiter {
	found, ok := l.Get(name)
	if !ok {
		found = rate.NewLimiter(limit, max(1, int(limit)))
		l.Add(keep(name), found)
	}
	return found
}
