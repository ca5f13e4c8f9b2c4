package metrics

import (
	"errors"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"s3veil/crypto/kms"
	"s3veil/keycache"
	"s3veil/proxy/upstream"
)

func newTest(t *testing.T) (*Metrics, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	m, err := New(reg, Gauges{
		InFlight: func() int64 { return 1 }, Connections: func() int64 { return 2 }, Memory: func() (int64, int64) { return 3, 4 },
		Refused: func() uint64 { return 5 }, Caches: func() map[string]int { return map[string]int{"read": 6} },
		Scrape: func() {}, Tunnels: func() int64 { return 7 },
	}, "v0")
	if err != nil {
		t.Fatal(err)
	}
	return m, reg
}

// The names and labels are a contract with dashboards and alerts (docs/OPERATIONS.md).
func TestNamesAndLabelsAreTheContract(t *testing.T) {
	m, reg := newTest(t)
	m.Request("GetObject", "200", 0.1)
	m.Bytes("client", "in", 1)
	m.AuthFailure("SignatureDoesNotMatch")
	m.Integrity("stream")
	m.Upstream("default", upstream.Event{Kind: "request", Code: 200})
	m.Upstream("default", upstream.Event{Kind: "retry"})
	m.Upstream("default", upstream.Event{Kind: "clock", Offset: time.Second})
	m.Upstream("default", upstream.Event{Kind: "conns", InUse: 1})
	m.Keys(keycache.Event{Kind: "kms", KID: "main", Op: "generate"})
	m.Keys(keycache.Event{Kind: "hit", Cache: "read"})
	m.Dependencies("upstream", map[string]bool{"default": true})
	m.Reload(true)
	m.Audit(true)
	want := map[string]string{
		"requests_total": "code,op", "request_seconds": "op", "bytes_total": "direction,side", "in_flight": "", "connections": "",
		"auth_failures_total": "code", "integrity_failures_total": "class", "memory_bytes": "state", "admission_refused_total": "",
		"upstream_requests_total": "code,upstream", "upstream_seconds": "upstream", "upstream_connections": "state,upstream",
		"upstream_retries_total": "", "upstream_clock_offset_seconds": "", "kms_requests_total": "key,op,result", "kms_seconds": "key",
		"cache_requests_total": "cache,result", "cache_entries": "cache", "dependency_up": "kind,name", "config_reloads_total": "result",
		"build_info": "go,version", "audit_lines_total": "result", "forward_total": "result", "forward_tunnels": "",
		"foreign_reads_total": "format", "reserved_at_risk_total": "setting",
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range families {
		var labels []string
		for _, l := range f.Metric[0].Label {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		got[strings.TrimPrefix(f.GetName(), "s3veil_")] = strings.Join(labels, ",")
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// values returns the samples of a family by their label values, joined by commas in the order of the label names.
func values(t *testing.T, reg *prometheus.Registry, name string) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "s3veil_"+name {
			continue
		}
		for _, metric := range f.Metric {
			var labels []string
			for _, l := range metric.Label {
				labels = append(labels, l.GetValue())
			}
			out[strings.Join(labels, ",")] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return out
}

func TestCallsEndInTheirSamples(t *testing.T) {
	m, reg := newTest(t)
	m.Request("GetObject", "200", 0.1)
	m.Request("GetObject", "200", 0.1)
	m.Bytes("client", "out", 7)
	m.Bytes("client", "out", -1) // a counter cannot go back
	m.AuthFailure("AccessDenied")
	m.Integrity("stream")
	m.Upstream("a", upstream.Event{Kind: "request"})
	m.Upstream("a", upstream.Event{Kind: "request", Code: 777})
	m.Upstream("a", upstream.Event{Kind: "retry"})
	m.Upstream("a", upstream.Event{Kind: "clock", Offset: -2 * time.Second})
	m.Upstream("a", upstream.Event{Kind: "conns", InUse: 3, Idle: 4})
	m.Keys(keycache.Event{Kind: "kms", KID: "main", Op: "unwrap", Err: kms.ErrThrottled, Seconds: 1})
	m.Keys(keycache.Event{Kind: "expired", Cache: "write", KID: "main"})
	m.Cache("manifests", "miss")
	m.Reload(false)
	m.Foreign("plaintext")
	m.AtRisk(RiskReplication)
	for name, want := range map[string]map[string]float64{
		"requests_total": {"200,GetObject": 2}, "request_seconds": {"GetObject": 2}, "in_flight": {"": 1}, "connections": {"": 2},
		"bytes_total":         {"in,client": 0, "out,client": 7, "in,upstream": 0, "out,upstream": 0},
		"auth_failures_total": {"AccessDenied": 1}, "memory_bytes": {"used": 3, "limit": 4}, "admission_refused_total": {"": 5},
		"upstream_requests_total": {"error,a": 1, "other,a": 1}, "upstream_seconds": {"a": 2}, "upstream_retries_total": {"": 1},
		"upstream_clock_offset_seconds": {"": -2}, "upstream_connections": {"in_use,a": 3, "idle,a": 4},
		"kms_requests_total": {"main,unwrap,throttled": 1}, "kms_seconds": {"main": 1}, "cache_entries": {"read": 6},
		"cache_requests_total": {"write,expired": 1, "read,expired": 0, "manifests,miss": 1}, "config_reloads_total": {"failed": 1, "ok": 0},
		"foreign_reads_total": {"plaintext": 1, "s3ec": 0, "s3ec-legacy": 0}, "reserved_at_risk_total": {"lifecycle": 0, "replication": 1},
		"build_info": {runtime.Version() + ",v0": 1},
	} {
		if got := values(t, reg, name); !maps.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	integrity := values(t, reg, "integrity_failures_total")
	if integrity["stream"] != 1 || len(integrity) != 14 {
		t.Errorf("integrity: %v", integrity)
	}
}

func TestDependenciesThatAreGoneDisappear(t *testing.T) {
	m, reg := newTest(t)
	m.Dependencies("upstream", map[string]bool{"a": true, "b": false})
	m.Dependencies("key", map[string]bool{"main": true})
	m.Dependencies("upstream", map[string]bool{"a": false})
	if got := values(t, reg, "dependency_up"); !maps.Equal(got, map[string]float64{"upstream,a": 0, "key,main": 1}) {
		t.Error(got)
	}
}

func TestSecondRegistrationFails(t *testing.T) {
	_, reg := newTest(t)
	if _, err := New(reg, Gauges{Caches: func() map[string]int { return nil }}, ""); err == nil {
		t.Error("accepted")
	}
}

func TestLabelsAreBounded(t *testing.T) {
	m, reg := newTest(t)
	for _, code := range []string{"NoSuchKey", "200", "invented-by-a-store-1", "invented-by-a-store-2", "99999", "0200", "+200"} {
		m.Request("no such operation", code, 0)
	}
	families, _ := reg.Gather()
	var seen []string
	for _, f := range families {
		if f.GetName() == "s3veil_requests_total" {
			for _, metric := range f.Metric {
				for _, l := range metric.Label {
					seen = append(seen, l.GetValue())
				}
			}
		}
	}
	slices.Sort(seen)
	if got := strings.Join(slices.Compact(seen), " "); got != "200 NoSuchKey other" {
		t.Error(got)
	}
}

func TestKMSResults(t *testing.T) {
	for err, want := range map[error]string{nil: "ok", kms.ErrThrottled: "throttled", kms.ErrBadCiphertext: "bad_ciphertext", errors.New("x"): "error"} {
		if got := kmsResult(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}
