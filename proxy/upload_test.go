package proxy

import (
	"net/http"
	"strings"
	"testing"

	"s3veil/proxy/proxytest"
)

// A Create that fails behind the store's own leaves neither an upload open nor a state object, whether the write of that
// object was refused or its answer got lost.
func TestCreateThatFailsLeavesNoUploadOpen(t *testing.T) {
	isState := func(c *proxytest.Call) bool { return c.Method == "PUT" && strings.HasPrefix(c.Key, ".s3veil/u/") }
	for name, hook := range map[string]proxytest.Hook{
		"refused": {Before: func(c *proxytest.Call) *proxytest.Answer {
			if isState(c) {
				return proxytest.Fail(403, "AccessDenied")
			}
			return nil
		}},
		"answer lost": {After: func(c *proxytest.Call, a *proxytest.Answer) {
			if isState(c) {
				a.Drop = true
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, func(s *Settings, _ *Options) { s.Buckets[0].UploadID = UploadIDState })
			remove := f.store.Hook(hook)
			resp, doc := f.do("POST", "/data/key?uploads=", nil)
			if resp.StatusCode == http.StatusOK {
				t.Fatalf("the Create has succeeded: %s", doc)
			}
			if n := f.store.Uploads("data"); n != 0 {
				t.Errorf("%d uploads stay open", n)
			}
			if left := f.store.Keys("data"); len(left) != 0 {
				t.Errorf("the store holds %v", left)
			}
			remove()
			id, etags := f.upload(bigPart)
			if resp, doc := f.complete(id, etags, 1); resp.StatusCode != http.StatusOK {
				t.Errorf("a Create afterwards: %d %s", resp.StatusCode, doc)
			}
			f.reads(bigPart)
		})
	}
}

// An upload id of the store's that no client id can hold is given back too.
func TestUploadUnderAnUnusableIDIsAborted(t *testing.T) {
	f := newFixture(t, nil)
	long := strings.Repeat("u", maxUpstreamID+1)
	f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		if c.Op == "CreateMultipartUpload" {
			a.Body = []byte("<InitiateMultipartUploadResult><UploadId>" + long + "</UploadId></InitiateMultipartUploadResult>")
		}
	}})
	if resp, _ := f.do("POST", "/data/key?uploads=", nil); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("answered %d", resp.StatusCode)
	}
	for _, c := range f.store.Calls("AbortMultipartUpload") {
		if c.Query.Get("uploadId") == long {
			return
		}
	}
	t.Error("the store is not asked to abort it")
}
