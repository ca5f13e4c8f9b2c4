package proxy

import (
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"s3veil/crypto/kms/kmstest"
	"s3veil/keycache"
	"s3veil/proxy/proxytest"
)

// newPassing has a second bucket under another key, so that copies between the two are streamed.
func newPassing(t *testing.T) *fixture {
	f := newFixture(t, func(set *Settings, _ *Options) {
		set.KEKs = append(set.KEKs, keycache.KEK{KID: "second", Provider: kmstest.NewMemory("second"), Name: "second"})
		set.Buckets = append([]Bucket{{Name: "second", Key: "second"}}, set.Buckets...)
		set.Families["second"] = []string{"second"}
	})
	f.store.CreateBucket("second", false)
	return f
}

// Headers of S3 that say something about a request or an object, and nothing about its bytes.
var (
	everyRequest = map[string]string{"x-amz-expected-bucket-owner": "111122223333", "x-amz-request-payer": "requester"}
	objectWrite  = map[string]string{
		"x-amz-website-redirect-location": "/other/page.html", "x-amz-storage-class": "GLACIER_IR", "x-amz-acl": "public-read",
		"x-amz-grant-read": `id="abc", uri="http://acs.amazonaws.com/groups/global/AllUsers"`, "x-amz-grant-write-acp": `id="abc"`,
		"x-amz-grant-read-acp": `emailAddress="a@example.com"`, "x-amz-grant-full-control": `id="def"`, "x-amz-tagging": "a=b&c=d%20e",
		"x-amz-object-lock-mode": "GOVERNANCE", "x-amz-object-lock-retain-until-date": "2033-01-01T00:00:00Z", "x-amz-object-lock-legal-hold": "ON",
		"cache-control": "max-age=7", "content-disposition": `inline; filename="ü.txt"`, "content-language": "fr", "expires": "Thu, 01 Dec 2033 16:00:00 GMT",
	}
)

func flat(sets ...map[string]string) []string {
	var out []string
	for _, set := range sets {
		for _, name := range slices.Sorted(maps.Keys(set)) {
			out = append(out, name, set[name])
		}
	}
	return out
}

// startUpload begins an upload and returns its id.
func (f *fixture) startUpload(target string, header ...string) string {
	f.t.Helper()
	_, doc := f.must("POST", target+"?uploads", nil, header...)
	var x struct{ UploadId string }
	if err := xml.Unmarshal(doc, &x); err != nil || x.UploadId == "" {
		f.t.Fatalf("%v: %s", err, doc)
	}
	return x.UploadId
}

// What a client says about an object goes to the store with the request that makes the object, word for word.
func TestHeadersOfWritesReachTheStore(t *testing.T) {
	f := newPassing(t)
	f.must("PUT", "/data/source", []byte("plain"))
	source := []string{"x-amz-copy-source", "/data/source"}
	replace := append(source, "x-amz-metadata-directive", "REPLACE")
	for _, c := range []struct {
		op, method, target string
		own                []string
	}{
		{"PutObject", "PUT", "/data/key", nil},
		{"CreateMultipartUpload", "POST", "/data/key?uploads", nil},
		{"CopyObject", "PUT", "/data/copy", replace},
		{"PutObject", "PUT", "/second/copy", replace}, // streamed
	} {
		f.store.Forget()
		f.must(c.method, c.target, nil, append(flat(everyRequest, objectWrite), c.own...)...)
		calls := f.store.Calls(c.op)
		if len(calls) != 1 {
			t.Fatalf("%s %s: %d calls of %s", c.method, c.target, len(calls), c.op)
		}
		for _, set := range []map[string]string{everyRequest, objectWrite} {
			for name, want := range set {
				if got := calls[0].Header.Get(name); got != want && name != "x-amz-tagging" {
					t.Errorf("%s %s: %s is %q at the store, want %q", c.method, c.target, name, got, want)
				}
			}
		}
	}
	// Without a header, neither class nor redirect of the source is the copy's (S3 API, CopyObject).
	f.must("PUT", "/data/source", []byte("plain"), "x-amz-storage-class", "GLACIER_IR", "x-amz-website-redirect-location", "/x")
	for _, target := range []string{"/data/copy", "/second/copy"} {
		f.must("PUT", target, nil, source...)
		resp, _ := f.must("HEAD", target, nil)
		if resp.Header.Get("X-Amz-Storage-Class") != "" || resp.Header.Get("X-Amz-Website-Redirect-Location") != "" {
			t.Errorf("%s: %v", target, resp.Header)
		}
	}
}

