package proxy

import (
	"strings"
	"testing"

	"s3veil/proxy/policy"
	"s3veil/proxy/s3op"
)

// A client that may do everything under one prefix reaches nothing else, by whichever name, header or document.
func TestPrefixesBindEveryOperation(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) {
		set.Clients[0].Policy.Rules = []policy.Rule{{Buckets: []string{"data"}, Prefixes: []string{"mine/"},
			Actions: []s3op.Class{s3op.Read, s3op.Write, s3op.Delete}}}
		set.Clients = append(set.Clients, Client{Anonymous: true, Policy: policy.Client{
			Rules: []policy.Rule{{Buckets: []string{"data"}, Prefixes: []string{"open/"}, Actions: []s3op.Class{s3op.Read}}}}})
	})
	f.store.CreateBucket("other", false)
	f.must("PUT", "/data/mine/key", []byte("plain"))
	f.must("GET", "/data?prefix=mine/", nil)
	f.must("GET", "/data?uploads&prefix=mine/", nil)
	_, doc := f.must("POST", "/data/mine/key?uploads", nil)
	_, after, _ := strings.Cut(string(doc), "<UploadId>")
	id, _, _ := strings.Cut(after, "</UploadId>")
	f.store.Forget()

	for _, r := range [][]string{
		{"GET", "/data/key"}, {"HEAD", "/data/key"}, {"GET", "/data/mine"}, {"GET", "/data/mine/../key"}, {"GET", "/data/mine/%2E%2E/key"},
		{"GET", "/data//mine/../key"}, {"GET", "/other/mine/key"}, {"GET", "/data/key?versionId=1"}, {"GET", "/data/key?attributes", "x-amz-object-attributes", "ETag"},
		{"GET", "/data/key?acl"}, {"GET", "/data/key?uploadId=" + id}, {"DELETE", "/data/key?uploadId=" + id}, {"PUT", "/data/key?partNumber=1&uploadId=" + id},
		{"POST", "/data/key?uploadId=" + id}, {"PUT", "/data/key"}, {"POST", "/data/key?uploads"}, {"DELETE", "/data/key"},
		{"PUT", "/data/mine/key", "x-amz-copy-source", "/data/key"}, {"PUT", "/data/mine/key", "x-amz-copy-source", "data%2Fkey"},
		{"PUT", "/data/mine/key", "x-amz-copy-source", "data/mine%2F..%2Fkey"}, {"PUT", "/data/mine/key", "x-amz-copy-source", "/other/mine/key"},
		{"PUT", "/data/mine/key", "x-amz-copy-source", "/data/.s3veil/m/1"}, {"PUT", "/data/mine/key", "x-amz-copy-source", "/data/mine/../.s3veil/m/1"},
		{"PUT", "/data/mine/key?partNumber=1&uploadId=" + id, "x-amz-copy-source", "/data/key"},
		{"GET", "/data"}, {"GET", "/data?prefix="}, {"GET", "/data?prefix=m"}, {"GET", "/data?list-type=2"}, {"GET", "/data?prefix=&prefix=mine/"},
		{"GET", "/data?versions"}, {"GET", "/data?uploads"}, {"GET", "/data?prefix=mine/../"}, {"GET", "/data?prefix=mine/..%2F"},
		{"DELETE", "/data"}, {"PUT", "/data"}, {"GET", "/data?policy"}, {"GET", "/data?versioning"},
		{"DELETE", "/data/mine/key", "x-amz-bypass-governance-retention", "true"}, {"DELETE", "/data/mine/key", "x-amz-bypass-governance-retention", "TRUE"},
		{"PUT", "/data/mine/key?retention", "x-amz-bypass-governance-retention", "true"},
		{"GET", "/data/.s3veil/m/1"}, {"GET", "/data/mine/../.s3veil/m/1"}, {"GET", "/data/.S3VEIL/m/1"}, {"GET", "/data/./.s3veil/m/1"},
	} {
		resp, doc := f.do(r[0], r[1], nil, r[2:]...)
		if resp.StatusCode != 403 {
			t.Errorf("%q: %d %s", r, resp.StatusCode, doc)
		}
	}
	for _, c := range f.store.Calls() {
		// The part of a copy opens its upload first, which asks nothing of the store in token form.
		t.Errorf("the store saw %s %s", c.Method, c.Target)
	}
}

