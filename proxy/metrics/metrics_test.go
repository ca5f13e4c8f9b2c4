package metrics

import (
	"errors"
	"maps"
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
	m.Dependency("upstream", "default", true)
	m.Reload(true)
	want := map[string]string{
		"requests_total": "code,op", "request_seconds": "op", "bytes_total": "direction,side", "in_flight": "", "connections": "",
		"auth_failures_total": "code", "integrity_failures_total": "class", "memory_bytes": "state", "admission_refused_total": "",
		"upstream_requests_total": "code,upstream", "upstream_seconds": "upstream", "upstream_connections": "state,upstream",
		"upstream_retries_total": "", "upstream_clock_offset_seconds": "", "kms_requests_total": "key,op,result", "kms_seconds": "key",
		"cache_requests_total": "cache,result", "cache_entries": "cache", "dependency_up": "kind,name", "config_reloads_total": "result",
		"build_info": "go,version",
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

func TestLabelsAreBounded(t *testing.T) {
	m, reg := newTest(t)
	for _, code := range []string{"NoSuchKey", "200", "invented-by-a-store-1", "invented-by-a-store-2", "99999"} {
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