// The account that a bucket has to belong to is for the store to compare, in every operation, before anything is changed;
// so is who pays.
func TestExpectedOwnersAreHeldByTheStore(t *testing.T) {
	f := newPassing(t)
	owner := "111122223333"
	f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if want := c.Header.Get("X-Amz-Expected-Bucket-Owner"); want != "" && want != owner {
			return proxytest.Fail(403, "AccessDenied")
		}
		return nil
	}})
	body := []byte("plain")
	f.must("PUT", "/data/key", body)
	id := f.startUpload("/data/mp")
	part, _ := f.must("PUT", "/data/mp?partNumber=1&uploadId="+id, body)
	list := []byte(`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>` + part.Header.Get("ETag") + `</ETag></Part></CompleteMultipartUpload>`)
	remove := []byte(`<Delete><Object><Key>key</Key></Object></Delete>`)
	copies := []string{"x-amz-copy-source", "/data/key"}
	for _, c := range []struct {
		method, target string
		body           []byte
		header         []string
	}{
		{"GET", "/data/key", nil, nil}, {"HEAD", "/data/key", nil, nil}, {"GET", "/data/key", nil, []string{"range", "bytes=1-2"}},
		{"GET", "/data/key?attributes", nil, []string{"x-amz-object-attributes", "ETag"}}, {"PUT", "/data/new", body, nil},
		{"POST", "/data/new?uploads", nil, nil}, {"PUT", "/data/mp?partNumber=2&uploadId=" + id, body, nil},
		{"PUT", "/data/mp?partNumber=3&uploadId=" + id, nil, copies}, {"GET", "/data/mp?uploadId=" + id, nil, nil},
		{"POST", "/data/mp?uploadId=" + id, list, nil}, {"DELETE", "/data/mp?uploadId=" + id, nil, nil},
		{"PUT", "/data/copy", nil, copies}, {"PUT", "/second/copy", nil, copies}, {"DELETE", "/data/key", nil, nil}, {"POST", "/data?delete", remove, nil},
		{"GET", "/data", nil, nil}, {"GET", "/data?list-type=2", nil, nil}, {"GET", "/data?versions", nil, nil}, {"GET", "/data?uploads", nil, nil},
		{"HEAD", "/data", nil, nil}, {"GET", "/data?location", nil, nil}, {"DELETE", "/data", nil, nil}, {"GET", "/data?cors", nil, nil},
		{"GET", "/data/key?acl", nil, nil}, {"GET", "/data/key?tagging", nil, nil}, {"DELETE", "/data/key?tagging", nil, nil},
		{"POST", "/data/key?restore", []byte("<RestoreRequest><Days>1</Days></RestoreRequest>"), nil},
	} {
		f.store.Forget()
		resp, doc := f.do(c.method, c.target, c.body, append(c.header, "x-amz-expected-bucket-owner", "999999999999")...)
		if resp.StatusCode != 403 || c.method != "HEAD" && !strings.Contains(string(doc), "<Code>AccessDenied</Code>") {
			t.Errorf("%s %s: %d %s", c.method, c.target, resp.StatusCode, doc)
		}
		for _, call := range f.store.Calls() {
			if call.Method != "GET" && call.Method != "HEAD" && call.Header.Get("X-Amz-Expected-Bucket-Owner") == "" {
				t.Errorf("%s %s: %s %s without the owner", c.method, c.target, call.Method, call.Target)
			}
		}
	}
	for _, target := range []string{"/data/copy", "/second/copy", "/data/mp?partNumber=3&uploadId=" + id} {
		resp, doc := f.do("PUT", target, nil, append(copies, "x-amz-source-expected-bucket-owner", "999999999999")...)
		if resp.StatusCode != 403 {
			t.Errorf("source of %s: %d %s", target, resp.StatusCode, doc)
		}
		f.must("PUT", target, nil, append(copies, "x-amz-source-expected-bucket-owner", owner, "x-amz-expected-bucket-owner", owner)...)
	}
	f.store.Forget()
	f.must("POST", "/data/mp?uploadId="+id, list, "x-amz-expected-bucket-owner", owner)
	for _, call := range f.store.Calls("PutObject", "CompleteMultipartUpload", "ListParts") { // the manifest among them
		if call.Header.Get("X-Amz-Expected-Bucket-Owner") != owner {
			t.Errorf("%s %s without the owner", call.Op, call.Target)
		}
	}
	f.startUpload("/data/mp")
	if _, ok := f.store.Get("data", "key"); !ok || f.store.Uploads("data") != 1 {
		t.Error("a refused request had an effect")
	}
}

