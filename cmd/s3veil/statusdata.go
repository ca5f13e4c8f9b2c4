package main

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	dto "github.com/prometheus/client_model/go"
)

// statusData is the answer of /status.json. Counters count from the start of the process; nil pointers mean unknown.
type statusData struct {
	Version       string   `json:"version"`
	Started       string   `json:"started"` // RFC 3339
	UptimeSeconds int64    `json:"uptime_seconds"`
	Uptime        float64  `json:"uptime_exact"` // seconds, for rates
	Ready         bool     `json:"ready"`
	Missing       []string `json:"missing"` // what readiness lacks

	Requests    float64 `json:"requests"`
	Failed      float64 `json:"failed"` // answered with an error code
	BytesIn     float64 `json:"bytes_in"`
	BytesOut    float64 `json:"bytes_out"`
	InFlight    float64 `json:"in_flight"`
	Connections float64 `json:"connections"`
	MemoryUsed  float64 `json:"memory_used"`
	MemoryLimit float64 `json:"memory_limit"`

	Latency           latency       `json:"latency"`
	Upstreams         []*storeState `json:"upstreams"`
	Keys              []*keyState   `json:"keys"`
	Caches            []*cacheState `json:"caches"`
	IntegrityFailures float64       `json:"integrity_failures"`
	Classes           []classCount  `json:"classes"` // those above zero
	Recent            []failure     `json:"recent"`  // the newest first
}

// latency is the histogram of all operations together; counts are cumulative, bounds seconds.
type latency struct {
	Bounds []float64 `json:"bounds"`
	Counts []uint64  `json:"counts"`
	Count  uint64    `json:"count"`
}

type storeState struct {
	Name        string  `json:"name"`
	Up          *bool   `json:"up"`
	Requests    float64 `json:"requests"`
	Errors      float64 `json:"errors"` // without an answer, or 500 and above
	MeanSeconds float64 `json:"mean_seconds"`
	InUse       float64 `json:"in_use"`
	Idle        float64 `json:"idle"`
}

type keyState struct {
	ID        string  `json:"id"`
	Usable    *bool   `json:"usable"`    // from KMS or cache
	Answering *bool   `json:"answering"` // the last call of its KMS
	Calls     float64 `json:"calls"`
	Failed    float64 `json:"failed"`
}

type cacheState struct {
	Name    string             `json:"name"`
	Entries float64            `json:"entries"`
	Results map[string]float64 `json:"results,omitempty"`
}

type classCount struct {
	Class string  `json:"class"`
	Count float64 `json:"count"`
}

type failure struct {
	Time      string `json:"time"` // RFC 3339
	RequestID string `json:"request_id"`
	Action    string `json:"action"`
	Class     string `json:"class"`
	Bucket    string `json:"bucket,omitempty"`
	Key       string `json:"key,omitempty"`
}

// table finds rows by name and makes the missing ones.
type table[T any] map[string]*T

func (t table[T]) at(name string) *T {
	if t[name] == nil {
		t[name] = new(T)
	}
	return t[name]
}

func (t table[T]) sorted(setName func(*T, string)) []*T {
	out := make([]*T, 0, len(t))
	for _, name := range slices.Sorted(maps.Keys(t)) {
		setName(t[name], name)
		out = append(out, t[name])
	}
	return out
}

// figuresOf reads what the page shows out of the metrics.
func figuresOf(families []*dto.MetricFamily) *statusData {
	d := &statusData{Latency: latency{Bounds: []float64{}, Counts: []uint64{}}, Classes: []classCount{}}
	stores, keys, caches := table[storeState]{}, table[keyState]{}, table[cacheState]{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			l := labels(m)
			if !d.ofProcess(f.GetName(), l, m) {
				ofDependencies(f.GetName(), l, m, stores, keys, caches)
			}
		}
	}
	d.Upstreams = stores.sorted(func(s *storeState, name string) { s.Name = name })
	d.Keys = keys.sorted(func(k *keyState, name string) { k.ID = name })
	d.Caches = caches.sorted(func(c *cacheState, name string) { c.Name = name })
	slices.SortFunc(d.Classes, func(a, b classCount) int { return cmp.Compare(a.Class, b.Class) })
	return d
}

