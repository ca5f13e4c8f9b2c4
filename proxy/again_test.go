package proxy

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"s3veil/proxy/proxytest"
	"s3veil/sigv4/checksum"
)

// A Complete is answered again although its state object is gone, by any replica, and only this Complete.
func TestCompletesWithoutStateAreRepeated(t *testing.T) {
	f := remembering(t)
	id, etags := f.upload(bigPart, partTwo)
	other, tags := f.upload(bigPart, partThree) // of the same key and sizes
	first, doc := f.complete(id, etags, 1, 2)
	if first.StatusCode != 200 {
		t.Fatalf("%d %s", first.StatusCode, doc)
	}
	f.s.caches.manifests.Purge()
	again, repeated := f.complete(id, etags, 1, 2)
	if again.StatusCode != 200 || !bytes.Equal(repeated, doc) {
		t.Errorf("%d %s, before %s", again.StatusCode, repeated, doc)
	}
	gone := func(what, id string, etags []string, numbers ...int) {
		t.Helper()
		if resp, doc := f.complete(id, etags, numbers...); code(doc) != "NoSuchUpload" {
			t.Errorf("%s: %d %s", what, resp.StatusCode, doc)
		}
	}
	gone("fewer parts", id, etags, 1)
	gone("another ETag", id, []string{etags[0], tags[1]}, 1, 2)
	gone("an upload that never was", "1."+strings.Repeat("A", 43), etags, 1, 2)
	f.must("DELETE", "/data/key?uploadId="+url.QueryEscape(other), nil)
	gone("an upload of the same key that was aborted", other, tags, 1, 2)
	f.must("PUT", "/data/copy", nil, "x-amz-copy-source", "data/key")
	list := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + strings.Trim(etags[0], `"`) + "</ETag></Part><Part><PartNumber>2</PartNumber><ETag>" +
		strings.Trim(etags[1], `"`) + "</ETag></Part></CompleteMultipartUpload>"
	if resp, doc := f.do("POST", "/data/copy?uploadId="+id, []byte(list)); code(doc) != "NoSuchUpload" {
		t.Errorf("at a copy: %d %s", resp.StatusCode, doc)
	}
	f.must("PUT", "/data/key", []byte("newer"))
	gone("overwritten", id, etags, 1, 2)
	f.must("DELETE", "/data/key", nil)
	gone("deleted", id, etags, 1, 2)
}

// While the store cannot be asked, a repeated Complete is not answered with the end of its upload.
func TestRepeatedCompletesSurviveTheStoresAbsence(t *testing.T) {
	f := remembering(t)
	id, etags := f.upload(partTwo)
	if resp, doc := f.complete(id, etags, 1); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, doc)
	}
	remove := f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op == "HeadObject" {
			return proxytest.Fail(503, "SlowDown")
		}
		return nil
	}})
	if resp, doc := f.complete(id, etags, 1); resp.StatusCode < 500 && !strings.Contains(string(doc), "SlowDown") {
		t.Errorf("%d %s", resp.StatusCode, doc)
	}
	remove()
	if resp, doc := f.complete(id, etags, 1); resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, doc)
	}
}

// A Complete that fails at the store leaves a manifest behind. When the next one lists other bytes of the same sizes, the
// checksums of the first must not become those of the object, for replicas that read the manifest anew.
func TestChecksumsOfAFailedCompleteAreNotKept(t *testing.T) {
	for _, form := range []UploadIDForm{UploadIDToken, UploadIDState} {
		f := newFixture(t, func(s *Settings, _ *Options) { s.Buckets[0].UploadID = form })
		id, _ := f.uploadWith([]string{"x-amz-checksum-algorithm", "CRC32", "x-amz-checksum-type", "FULL_OBJECT"}, nil)
		part := "/data/key?partNumber=1&uploadId=" + url.QueryEscape(id)
		resp, _ := f.must("PUT", part, partTwo)
		remove := f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
			if c.Op == "CompleteMultipartUpload" {
				return proxytest.Fail(500, "InternalError")
			}
			return nil
		}})
		if resp, doc := f.completeWith(id, []string{resp.Header.Get("ETag")}, checksum.CRC32, []string{sumOf(checksum.CRC32, partTwo)}); resp.StatusCode < 500 {
			t.Fatalf("%d %s", resp.StatusCode, doc)
		}
		remove()
		resp, _ = f.must("PUT", part, partThree) // the same size
		tags, values := []string{resp.Header.Get("ETag")}, []string{sumOf(checksum.CRC32, partThree)}
		for range 2 { // the second is a repetition
			if resp, doc := f.completeWith(id, tags, checksum.CRC32, values); resp.StatusCode != 200 {
				t.Fatalf("%v: %d %s", form, resp.StatusCode, doc)
			}
			if got, _ := f.sums(checksum.CRC32); got != values[0] {
				t.Errorf("%v: HEAD says %q, want %q", form, got, values[0])
			}
		}
	}
}