// A bucket whose requesters pay answers those alone who say so, to s3veil's own requests as to the client's.
func TestRequestersPayForEveryRequest(t *testing.T) {
	f := newPassing(t)
	f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Header.Get("X-Amz-Request-Payer") == "" {
			return proxytest.Fail(403, "AccessDenied")
		}
		return nil
	}})
	pay := func(method, target string, body []byte, header ...string) (*http.Response, []byte) {
		t.Helper()
		return f.must(method, target, body, append(header, "x-amz-request-payer", "requester")...)
	}
	body := []byte("plain")
	pay("PUT", "/data/key", body)
	id := f.startUpload("/data/mp", "x-amz-request-payer", "requester")
	first, _ := pay("PUT", "/data/mp?partNumber=1&uploadId="+id, body)
	pay("PUT", "/data/mp?partNumber=2&uploadId="+id, nil, "x-amz-copy-source", "/data/key")
	pay("GET", "/data/mp?uploadId="+id, nil)
	pay("POST", "/data/mp?uploadId="+id, []byte(`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>`+first.Header.Get("ETag")+`</ETag></Part></CompleteMultipartUpload>`))
	f.s.caches.manifests.Purge()
	for _, target := range []string{"/data/key", "/data/mp"} {
		if _, got := pay("GET", target, nil); string(got) != "plain" {
			t.Errorf("%s: %q", target, got)
		}
		pay("HEAD", target, nil)
		pay("GET", target+"?attributes", nil, "x-amz-object-attributes", "ObjectParts")
		pay("PUT", "/data/copy", nil, "x-amz-copy-source", target)
		pay("PUT", "/second/copy", nil, "x-amz-copy-source", target)
	}
	pay("GET", "/data?list-type=2", nil)
	pay("POST", "/data?delete", []byte(`<Delete><Object><Key>copy</Key></Object></Delete>`))
	pay("DELETE", "/data/key", nil)
	if resp, _ := f.do("GET", "/data/mp", nil); resp.StatusCode != 403 {
		t.Errorf("without a word of who pays: %d", resp.StatusCode)
	}
}

// What the store knows about an object beside its bytes comes back, in GET, HEAD and attributes.
func TestHeadersOfObjectsComeBack(t *testing.T) {
	f := newFixture(t, nil)
	f.must("PUT", "/data/key", []byte("plain"))
	stored := map[string]string{
		"X-Amz-Restore": `ongoing-request="false", expiry-date="Fri, 21 Dec 2033 00:00:00 GMT"`, "X-Amz-Storage-Class": "GLACIER",
		"X-Amz-Archive-Status": "ARCHIVE_ACCESS", "X-Amz-Website-Redirect-Location": "/other", "X-Amz-Request-Charged": "requester",
		"X-Amz-Expiration": `expiry-date="Fri, 21 Dec 2033 00:00:00 GMT", rule-id="r"`, "X-Amz-Replication-Status": "COMPLETED", "X-Amz-Tagging-Count": "2",
		"X-Amz-Missing-Meta": "1", "X-Amz-Object-Lock-Mode": "GOVERNANCE", "X-Amz-Object-Lock-Legal-Hold": "ON", "X-Amz-Version-Id": "v1",
		"Vary": "Origin, Access-Control-Request-Headers", "Access-Control-Allow-Origin": "https://app.example",
	}
	f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		if c.Key == "key" {
			for name, v := range stored {
				a.Header.Set(name, v)
			}
		}
	}})
	for _, method := range []string{"GET", "HEAD"} {
		for _, header := range [][]string{nil, {"range", "bytes=1-3"}} {
			resp, _ := f.must(method, "/data/key", nil, header...)
			for name, want := range stored {
				if got := resp.Header.Get(name); got != want {
					t.Errorf("%s %v: %s is %q, want %q", method, header, name, got, want)
				}
			}
		}
	}
	if _, doc := f.must("GET", "/data/key?attributes", nil, "x-amz-object-attributes", "StorageClass"); !strings.Contains(string(doc), "<StorageClass>GLACIER</StorageClass>") {
		t.Errorf("attributes: %s", doc)
	}
}

