package proxy

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"s3veil/crypto/size"
	"s3veil/proxy/proxytest"
)

// TestPaddedObjects: the store sees padded lengths only; clients see theirs, in every way of reading; copies move them.
func TestPaddedObjects(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) {
		set.Buckets[0].Padding, set.Buckets[0].ListExact = true, true
		set.Buckets = append([]Bucket{{Name: "plain", Key: "main"}}, set.Buckets...)
	})
	f.store.CreateBucket("plain", false)
	for _, n := range []int{0, 1, 2, 9, 1000, 65_535, 65_536, 65_537, 1<<20 - 1, 1<<20 + 1, 3_000_001} {
		body := make([]byte, n)
		_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(body)
		key := fmt.Sprint("/data/", n)
		f.must("PUT", key, body)
		o, _ := f.store.Get("data", fmt.Sprint(n))
		if want := size.Enc(size.Pad(int64(n))); int64(len(o.Data)) != want {
			t.Errorf("%d bytes: %d stored, want %d", n, len(o.Data), want)
		}
		if resp, got := f.must("GET", key, nil); !bytes.Equal(got, body) || resp.ContentLength != int64(n) {
			t.Errorf("%d bytes: GET %d bytes of %d", n, len(got), resp.ContentLength)
		}
		if resp, _ := f.must("HEAD", key, nil); resp.ContentLength != int64(n) {
			t.Errorf("%d bytes: HEAD %d", n, resp.ContentLength)
		}
		if n > 100 {
			for _, r := range [][2]int{{0, 0}, {n / 2, n - 1}, {n - 1, n - 1}, {3, n / 3}, {0, n - 1}} {
				resp, got := f.must("GET", key, nil, "range", fmt.Sprintf("bytes=%d-%d", r[0], r[1]))
				if resp.StatusCode != 206 || !bytes.Equal(got, body[r[0]:r[1]+1]) {
					t.Errorf("%d bytes: range %v: %d, %d bytes", n, r, resp.StatusCode, len(got))
				}
			}
			if resp, _ := f.do("GET", key, nil, "range", fmt.Sprintf("bytes=%d-", n)); resp.StatusCode != 416 {
				t.Errorf("%d bytes: a range in the padding: %d", n, resp.StatusCode)
			}
		}
		for _, to := range []string{"/plain/", "/data/copy-"} {
			f.must("PUT", fmt.Sprint(to, n), nil, "x-amz-copy-source", key)
			if _, got := f.must("GET", fmt.Sprint(to, n), nil); !bytes.Equal(got, body) {
				t.Errorf("%d bytes: another body of the copy %s", n, to)
			}
		}
		if o, _ := f.store.Get("plain", fmt.Sprint(n)); int64(len(o.Data)) != size.Enc(int64(n)) {
			t.Errorf("%d bytes: the copy without padding has %d stored", n, len(o.Data))
		}
		if _, doc := f.must("GET", "/data?list-type=2&prefix="+fmt.Sprint(n), nil); !bytes.Contains(doc, []byte(fmt.Sprintf("<Size>%d</Size>", n))) {
			t.Errorf("%d bytes: listed as %s", n, doc)
		}
	}
}

// TestDamagedPadding: whoever reads all of an object reads its padding too; damage there never ends in a whole answer.
func TestDamagedPadding(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) { set.Buckets[0].Padding = true })
	body := bytes.Repeat([]byte("x"), 4_200_001) // padded by more than a package
	f.must("PUT", "/data/k", body)
	f.store.Change("data", "k", func(o *proxytest.Object) { o.Data[len(o.Data)-20] ^= 1 })
	c := f.dial()
	io.WriteString(c, f.head("GET", "/data/k", unsigned, "connection", "close"))
	raw, _ := io.ReadAll(c)
	if _, got, _ := bytes.Cut(raw, []byte("\r\n\r\n")); len(got) >= len(body) {
		t.Errorf("all %d bytes arrive", len(got))
	}
	if resp, got := f.must("GET", "/data/k", nil, "range", "bytes=0-99"); resp.StatusCode != 206 || !bytes.Equal(got, body[:100]) {
		t.Errorf("a range far from it: %d, %d bytes", resp.StatusCode, len(got))
	}
	if resp, doc := f.do("PUT", "/data/copy", nil, "x-amz-copy-source", "/data/k"); resp.StatusCode == 200 && !bytes.Contains(doc, []byte("<Error>")) {
		t.Errorf("copied: %s", doc)
	}
	f.idle()
}
