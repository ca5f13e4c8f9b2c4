// Package metrics holds the Prometheus metrics of the proxy. Labels are bounded: operations and error codes come from closed
// lists; buckets, keys and clients are never labels.
package metrics

import (
	"errors"
	"maps"
	"runtime"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"s3veil/crypto/kms"
	"s3veil/keycache"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3op"
	"s3veil/proxy/upstream"
)

const namespace = "s3veil"

// Gauges are read when metrics are scraped. Every field must be set.
type Gauges struct {
	InFlight    func() int64
	Connections func() int64
	Memory      func() (used, total int64) // body buffers, bytes
	Refused     func() uint64              // admissions refused so far
	Caches      func() map[string]int      // entries by cache
	Tunnels     func() int64               // to other hosts
	Scrape      func()                     // called at the beginning of every scrape, which it must not hold up
}

// Metrics is safe for concurrent use.
type Metrics struct {
	requests     *prometheus.CounterVec
	seconds      *prometheus.HistogramVec
	bytes        *prometheus.CounterVec
	auth         *prometheus.CounterVec
	integrity    *prometheus.CounterVec
	upRequests   *prometheus.CounterVec
	upSeconds    *prometheus.HistogramVec
	upConns      *prometheus.GaugeVec
	upRetries    prometheus.Counter
	upClock      prometheus.Gauge
	kmsRequests  *prometheus.CounterVec
	kmsSeconds   *prometheus.HistogramVec
	cacheResults *prometheus.CounterVec
	dependency   *prometheus.GaugeVec
	reloads      *prometheus.CounterVec
	audit        *prometheus.CounterVec
	forward      *prometheus.CounterVec
	foreign      *prometheus.CounterVec
	atRisk       *prometheus.CounterVec

	memo struct { // children of the above that every request asks for
		requests, bytes, upRequests, cacheResults memo[pair, prometheus.Counter]
		seconds, upSeconds                        memo[string, prometheus.Observer]
		upConns                                   memo[string, connGauges]
	}

	known struct { // what dependency_up shows
		sync.Mutex
		names map[string]map[string]bool
	}
}

// New registers the metrics of a process with reg. version goes into build_info.
func New(reg prometheus.Registerer, g Gauges, version string) (*Metrics, error) {
	m := &Metrics{
		requests:     counter("requests_total", "Requests by operation and answer: an S3 error code, or the status of a success.", "op", "code"),
		seconds:      histogram("request_seconds", "Time from the request head to the last byte of the answer.", "op"),
		bytes:        counter("bytes_total", "Plaintext bytes at the client side, stored bytes at the upstream side.", "side", "direction"),
		auth:         counter("auth_failures_total", "Requests refused before they were authorised, by code.", "code"),
		integrity:    counter("integrity_failures_total", "Objects that failed a check, by class of crypto/FORMAT.md 12.", "class"),
		upRequests:   counter("upstream_requests_total", "Requests to a store by status; error where there was no answer.", "upstream", "code"),
		upSeconds:    histogram("upstream_seconds", "Time to the head of a store's answer.", "upstream"),
		upConns:      gauge("upstream_connections", "Connections to a store.", "upstream", "state"),
		upRetries:    single("upstream_retries_total", "Requests to a store that were sent again."),
		upClock:      prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: "upstream_clock_offset_seconds", Help: "Clock of the store less that of this process."}),
		kmsRequests:  counter("kms_requests_total", "Calls to a KMS.", "key", "op", "result"),
		kmsSeconds:   histogram("kms_seconds", "Time of KMS calls.", "key"),
		cacheResults: counter("cache_requests_total", "Look-ups in caches.", "cache", "result"),
		dependency:   gauge("dependency_up", "Whether a store, a key or the audit log is usable.", "kind", "name"),
		reloads:      counter("config_reloads_total", "Reloads of the configuration.", "result"),
		audit:        counter("audit_lines_total", "Lines of the audit log: written, lost.", "result"),
		forward:      counter("forward_total", "Connections and plain requests for other hosts on the forward port.", "result"),
		foreign:      counter("foreign_reads_total", "Objects opened that s3veil did not encrypt, by format.", "format"),
		atRisk:       counter("reserved_at_risk_total", "Bucket settings taken that endanger the reserved prefix, by setting.", "setting"),
	}
	all := []prometheus.Collector{m.requests, m.seconds, m.bytes, m.auth, m.integrity, m.upRequests, m.upSeconds, m.upConns, m.upRetries,
		m.upClock, m.kmsRequests, m.kmsSeconds, m.cacheResults, m.dependency, m.reloads, m.audit, m.forward, m.foreign, m.atRisk, buildInfo(version)}
	all = append(all, gaugesOf(g)...)
	all = append(all, onScrape(g.Scrape))
	m.known.names = map[string]map[string]bool{}
	m.zeroes()
	var errs []error
	for _, c := range all {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

// zeroes makes rare counters visible before the first event: a rate over a counter that appears at 1 misses that event.
func (m *Metrics) zeroes() {
	for _, class := range []string{s3err.ClassPlaintext, s3err.ClassAmbiguous, s3err.ClassMalformed, s3err.ClassUnsupported,
		s3err.ClassKEKDenied, s3err.ClassKEKUnavailable, s3err.ClassCommitment, s3err.ClassEnvelope, s3err.ClassLength, s3err.ClassStream,
		s3err.ClassManifestMissing, s3err.ClassManifest, s3err.ClassMetadata, s3err.ClassToken} {
		m.integrity.WithLabelValues(class)
	}
	m.reloads.WithLabelValues("ok")
	m.reloads.WithLabelValues("failed")
	m.audit.WithLabelValues("written")
	m.audit.WithLabelValues("lost")
	for _, result := range []string{"intercepted", "tunnelled", "relayed", "refused", "failed"} {
		m.forward.WithLabelValues(result)
	}
	for _, format := range []string{FormatPlaintext, FormatS3EC, FormatLegacy} {
		m.foreign.WithLabelValues(format)
	}
	m.atRisk.WithLabelValues(RiskLifecycle)
	m.atRisk.WithLabelValues(RiskReplication)
	m.cacheResults.WithLabelValues("read", "expired")
	m.cacheResults.WithLabelValues("write", "expired")
	for _, side := range []string{"client", "upstream"} {
		m.bytes.WithLabelValues(side, "in")
		m.bytes.WithLabelValues(side, "out")
	}
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func single(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
}

func gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func histogram(name, help string, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help,
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}}, labels)
}

