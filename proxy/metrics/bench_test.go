package metrics

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"s3veil/keycache"
	"s3veil/proxy/upstream"
)

// BenchmarkRequest is what one request costs in metrics altogether.
func BenchmarkRequest(b *testing.B) {
	m, err := New(prometheus.NewRegistry(), Gauges{}, "v0")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Request("GetObject", "200", 0.001)
			m.Bytes("client", "out", 4096)
			m.Upstream("default", upstream.Event{Kind: "request", Code: 200, Seconds: 0.001})
			m.Upstream("default", upstream.Event{Kind: "conns", InUse: 1, Idle: 1})
			m.Keys(keycache.Event{Kind: "hit", Cache: "read", KID: "main"})
		}
	})
}
