package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/kmstest"
	"s3veil/keycache"
)

// outageRig is a proxy whose KMS the test switches off, with metrics, log lines and a clock that the test moves.
type outageRig struct {
	*fixture
	kms *kmstest.Memory
	reg *prometheus.Registry
	log *lockedBuffer

	mu    sync.Mutex
	ahead time.Duration
}

// lockedBuffer is a buffer for the log.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newOutageRig makes calls end after 50 ms, so that a KMS that hangs can be waited for.
func newOutageRig(t *testing.T, cache keycache.Options) *outageRig {
	r := &outageRig{kms: kmstest.NewMemory("k"), reg: prometheus.NewRegistry(), log: &lockedBuffer{}}
	r.fixture = newFixture(t, func(set *Settings, o *Options) {
		set.KEKs = []keycache.KEK{{KID: "main", Provider: r.kms, Name: "k"}}
		cache.CallTimeout, cache.TryWindow = 50*time.Millisecond, 100*time.Millisecond
		set.Cache = cache
		o.Registerer, o.Log, o.Now = r.reg, slog.New(slog.NewTextHandler(r.log, nil)), r.now
		o.Limits.ClockSkew = 48 * time.Hour // signatures carry the real time
	})
	r.must("PUT", "/other", nil)
	r.must("PUT", "/third", nil)
	return r
}

func (r *outageRig) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Add(r.ahead)
}

// pass lets time go by for the proxy.
func (r *outageRig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ahead += d
}

func (r *outageRig) fail(err error) { r.kms.SetFault(func(string, string) error { return err }) }

// outages are the ways in which a KMS is out.
var outages = map[string]func(*outageRig){
	"hanging":     func(r *outageRig) { r.kms.SetLatency(time.Hour) },
	"down":        func(r *outageRig) { r.fail(kms.ErrUnavailable) },
	"throttling":  func(r *outageRig) { r.fail(kms.ErrThrottled) },
	"unreachable": func(r *outageRig) { r.fail(fmt.Errorf("%w: connection refused", kms.ErrUnavailable)) },
}

func (r *outageRig) end() {
	r.kms.SetLatency(0)
	r.kms.SetFault(nil)
}

