package proxy

import (
	"encoding/xml"
	"fmt"
	"strings"
	"testing"

	"s3veil/proxy/proxytest"
)

// TestSealedMetadata: user metadata lies in the envelope alone where a bucket says so, for single objects, uploads in parts and
// copies in both directions; what a store adds is not shown.
func TestSealedMetadata(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) {
		set.Buckets[0].SealMetadata, set.Buckets[0].Metadata = true, MetadataFail
		set.Buckets = append([]Bucket{{Name: "plain", Realm: "one", Key: "main"}}, set.Buckets...)
		set.Buckets[1].Realm = "one" // copies share ciphertext
	})
	f.store.CreateBucket("plain", false)
	meta := []string{"x-amz-meta-color", "blue", "x-amz-meta-note", "=?UTF-8?Q?=C3=BC?=", "content-type", "text/plain"}
	seen := func(target string, hidden bool) {
		t.Helper()
		bucket, key, _ := strings.Cut(strings.TrimPrefix(target, "/"), "/")
		o, ok := f.store.Get(bucket, key)
		if !ok || (o.Header["x-amz-meta-color"] == "") != hidden || o.Header["content-type"] != "text/plain" {
			t.Errorf("%s at the store: %v", target, o.Header)
		}
		for _, method := range []string{"GET", "HEAD"} {
			resp, _ := f.must(method, target, nil)
			if resp.Header.Get("x-amz-meta-color") != "blue" || resp.Header.Get("x-amz-meta-note") != "=?UTF-8?Q?=C3=BC?=" ||
				resp.Header.Get("Content-Type") != "text/plain" || resp.Header.Get("x-amz-meta-evil") != "" {
				t.Errorf("%s %s: %v", method, target, resp.Header)
			}
		}
	}
	f.must("PUT", "/data/k", []byte("hello"), meta...)
	seen("/data/k", true)
	f.must("PUT", "/plain/k", nil, "x-amz-copy-source", "/data/k")
	seen("/plain/k", false)
	f.must("PUT", "/data/back", nil, "x-amz-copy-source", "/plain/k")
	seen("/data/back", true)
	f.must("PUT", "/data/replaced", nil, append(meta, "x-amz-copy-source", "/data/k", "x-amz-metadata-directive", "REPLACE")...)
	seen("/data/replaced", true)
	_, doc := f.must("POST", "/data/parts?uploads=", nil, meta...)
	var made struct{ UploadId string }
	if err := xml.Unmarshal(doc, &made); err != nil {
		t.Fatal(err)
	}
	resp, _ := f.must("PUT", "/data/parts?partNumber=1&uploadId="+made.UploadId, []byte("part"))
	f.must("POST", "/data/parts?uploadId="+made.UploadId, []byte(fmt.Sprintf(
		"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>", resp.Header.Get("Etag"))))
	seen("/data/parts", true)

	f.store.Change("data", "k", func(o *proxytest.Object) { o.Header["x-amz-meta-evil"], o.Header["x-amz-meta-color"] = "x", "red" })
	for _, method := range []string{"GET", "HEAD"} {
		if resp, _ := f.must(method, "/data/k", nil); resp.Header.Get("x-amz-meta-color") != "blue" || resp.Header.Get("x-amz-meta-evil") != "" {
			t.Errorf("%s shows what the store added: %v", method, resp.Header)
		}
	}
	resp, doc = f.do("PUT", "/data/large", []byte("x"), "x-amz-meta-a", strings.Repeat("v", 1900))
	if resp.StatusCode != 400 || !strings.Contains(string(doc), "MetadataTooLarge") {
		t.Errorf("more than an envelope holds: %d %s", resp.StatusCode, doc)
	}
	f.must("PUT", "/data/none", []byte("x"))
	if resp, _ := f.must("GET", "/data/none", nil); resp.Header.Get("x-amz-meta-color") != "" {
		t.Error("metadata out of nowhere")
	}
}
