package proxy

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"s3veil/proxy/proxytest"
)

// A store whose listings never end does not keep s3veil asking, nor holding what it has got, for a client that may be gone.
func TestPagesOfStoresThatNeverEnd(t *testing.T) {
	f := newFixture(t, func(_ *Settings, o *Options) { o.Limits.AdmissionWait = 20 * time.Millisecond })
	var filler atomic.Value
	var n atomic.Int64
	f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		at, fill := n.Add(1), filler.Load().(string)
		switch c.Op {
		case "ListObjects", "ListObjectsV2":
			key := fmt.Sprintf("k/../.s3veil/%09d", at)
			a.Status, a.Body = 200, []byte("<ListBucketResult>"+fill+"<Name>data</Name><IsTruncated>true</IsTruncated><NextMarker>"+key+
				"</NextMarker><NextContinuationToken>t</NextContinuationToken><Contents><Key>"+key+"</Key><Size>0</Size><ETag>e</ETag></Contents></ListBucketResult>")
		case "ListBuckets":
			a.Status, a.Body = 200, fmt.Appendf(nil, "<ListAllMyBucketsResult>%s<Buckets><Bucket><Name>bucket-%d</Name></Bucket></Buckets>"+
				"<ContinuationToken>%d</ContinuationToken></ListAllMyBucketsResult>", fill, at, at)
		}
	}})
	for _, c := range []struct {
		target, filler string
		status, most   int
	}{
		{"/data", "", 200, 1 + maxFillPages}, {"/data?list-type=2", "", 200, 1 + maxFillPages}, {"/", "", 503, maxBucketPages},
		{"/data", "<x>" + strings.Repeat("y", 1<<20) + "</x>", 503, 80}, {"/", "<x>" + strings.Repeat("y", 1<<20) + "</x>", 503, 80},
	} {
		f.store.Forget()
		filler.Store(c.filler)
		resp, doc := f.do("GET", c.target, nil)
		if calls := len(f.store.Calls()); resp.StatusCode != c.status || calls > c.most || calls < 2 {
			t.Errorf("%s with %d bytes each: %d after %d pages; %.200s", c.target, len(c.filler), resp.StatusCode, calls, doc)
		}
	}
}

// A list of parts that advances by one number a page, and has none, ends too.
func TestCompletionsOfStoresThatNeverEnd(t *testing.T) {
	f := newFixture(t, nil)
	id, etags := f.upload([]byte("part"))
	var n atomic.Int64
	f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		if c.Op == "ListParts" {
			a.Status, a.Body = 200, fmt.Appendf(nil, "<ListPartsResult><IsTruncated>true</IsTruncated><NextPartNumberMarker>%d</NextPartNumberMarker></ListPartsResult>", n.Add(1))
		}
	}})
	if resp, doc := f.complete(id, etags, 1); resp.StatusCode != 503 || n.Load() < maxPartPages || n.Load() > 4*maxPartPages {
		t.Errorf("%d after %d pages: %s", resp.StatusCode, n.Load(), doc)
	}
}