// metric returns the value of a series; labels are name=value.
func (r *outageRig) metric(name string, labels ...string) float64 {
	r.t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "s3veil_"+name {
			continue
		}
		for _, m := range f.Metric {
			if fits(m, labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return 0
}

func fits(m *dto.Metric, labels []string) bool {
	for _, want := range labels {
		found := false
		for _, l := range m.Label {
			found = found || l.GetName()+"="+l.GetValue() == want
		}
		if !found {
			return false
		}
	}
	return true
}

// code is the outcome of a request: 200, or the code of an error.
func (r *outageRig) code(method, target string) string {
	r.t.Helper()
	resp, body := r.do(method, target, nil)
	if resp.StatusCode == http.StatusOK {
		return "200"
	}
	_, rest, _ := strings.Cut(string(body), "<Code>")
	code, _, _ := strings.Cut(rest, "</Code>")
	return fmt.Sprint(resp.StatusCode, " ", code)
}

func TestCachedKeysBridgeAnOutageAndNothingHangs(t *testing.T) {
	for name, begin := range outages {
		t.Run(name, func(t *testing.T) {
			r := newOutageRig(t, keycache.Options{})
			r.must("PUT", "/data/before", []byte("plain"))
			r.must("PUT", "/other/before", nil)
			r.s.keys.Configure(keycache.Options{PerObject: true}) // forget the keys
			r.s.keys.Configure(keycache.Options{})
			r.must("GET", "/data/before", nil)
			r.must("PUT", "/data/before2", nil)
			begin(r)
			for range 20 {
				if a, b := r.code("GET", "/data/before"), r.code("PUT", "/data/during"); a != "200" || b != "200" {
					t.Errorf("with cached keys: GET %s, PUT %s", a, b)
				}
			}
			start := time.Now()
			for range 20 {
				if a, b := r.code("GET", "/other/before"), r.code("PUT", "/third/during"); a != "503 ServiceUnavailable" || b != a {
					t.Errorf("without: GET %s, PUT %s", a, b)
				}
			}
			if d := time.Since(start); d > 15*time.Second {
				t.Errorf("40 refusals took %v", d)
			}
			r.end()
			r.pass(time.Second)
			if a, b := r.code("GET", "/other/before"), r.code("PUT", "/third/during"); a != "200" || b != a {
				t.Errorf("a second after the outage: GET %s, PUT %s", a, b)
			}
		})
	}
}

func TestPolicyDecidesAboutWritesWithExpiredKeys(t *testing.T) {
	for _, c := range []struct {
		policy      keycache.Outage
		read, write string
	}{
		{keycache.Outage{}, "503 ServiceUnavailable", "503 ServiceUnavailable"},
		{keycache.Outage{Read: time.Hour}, "200", "503 ServiceUnavailable"},
		{keycache.Outage{Read: time.Hour, WriteCached: true}, "200", "200"},
	} {
		for name, begin := range outages {
			t.Run(fmt.Sprint(name, c.policy), func(t *testing.T) {
				r := newOutageRig(t, keycache.Options{Outage: c.policy})
				r.must("PUT", "/data/before", []byte("plain"))
				r.pass(16 * time.Minute)
				begin(r)
				for range 5 {
					if a, b := r.code("GET", "/data/before"), r.code("PUT", "/data/during"); a != c.read || b != c.write {
						t.Errorf("GET %s, PUT %s", a, b)
					}
				}
				if n := r.metric("cache_requests_total", "cache=read", "result=expired"); (n == 5) != (c.read == "200") {
					t.Errorf("%v reads with an expired key are counted", n)
				}
				if n := r.metric("cache_requests_total", "cache=write", "result=expired"); (n == 5) != (c.write == "200") {
					t.Errorf("%v writes with an expired key are counted", n)
				}
				r.end()
				r.pass(time.Second)
				if b := r.code("PUT", "/data/after"); b != "200" {
					t.Errorf("after the outage: PUT %s", b)
				}
			})
		}
	}
}

func TestReadinessSurvivesAnOutageThatKeysBridge(t *testing.T) {
	for name, begin := range outages {
		t.Run(name, func(t *testing.T) {
			r := newOutageRig(t, keycache.Options{})
			r.must("PUT", "/data/before", nil)
			begin(r)
			r.pass(5 * time.Minute)
			if err := r.check(); err != nil {
				t.Errorf("with cached keys: %v", err)
			}
			if up := r.metric("dependency_up", "kind=key", "name=main"); up != 1 {
				t.Error("the key does not count as usable")
			}
			if up := r.metric("dependency_up", "kind=kms", "name=main"); up != 0 {
				t.Error("the KMS counts as up")
			}
			r.pass(15 * time.Minute)
			if err := r.check(); !errors.Is(err, ErrNotReady) || !strings.Contains(err.Error(), "key main") {
				t.Errorf("without cached keys: %v", err)
			}
			if up := r.metric("dependency_up", "kind=key", "name=main"); up != 0 {
				t.Error("the key counts as usable")
			}
			r.end()
			if err := r.check(); err != nil {
				t.Errorf("after the outage: %v", err)
			}
			for _, kind := range []string{"key", "kms", "upstream"} {
				if up := r.metric("dependency_up", "kind="+kind); up != 1 {
					t.Errorf("%s does not count as up", kind)
				}
			}
		})
	}
}

func TestMetricsOfKeysMove(t *testing.T) {
	r := newOutageRig(t, keycache.Options{})
	r.must("PUT", "/data/a", []byte("plain"))
	r.must("GET", "/data/a", nil)
	for _, c := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"kms_requests_total", []string{"key=main", "op=generate", "result=ok"}, 1},
		{"kms_seconds", []string{"key=main"}, 1},
		{"cache_requests_total", []string{"cache=write", "result=miss"}, 1},
		{"cache_requests_total", []string{"cache=read", "result=hit"}, 1},
		{"cache_entries", []string{"cache=write"}, 1},
		{"cache_entries", []string{"cache=read"}, 1},
	} {
		if got := r.metric(c.name, c.labels...); got != c.want {
			t.Errorf("%s%v is %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	r.fail(kms.ErrThrottled)
	r.code("PUT", "/other/a")
	if n := r.metric("kms_requests_total", "op=generate", "result=throttled"); n == 0 {
		t.Error("throttled calls are not counted")
	}
	if up := r.metric("dependency_up", "kind=kms", "name=main"); up != 0 {
		t.Error("a KMS that throttles counts as up before the next check")
	}
	for range 5 {
		r.code("PUT", "/third/a")
		r.pass(time.Second)
	}
	if n := strings.Count(r.log.String(), "KMS does not answer"); n != 1 || !strings.Contains(r.log.String(), "key_id=main") {
		t.Errorf("%d lines about the outage", n)
	}
	r.end()
	r.pass(time.Second)
	r.must("PUT", "/other/a", nil)
	if n := strings.Count(r.log.String(), "KMS answers again"); n != 1 {
		t.Errorf("%d lines about its end", n)
	}
}

func TestCachesOfTheProxyAreCounted(t *testing.T) {
	r := newOutageRig(t, keycache.Options{})
	set := r.s.state.Load().settings
	set.Buckets = []Bucket{{Name: "data", Key: "main", AllowPlaintext: true}, {Name: "*", Key: "main"}}
	if err := r.s.Reload(set); err != nil {
		t.Fatal(err)
	}
	r.must("PUT", "/data/a", []byte("plain"))
	r.must("GET", "/data?list-type=2", nil)
	r.must("GET", "/data?list-type=2", nil)
	if h, m := r.metric("cache_requests_total", "cache=sizes", "result=hit"), r.metric("cache_requests_total", "cache=sizes", "result=miss"); h != 1 || m != 1 {
		t.Errorf("sizes: %v hits, %v misses", h, m)
	}
	if n := r.metric("cache_entries", "cache=sizes"); n != 1 {
		t.Errorf("%v sizes", n)
	}
}

// The scrape starts the checks too, so that the gauges move where nobody asks for readiness.
func TestScrapesMoveDependencies(t *testing.T) {
	r := newOutageRig(t, keycache.Options{})
	r.eventually("the store is seen to be up", func() bool { return r.metric("dependency_up", "kind=upstream", "name=default") == 1 })
	r.fail(kms.ErrUnavailable)
	r.pass(time.Minute)
	r.eventually("the KMS is seen to be down", func() bool {
		r.pass(checkEvery)
		return r.metric("dependency_up", "kind=kms", "name=main") == 0 && r.metric("dependency_up", "kind=key", "name=main") == 0
	})
}

func TestOutagePolicyIsReloaded(t *testing.T) {
	r := newOutageRig(t, keycache.Options{})
	r.must("PUT", "/data/a", nil)
	r.must("PUT", "/data/a", nil)
	r.fail(kms.ErrUnavailable)
	set := r.s.state.Load().settings
	set.Cache.Outage = keycache.Outage{Read: time.Hour, WriteCached: true}
	if err := r.s.Reload(set); err != nil {
		t.Fatal(err)
	}
	r.pass(30 * time.Minute)
	if a, b := r.code("GET", "/data/a"), r.code("PUT", "/data/a"); a != "200" || b != "200" {
		t.Errorf("GET %s, PUT %s", a, b)
	}
	set.Cache.Outage.Read = 25 * time.Hour
	if err := r.s.Reload(set); err == nil {
		t.Error("a policy beyond the format")
	}
	set.Cache.Outage = keycache.Outage{}
	set.KEKs = append(set.KEKs, set.KEKs[0]) // refused: the limits stay as well
	if err := r.s.Reload(set); err == nil {
		t.Error("the same key twice")
	}
	if a := r.code("GET", "/data/a"); a != "200" {
		t.Errorf("a refused reload changed the policy: GET %s", a)
	}
}

// A key that is retired while objects are under it is named to client, operator and auditor.
func TestRetiredKeysAreNamed(t *testing.T) {
	for _, c := range []struct {
		name   string
		retire func(*outageRig, *Settings)
		want   string
	}{
		{"disabled", func(r *outageRig, _ *Settings) { r.kms.Disable("k", true) }, "400 KMS.DisabledException"},
		{"gone", func(_ *outageRig, set *Settings) { set.KEKs = set.KEKs[1:] }, "403 AccessDenied"},
		{"off the list", func(*outageRig, *Settings) {}, "403 AccessDenied"},
		{"denied", func(r *outageRig, _ *Settings) { r.fail(kms.ErrAccessDenied) }, "403 AccessDenied"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newOutageRig(t, keycache.Options{})
			r.must("PUT", "/data/a", nil)
			set := r.s.state.Load().settings
			set.KEKs = append(set.KEKs[:1:1], keycache.KEK{KID: "next", Provider: kmstest.NewMemory("n"), Name: "n"})
			set.Families = map[string][]string{"main": {"main"}, "next": {"next"}}
			set.Buckets = []Bucket{{Name: "*", Key: "next"}}
			if c.name == "disabled" || c.name == "denied" {
				set.Buckets[0].Keys = []string{"next", "main"}
			}
			c.retire(r, &set)
			if err := r.s.Reload(set); err != nil {
				t.Fatal(err)
			}
			r.s.keys.Configure(keycache.Options{PerObject: true})
			resp, body := r.do("GET", "/data/a", nil)
			if got := fmt.Sprint(resp.StatusCode); got != c.want[:3] || !bytes.Contains(body, []byte("<Code>"+c.want[4:]+"<")) || !bytes.Contains(body, []byte("main")) {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
			if !strings.Contains(r.log.String(), "key_id=main") {
				t.Errorf("log: %s", r.log)
			}
			r.idle()
			lines := r.audit.all()
			if last := lines[len(lines)-1]; last.KID != "main" || last.Class != "kek-denied" || last.IKEK != "" {
				t.Errorf("audit line %+v", last)
			}
			r.must("PUT", "/data/b", nil) // new objects are under the next key
			if last := r.audit.all(); last[len(last)-1].KID != "next" {
				t.Errorf("written under %s", last[len(last)-1].KID)
			}
		})
	}
}
