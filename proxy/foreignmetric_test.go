package proxy

import (
	"maps"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"s3veil/proxy/proxytest"
)

// foreignReads are the samples of foreign_reads_total by format.
func (f *fixture) foreignReads() map[string]int {
	f.t.Helper()
	families, err := f.s.opts.Registerer.(*prometheus.Registry).Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	out := map[string]int{}
	for _, family := range families {
		if family.GetName() != "s3veil_foreign_reads_total" {
			continue
		}
		for _, m := range family.Metric {
			out[m.Label[0].GetValue()] = int(m.GetCounter().GetValue())
		}
	}
	return out
}

// The metric tells apart what the store could have tampered with unnoticed.
func TestForeignReadsAreCounted(t *testing.T) {
	f, all := foreignFixture(t, nil)
	want := map[string]int{"plaintext": 0, "s3ec": 0, "s3ec-legacy": 0}
	for name, v := range all {
		f.must("HEAD", "/data/"+name, nil)
		if v.Legacy {
			want["s3ec-legacy"]++
		} else {
			want["s3ec"]++
		}
		if got := f.foreignReads(); !maps.Equal(got, want) {
			t.Fatalf("%s: %v, want %v", name, got, want)
		}
	}
	if want["s3ec"] == 0 || want["s3ec-legacy"] == 0 {
		t.Error("no objects of one kind")
	}
}

func TestPlaintextReadsAreCounted(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) { set.Buckets[0].AllowPlaintext = true })
	f.store.Put("data", "plain", proxytest.Object{Data: []byte("hello")})
	f.must("PUT", "/data/ours", []byte("hello"))
	f.must("GET", "/data/ours", nil)
	f.must("GET", "/data/plain", nil)
	f.must("HEAD", "/data/plain", nil)
	if got := f.foreignReads(); got["plaintext"] != 2 {
		t.Error(got)
	}
}