// A restore passes with its document, and so does what the store answers to it and to reads of archived objects.
func TestArchivedObjects(t *testing.T) {
	f := newFixture(t, nil)
	f.must("PUT", "/data/key", []byte("plain"), "x-amz-storage-class", "GLACIER")
	var status int
	var code string
	f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		switch {
		case c.Query.Has("restore") && code != "":
			*a = *proxytest.Fail(status, code)
		case c.Query.Has("restore"):
			a.Status, a.Body, a.Header = status, nil, http.Header{"X-Amz-Request-Charged": {"requester"}, "X-Amz-Restore-Output-Path": {"out/path"}}
		case c.Op == "GetObject" && c.Key == "key", c.Op == "CopyObject":
			*a = *proxytest.Fail(403, "InvalidObjectState")
			a.Body = []byte(strings.Replace(string(a.Body), "</Code>", "</Code><StorageClass>GLACIER</StorageClass><AccessTier>ARCHIVE_ACCESS</AccessTier>", 1))
		}
	}})
	restore := []byte(`<RestoreRequest xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Days>2</Days><GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters></RestoreRequest>`)
	for _, status = range []int{202, 200} {
		f.store.Forget()
		resp, doc := f.do("POST", "/data/key?restore&versionId=null", restore)
		if resp.StatusCode != status || len(doc) != 0 || resp.Header.Get("X-Amz-Restore-Output-Path") != "out/path" || resp.Header.Get("X-Amz-Request-Charged") != "requester" {
			t.Errorf("restore: %d %v %s", resp.StatusCode, resp.Header, doc)
		}
		if calls := f.store.Calls(); len(calls) != 1 || !strings.HasSuffix(string(calls[0].Body), "\n"+string(restore)) || calls[0].Query.Get("versionId") != "null" {
			t.Errorf("at the store: %+v", calls)
		}
	}
	for code, status = range map[string]int{"RestoreAlreadyInProgress": 409, "GlacierExpeditedRetrievalNotAvailable": 503, "InvalidObjectState": 403} {
		if resp, doc := f.do("POST", "/data/key?restore", restore); resp.StatusCode != status || !strings.Contains(string(doc), "<Code>"+code+"</Code>") {
			t.Errorf("%s: %d %s", code, resp.StatusCode, doc)
		}
	}
	for _, c := range [][]string{{"GET", "/data/key"}, {"PUT", "/data/copy", "x-amz-copy-source", "/data/key"}} {
		resp, doc := f.do(c[0], c[1], nil, c[2:]...)
		for _, want := range []string{"<Code>InvalidObjectState</Code>", "<StorageClass>GLACIER</StorageClass>", "<AccessTier>ARCHIVE_ACCESS</AccessTier>"} {
			if resp.StatusCode != 403 || !strings.Contains(string(doc), want) {
				t.Errorf("%s: %d %s, no %s", c, resp.StatusCode, doc, want)
			}
		}
	}
	if resp, _ := f.must("HEAD", "/data/key", nil); resp.Header.Get("X-Amz-Storage-Class") != "GLACIER" {
		t.Errorf("HEAD: %v", resp.Header)
	}
}