// ofProcess takes a metric that is about the process as a whole and reports whether it was one.
func (d *statusData) ofProcess(name string, l map[string]string, m *dto.Metric) bool {
	v := value(m)
	switch name {
	case "s3veil_requests_total":
		d.Requests += v
		if status, err := strconv.Atoi(l["code"]); err != nil || status >= 400 {
			d.Failed += v
		}
	case "s3veil_request_seconds":
		d.Latency.add(m.GetHistogram())
	case "s3veil_bytes_total":
		if l["side"] == "client" {
			*pick(l["direction"] == "in", &d.BytesIn, &d.BytesOut) += v
		}
	case "s3veil_in_flight":
		d.InFlight = v
	case "s3veil_connections":
		d.Connections = v
	case "s3veil_memory_bytes":
		*pick(l["state"] == "used", &d.MemoryUsed, &d.MemoryLimit) = v
	case "s3veil_integrity_failures_total":
		d.IntegrityFailures += v
		if v > 0 {
			d.Classes = append(d.Classes, classCount{l["class"], v})
		}
	default:
		return false
	}
	return true
}

// ofDependencies takes a metric that is about a store, a key or a cache.
func ofDependencies(name string, l map[string]string, m *dto.Metric, stores table[storeState], keys table[keyState], caches table[cacheState]) {
	v := value(m)
	switch name {
	case "s3veil_upstream_requests_total":
		s := stores.at(l["upstream"])
		s.Requests += v
		if status, err := strconv.Atoi(l["code"]); err != nil || status >= 500 {
			s.Errors += v
		}
	case "s3veil_upstream_seconds":
		if h := m.GetHistogram(); h.GetSampleCount() > 0 {
			stores.at(l["upstream"]).MeanSeconds = h.GetSampleSum() / float64(h.GetSampleCount())
		}
	case "s3veil_upstream_connections":
		s := stores.at(l["upstream"])
		*pick(l["state"] == "in_use", &s.InUse, &s.Idle) = v
	case "s3veil_kms_requests_total":
		k := keys.at(l["key"])
		k.Calls += v
		if l["result"] != "ok" {
			k.Failed += v
		}
	case "s3veil_cache_entries":
		caches.at(l["cache"]).Entries = v
	case "s3veil_cache_requests_total":
		if v == 0 {
			return
		}
		c := caches.at(l["cache"])
		if c.Results == nil {
			c.Results = map[string]float64{}
		}
		c.Results[l["result"]] = v
	case "s3veil_dependency_up":
		up := v > 0
		switch l["kind"] {
		case "upstream":
			stores.at(l["name"]).Up = &up
		case "key":
			keys.at(l["name"]).Usable = &up
		case "kms":
			keys.at(l["name"]).Answering = &up
		}
	}
}

// add sums histograms of the same bounds.
func (l *latency) add(h *dto.Histogram) {
	l.Count += h.GetSampleCount()
	for i, b := range h.GetBucket() {
		if i == len(l.Bounds) {
			l.Bounds, l.Counts = append(l.Bounds, b.GetUpperBound()), append(l.Counts, 0)
		}
		l.Counts[i] += b.GetCumulativeCount()
	}
}

func labels(m *dto.Metric) map[string]string {
	out := make(map[string]string, len(m.GetLabel()))
	for _, l := range m.GetLabel() {
		out[l.GetName()] = l.GetValue()
	}
	return out
}

// value is that of a counter or gauge.
func value(m *dto.Metric) float64 { return m.GetCounter().GetValue() + m.GetGauge().GetValue() }

func pick(first bool, a, b *float64) *float64 {
	if first {
		return a
	}
	return b
}