func buildInfo(version string) prometheus.Collector {
	g := gauge("build_info", "Always 1.", "version", "go")
	g.WithLabelValues(version, runtime.Version()).Set(1)
	return g
}

func gaugesOf(g Gauges) []prometheus.Collector {
	f := func(name, help string, labels prometheus.Labels, read func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: labels}, read)
	}
	const memory = "Bytes of the budget for body buffers."
	return []prometheus.Collector{
		f("in_flight", "Requests under way.", nil, func() float64 { return float64(g.InFlight()) }),
		f("connections", "Client connections.", nil, func() float64 { return float64(g.Connections()) }),
		f("forward_tunnels", "Tunnels to other hosts.", nil, func() float64 { return float64(g.Tunnels()) }),
		f("memory_bytes", memory, prometheus.Labels{"state": "used"}, func() float64 { used, _ := g.Memory(); return float64(used) }),
		f("memory_bytes", memory, prometheus.Labels{"state": "limit"}, func() float64 { _, total := g.Memory(); return float64(total) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: namespace, Name: "admission_refused_total", Help: "Requests refused for want of body buffers."},
			func() float64 { return float64(g.Refused()) }),
		cacheEntries{g.Caches, prometheus.NewDesc(namespace+"_cache_entries", "Entries of caches.", []string{"cache"}, nil)},
	}
}

// onScrape is told of scrapes and has nothing to show.
type onScrape func()

// Describe implements prometheus.Collector.
func (f onScrape) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (f onScrape) Collect(chan<- prometheus.Metric) { f() }

// cacheEntries reads all caches at one scrape.
type cacheEntries struct {
	read func() map[string]int
	desc *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c cacheEntries) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

// Collect implements prometheus.Collector.
func (c cacheEntries) Collect(ch chan<- prometheus.Metric) {
	for name, n := range c.read() {
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(n), name)
	}
}

// Request records a finished request. code is an S3 error code or a status.
func (m *Metrics) Request(op s3op.Op, code string, seconds float64) {
	name := string(op)
	if _, known := s3op.Table[op]; !known {
		name = "other"
	}
	m.memo.requests.get(pair{name, boundedCode(code)}, m.requestsOf).Inc()
	m.memo.seconds.get(name, m.secondsOf).Observe(seconds)
}

// boundedCode keeps codes of the catalogue and statuses; a store may invent others.
func boundedCode(code string) string {
	if n, err := strconv.Atoi(code); err == nil && boundedStatus(n) == code {
		return code
	}
	if _, ok := s3err.Lookup(code); ok || code == "ClientGone" {
		return code
	}
	return other
}

// other stands for codes and operations that are not listed.
const other = "other"

// statuses are 100 to 599 in digits.
var statuses = func() (texts [600]string) {
	for i := range texts {
		texts[i] = strconv.Itoa(i)
	}
	return texts
}()

// boundedStatus is a status in digits.
func boundedStatus(status int) string {
	if status < 100 || status >= len(statuses) {
		return other
	}
	return statuses[status]
}

// Bytes counts bytes; side is "client" or "upstream", direction "in" or "out" as seen from s3veil.
func (m *Metrics) Bytes(side, direction string, n int64) {
	if n > 0 {
		m.memo.bytes.get(pair{side, direction}, m.bytesOf).Add(float64(n))
	}
}