// The same, when the second Complete succeeds at the store and ends there: its repetition gives the object its own checksums, and
// that of the first does not.
func TestRepeatedCompletesKeepNoChecksumsOfAnotherList(t *testing.T) {
	for _, form := range []UploadIDForm{UploadIDToken, UploadIDState} {
		f := newFixture(t, func(s *Settings, _ *Options) { s.Buckets[0].UploadID = form })
		id, _ := f.uploadWith([]string{"x-amz-checksum-algorithm", "CRC32", "x-amz-checksum-type", "FULL_OBJECT"}, nil)
		part := "/data/key?partNumber=1&uploadId=" + url.QueryEscape(id)
		complete := func(tag string, plain []byte) (*http.Response, []byte) {
			return f.completeWith(id, []string{tag}, checksum.CRC32, []string{sumOf(checksum.CRC32, plain)})
		}
		failing := func(op string) func() {
			return f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
				if c.Op == op {
					return proxytest.Fail(503, "SlowDown")
				}
				return nil
			}})
		}
		resp, _ := f.must("PUT", part, partTwo)
		lost := resp.Header.Get("ETag")
		remove := failing("CompleteMultipartUpload")
		complete(lost, partTwo)
		remove()
		resp, _ = f.must("PUT", part, partThree) // the same size
		won := resp.Header.Get("ETag")
		remove = failing("HeadObject")
		if resp, doc := complete(won, partThree); resp.StatusCode != 503 {
			t.Fatalf("%v: %d %s", form, resp.StatusCode, doc)
		}
		remove()
		object, _ := f.store.Get("data", "key")
		f.store.Change("data", "key", func(o *proxytest.Object) { o.ETag = `"0123-1"` }) // ETags that tell nothing of the parts
		if resp, doc := complete(won, partThree); code(doc) != "NoSuchUpload" {
			t.Errorf("%v, perhaps another list: %d %s", form, resp.StatusCode, doc)
		}
		f.store.Change("data", "key", func(o *proxytest.Object) { o.ETag = object.ETag })
		if resp, doc := complete(won, partThree); resp.StatusCode != 200 || !strings.Contains(string(doc), sumOf(checksum.CRC32, partThree)) {
			t.Errorf("%v: %d %s", form, resp.StatusCode, doc)
		}
		if got, _ := f.sums(checksum.CRC32); got != sumOf(checksum.CRC32, partThree) {
			t.Errorf("%v: HEAD says %q, want %q", form, got, sumOf(checksum.CRC32, partThree))
		}
		f.reads(partThree)
	}
}

// A store that answers 200 to a Complete that has lost, to a list of the same sizes, keeps the winner's checksums.
func TestLosersOfTheSameSizesLeaveTheWinnersChecksums(t *testing.T) {
	f := remembering(t)
	id, etags := f.upload(partTwo)
	var once atomic.Bool
	f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op != "CompleteMultipartUpload" || once.Swap(true) {
			return nil
		}
		resp, _ := f.must("PUT", "/data/key?partNumber=1&uploadId="+id, partThree)
		if resp, doc := f.complete(id, []string{resp.Header.Get("ETag")}, 1); resp.StatusCode != 200 {
			t.Errorf("winner: %d %s", resp.StatusCode, doc)
		}
		return &proxytest.Answer{Status: 200, Header: http.Header{}, Body: []byte(`<CompleteMultipartUploadResult><ETag>"0123-1"</ETag></CompleteMultipartUploadResult>`)}
	}})
	f.complete(id, etags, 1)
	if got, _ := f.sums(checksum.CRC64NVME); got != sumOf(checksum.CRC64NVME, partThree) {
		t.Errorf("HEAD says %q", got)
	}
	f.reads(partThree)
}

