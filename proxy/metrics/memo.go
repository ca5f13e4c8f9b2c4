package metrics

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// memo remembers children of metrics by their labels: a look-up by label values hashes and locks, and every request makes ten.
// It never forgets, so K must be bounded as labels are.
type memo[K comparable, V any] struct {
	known atomic.Pointer[map[K]V]
	mu    sync.Mutex
}

// get returns what is known of k, or makes it.
func (m *memo[K, V]) get(k K, make func(K) V) V {
	if known := m.known.Load(); known != nil {
		if v, ok := (*known)[k]; ok {
			return v
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	next := map[K]V{}
	if known := m.known.Load(); known != nil {
		if v, ok := (*known)[k]; ok {
			return v
		}
		next = maps.Clone(*known)
	}
	next[k] = make(k)
	m.known.Store(&next)
	return next[k]
}

// pair are the values of two labels.
type pair struct{ a, b string }

// connGauges are the two states of a store's connections.
type connGauges struct{ inUse, idle prometheus.Gauge }

func (m *Metrics) requestsOf(p pair) prometheus.Counter    { return m.requests.WithLabelValues(p.a, p.b) }
func (m *Metrics) secondsOf(op string) prometheus.Observer { return m.seconds.WithLabelValues(op) }
func (m *Metrics) bytesOf(p pair) prometheus.Counter       { return m.bytes.WithLabelValues(p.a, p.b) }
func (m *Metrics) upRequestsOf(p pair) prometheus.Counter {
	return m.upRequests.WithLabelValues(p.a, p.b)
}
func (m *Metrics) upSecondsOf(name string) prometheus.Observer {
	return m.upSeconds.WithLabelValues(name)
}
func (m *Metrics) cacheResultsOf(p pair) prometheus.Counter {
	return m.cacheResults.WithLabelValues(p.a, p.b)
}
func (m *Metrics) upConnsOf(name string) connGauges {
	return connGauges{m.upConns.WithLabelValues(name, "in_use"), m.upConns.WithLabelValues(name, "idle")}
}
