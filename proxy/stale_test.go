package proxy

import (
	"bytes"
	"io"
	"testing"

	"s3veil/proxy/proxytest"
)

// A replica that read between steps 4 and 5 of FORMAT.md 9.3 remembers a rival's table of the same length; a read that fails
// under it before the head has gone out is tried again with the one that stands now.
func TestReadUnderARememberedRivalTableIsTriedAgain(t *testing.T) {
	f := newFixture(t, nil)
	id, etags := f.upload(bigPart, partTwo, partThree)
	remove := f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op == "CompleteMultipartUpload" {
			return proxytest.Fail(400, "InvalidRequest")
		}
		return nil
	}})
	f.complete(id, etags, 1, 3)
	remove()
	remove = f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		if c.Op == "CompleteMultipartUpload" {
			a.Drop = true
		}
	}})
	f.complete(id, etags, 1, 2)
	remove()
	f.must("HEAD", "/data/key", nil)
	ids := f.s.caches.manifests.Keys()
	if len(ids) != 1 {
		t.Fatalf("%d manifests remembered", len(ids))
	}
	rival, _ := f.s.caches.manifests.Get(ids[0])
	if resp, doc := f.complete(id, etags, 1, 2); resp.StatusCode != 200 {
		t.Fatalf("repeated: %d %s", resp.StatusCode, doc)
	}
	f.s.caches.manifests.Add(ids[0], rival) // as a replica that knows nothing of that holds it
	resp, got := f.do("GET", "/data/key", nil, "range", "bytes=5242880-5242979")
	if resp.StatusCode != 206 || !bytes.Equal(got, partTwo[:100]) {
		t.Errorf("%d %.200s", resp.StatusCode, got)
	}
	// A failure after the head breaks this answer, and the next one is right.
	f.s.caches.manifests.Add(ids[0], rival)
	c := f.dial()
	io.WriteString(c, f.head("GET", "/data/key", unsigned, "connection", "close"))
	io.Copy(io.Discard, c)
	f.idle()
	if _, got := f.must("GET", "/data/key", nil); len(got) != len(bigPart)+len(partTwo) || !bytes.HasSuffix(got, partTwo) {
		t.Errorf("%d other bytes after a broken answer", len(got))
	}
}