// Two Completes of one list at a time, at a store that answers 200 to both, as S3 does: the later one finds the notes gone, and
// leaves the checksums that the earlier one has made of them.
func TestCompletesAtATimeKeepTheChecksumsOfTheNotes(t *testing.T) {
	f := remembering(t)
	id, etags := f.upload(bigPart, partTwo)
	var once atomic.Bool
	f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		switch {
		case c.Op == "ListObjectsV2" && strings.HasPrefix(c.Query.Get("prefix"), ".s3veil/u/") && !once.Swap(true):
			if resp, doc := f.complete(id, etags, 1, 2); resp.StatusCode != 200 {
				t.Errorf("the earlier one: %d %s", resp.StatusCode, doc)
			}
		case c.Op == "CompleteMultipartUpload":
			if o, ok := f.store.Get("data", "key"); ok {
				return &proxytest.Answer{Status: 200, Header: http.Header{}, Body: []byte("<CompleteMultipartUploadResult><ETag>" + o.ETag + "</ETag></CompleteMultipartUploadResult>")}
			}
		}
		return nil
	}})
	want := sumOf(checksum.CRC64NVME, bigPart, partTwo)
	if resp, doc := f.complete(id, etags, 1, 2); resp.StatusCode != 200 || !strings.Contains(string(doc), want) {
		t.Errorf("the later one: %d %s", resp.StatusCode, doc)
	}
	if got, _ := f.sums(checksum.CRC64NVME); got != want {
		t.Errorf("HEAD says %q, want %q", got, want)
	}
}

func TestUploadsAreListedWithTheirChecksums(t *testing.T) {
	f := remembering(t)
	create := func(key string, header ...string) { f.must("POST", "/data/"+key+"?uploads=", nil, header...) }
	create("a", "x-amz-checksum-algorithm", "CRC32C", "x-amz-checksum-type", "FULL_OBJECT")
	create("b")
	create("c", "x-amz-checksum-algorithm", "SHA256")
	_, doc := f.must("GET", "/data?uploads=", nil)
	if !strings.Contains(string(doc), "<ChecksumAlgorithm>CRC32C</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>") ||
		!strings.Contains(string(doc), "<ChecksumAlgorithm>SHA256</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType>") || strings.Count(string(doc), "<ChecksumType>") != 2 {
		t.Errorf("%s", doc)
	}
	for _, k := range f.store.Keys("data") {
		f.store.Change("data", k, func(o *proxytest.Object) { o.Header["x-amz-meta-s3veil-sum"] = "CRC32C.<Evil/>" })
	}
	if _, doc = f.must("GET", "/data?uploads=", nil); strings.Contains(string(doc), "<Checksum") || strings.Contains(string(doc), "Evil") {
		t.Errorf("a hint that is none of S3's names: %s", doc)
	}
	for _, k := range f.store.Keys("data") {
		f.store.Delete("data", k)
	}
	if _, doc = f.must("GET", "/data?uploads=", nil); strings.Contains(string(doc), "<Checksum") || strings.Count(string(doc), "<Upload>") != 3 {
		t.Errorf("without state objects: %s", doc)
	}
}

// An upload of which there is no state may be missing with its bucket.
func TestUploadsWithoutStateInAMissingBucket(t *testing.T) {
	f := remembering(t)
	for _, bucket := range []string{"missing", "data"} {
		want := map[string]string{"missing": "NoSuchBucket", "data": "NoSuchUpload"}[bucket]
		target := "/" + bucket + "/key?uploadId=1." + strings.Repeat("A", 43)
		for what, c := range map[string]struct {
			method, query string
			body          []byte
		}{
			"UploadPart": {"PUT", "&partNumber=1", partTwo}, "ListParts": {"GET", "", nil}, "Abort": {"DELETE", "", nil},
			"Complete": {"POST", "", []byte("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload>")},
		} {
			if resp, doc := f.do(c.method, target+c.query, c.body); code(doc) != want {
				t.Errorf("%s, %s bucket: %d %s", what, bucket, resp.StatusCode, doc)
			}
		}
	}
}
