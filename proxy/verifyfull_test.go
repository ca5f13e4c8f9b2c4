package proxy

import (
	"bytes"
	"io"
	"testing"

	"s3veil/proxy/proxytest"
)

// TestVerifyFull: damage in the last package of a small object is an error answer under verify: full, and a broken connection
// otherwise; good objects, ranges and large ones are served as ever.
func TestVerifyFull(t *testing.T) {
	for _, full := range []bool{false, true} {
		f := newFixture(t, func(set *Settings, o *Options) {
			set.Buckets[0].VerifyFull = full
			o.Limits.Memory = 6 << 20 // small batches
		})
		small, large := bytes.Repeat([]byte("small "), 60_000), bytes.Repeat([]byte("large "), 400_000)
		f.must("PUT", "/data/small", small)
		f.must("PUT", "/data/large", large)
		f.must("PUT", "/data/empty", nil)
		for key, want := range map[string][]byte{"small": small, "large": large, "empty": nil} {
			if resp, got := f.must("GET", "/data/"+key, nil); !bytes.Equal(got, want) || resp.ContentLength != int64(len(want)) {
				t.Errorf("full %v: %s: %d bytes, length %d", full, key, len(got), resp.ContentLength)
			}
		}
		if resp, got := f.must("GET", "/data/large", nil, "range", "bytes=100000-300000"); resp.StatusCode != 206 || !bytes.Equal(got, large[100000:300001]) {
			t.Errorf("full %v: range: %d, %d bytes", full, resp.StatusCode, len(got))
		}
		for _, key := range []string{"small", "large"} {
			f.store.Change("data", key, func(o *proxytest.Object) { o.Data[len(o.Data)-1] ^= 1 })
			c := f.dial()
			io.WriteString(c, f.head("GET", "/data/"+key, unsigned, "connection", "close"))
			raw, _ := io.ReadAll(c)
			refused := bytes.HasPrefix(raw, []byte("HTTP/1.1 422"))
			if want := full && key == "small"; refused != want || len(raw) > len(large) {
				t.Errorf("full %v: damaged %s: %.40q, %d bytes", full, key, raw, len(raw))
			}
		}
		f.idle()
		if used, _, streams, _ := f.s.memory.State(); used != 0 || streams != 0 {
			t.Errorf("full %v: %d bytes and %d streams of the budget left", full, used, streams)
		}
	}
}