// Repeated parameters mean the same to the rules and to the store: the first of them.
func TestRepeatedParametersReachTheStoreOnce(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) {
		set.Clients[0].Policy.Rules = []policy.Rule{{Buckets: []string{"data"}, Prefixes: []string{"mine/"}, Actions: []s3op.Class{s3op.Read}}}
	})
	f.must("GET", "/data?prefix=mine/&prefix=", nil)
	f.must("GET", "/data?list-type=2&prefix=mine/&prefix=&list-type=2", nil)
	f.must("GET", "/data?uploads&prefix=mine/&prefix=", nil)
	f.must("GET", "/data?versions&prefix=mine/&prefix=", nil)
	for _, c := range f.store.Calls() {
		if got := c.Query["prefix"]; len(got) != 1 || got[0] != "mine/" {
			t.Errorf("%s: prefix %q", c.Target, got)
		}
	}
}

// DeleteObjects holds every entry against rules and reserved prefix, with and without Quiet, and leaves a line for each.
func TestDeleteObjectsDecidesAndAuditsEachKey(t *testing.T) {
	for _, quiet := range []string{"", "<Quiet>true</Quiet>"} {
		f := newFixture(t, func(set *Settings, _ *Options) {
			set.Clients[0].Policy.Rules = []policy.Rule{{Buckets: []string{"data"}, Prefixes: []string{"mine/"}, Actions: []s3op.Class{s3op.Write, s3op.Delete}}}
		})
		f.must("PUT", "/data/mine/key", []byte("plain"))
		f.idle()
		f.store.Forget()
		before := len(f.audit.all())
		var doc strings.Builder
		keys := []string{"mine/key", "key", "mine/../key", ".s3veil/m/1", "mine/../.s3veil/m/1", "mine"}
		doc.WriteString("<Delete>" + quiet)
		for _, k := range keys {
			doc.WriteString("<Object><Key>" + k + "</Key></Object>")
		}
		doc.WriteString("</Delete>")
		_, got := f.must("POST", "/data?delete", []byte(doc.String()))
		if n := strings.Count(string(got), "<Code>AccessDenied</Code>"); n != len(keys)-1 {
			t.Errorf("%d refused: %s", n, got)
		}
		if deleted := strings.Contains(string(got), "<Deleted>"); deleted != (quiet == "") {
			t.Errorf("quiet %q: %s", quiet, got)
		}
		for _, c := range f.store.Calls() {
			if strings.Contains(string(c.Body), "s3veil") || strings.Contains(string(c.Body), "..") {
				t.Errorf("the store saw %s", c.Body)
			}
		}
		f.idle()
		if lines := f.audit.all()[before:]; len(lines) != len(keys) {
			t.Errorf("quiet %q: %d audit lines: %+v", quiet, len(lines), lines)
		}
	}
}

// A customer's key is never silently ignored.
func TestCustomerKeysAreNotIgnored(t *testing.T) {
	f := newFixture(t, nil)
	f.must("PUT", "/data/key", []byte("plain"))
	id, etags := f.upload([]byte("plain"))
	for _, r := range [][]string{{"GET", "/data/key"}, {"HEAD", "/data/key"}, {"GET", "/data/key?attributes", "x-amz-object-attributes", "ETag"},
		{"PUT", "/data/key"}, {"POST", "/data/key?uploads"}, {"PUT", "/data/key?partNumber=1&uploadId=" + id}, {"POST", "/data/key?uploadId=" + id},
		{"PUT", "/data/copy", "x-amz-copy-source", "/data/key"}} {
		resp, _ := f.do(r[0], r[1], []byte("<x/>"), append(r[2:], "x-amz-server-side-encryption-customer-algorithm", "AES256")...)
		if resp.StatusCode != 400 && resp.StatusCode != 501 {
			t.Errorf("%q: %d", r, resp.StatusCode)
		}
	}
	if resp, doc := f.complete(id, etags, 1); resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, doc)
	}
}