// AuthFailure counts a refused signature or an action that no rule allows.
func (m *Metrics) AuthFailure(code string) { m.auth.WithLabelValues(boundedCode(code)).Inc() }

// Integrity counts an object that failed a check.
func (m *Metrics) Integrity(class string) { m.integrity.WithLabelValues(class).Inc() }

// Upstream takes the observations of a store's client.
func (m *Metrics) Upstream(name string, e upstream.Event) {
	switch e.Kind {
	case "request":
		code := "error"
		if e.Code > 0 {
			code = boundedStatus(e.Code)
		}
		m.memo.upRequests.get(pair{name, code}, m.upRequestsOf).Inc()
		m.memo.upSeconds.get(name, m.upSecondsOf).Observe(e.Seconds)
	case "retry":
		m.upRetries.Inc()
	case "clock":
		m.upClock.Set(e.Offset.Seconds())
	case "conns":
		conns := m.memo.upConns.get(name, m.upConnsOf)
		conns.inUse.Set(float64(e.InUse))
		conns.idle.Set(float64(e.Idle))
	}
}

// Keys takes the observations of the key cache. Every call says whether the KMS of its key is up.
func (m *Metrics) Keys(e keycache.Event) {
	switch e.Kind {
	case "kms":
		result := kmsResult(e.Err)
		m.kmsRequests.WithLabelValues(e.KID, e.Op, result).Inc()
		m.kmsSeconds.WithLabelValues(e.KID).Observe(e.Seconds)
		m.setDependency("kms", e.KID, result != "throttled" && result != "unavailable")
	case "away", "back":
	default:
		m.memo.cacheResults.get(pair{e.Cache, e.Kind}, m.cacheResultsOf).Inc()
	}
}

func kmsResult(err error) string {
	for _, c := range []struct {
		is   error
		name string
	}{{kms.ErrAccessDenied, "denied"}, {kms.ErrKeyDisabled, "disabled"}, {kms.ErrKeyNotFound, "not_found"}, {kms.ErrThrottled, "throttled"},
		{kms.ErrBadCiphertext, "bad_ciphertext"}, {kms.ErrUnavailable, "unavailable"}} {
		if errors.Is(err, c.is) {
			return c.name
		}
	}
	if err != nil {
		return "error"
	}
	return "ok"
}

// Cache counts a look-up in one of the proxy's own caches; result is "hit" or "miss".
func (m *Metrics) Cache(name, result string) {
	m.memo.cacheResults.get(pair{name, result}, m.cacheResultsOf).Inc()
}

// Dependencies records which stores (kind "upstream"), keys (kind "key", from KMS or cache) and KMS (kind "kms", by key) are
// usable, by name, and the audit log (kind "audit"). Names that are no longer
// there disappear, so that a store taken out of the configuration does not look down for ever.
func (m *Metrics) Dependencies(kind string, up map[string]bool) {
	m.known.Lock()
	defer m.known.Unlock()
	for name := range m.known.names[kind] {
		if _, still := up[name]; !still {
			m.dependency.DeleteLabelValues(kind, name)
		}
	}
	m.known.names[kind] = maps.Clone(up)
	for name, ok := range up {
		m.setDependency(kind, name, ok)
	}
}

// Audit counts a line of the audit log.
func (m *Metrics) Audit(written bool) {
	result := "lost"
	if written {
		result = "written"
	}
	m.audit.WithLabelValues(result).Inc()
}

func (m *Metrics) setDependency(kind, name string, up bool) {
	v := 0.0
	if up {
		v = 1
	}
	m.dependency.WithLabelValues(kind, name).Set(v)
}

// Forward counts what became of a CONNECT, or of a plain request for another host: intercepted, tunnelled, relayed, refused,
// failed.
func (m *Metrics) Forward(result string) { m.forward.WithLabelValues(result).Inc() }

// Formats of objects that s3veil did not encrypt.
const (
	FormatPlaintext = "plaintext"
	FormatS3EC      = "s3ec"        // of the Amazon S3 Encryption Client
	FormatLegacy    = "s3ec-legacy" // of the same, by algorithms that a store can tamper with
)

// Foreign counts an object opened that s3veil did not encrypt.
func (m *Metrics) Foreign(format string) { m.foreign.WithLabelValues(format).Inc() }

// Settings of a bucket that may endanger what s3veil keeps in it.
const (
	RiskLifecycle   = "lifecycle"   // a rule expires or moves it
	RiskReplication = "replication" // a replica lacks it
)

// AtRisk counts a setting that a store has taken and that endangers the reserved prefix.
func (m *Metrics) AtRisk(setting string) { m.atRisk.WithLabelValues(setting).Inc() }

// Reload counts a reload of the configuration.
func (m *Metrics) Reload(ok bool) {
	result := "failed"
	if ok {
		result = "ok"
	}
	m.reloads.WithLabelValues(result).Inc()
}
