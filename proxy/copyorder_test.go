package proxy

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"s3veil/proxy/policy"
	"s3veil/proxy/proxytest"
	"s3veil/proxy/s3op"
)

// denies is a store that lets nobody write a part, and says why.
func (f *fixture) denies(status int, code string) (remove func()) {
	return f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op != "UploadPart" {
			return nil
		}
		return &proxytest.Answer{Status: status, Header: http.Header{}, Body: []byte("<Error><Code>" + code + "</Code><Message>said the store</Message></Error>")}
	}})
}

// TestTargetOfACopyComesFirst: whoever may not write hears so whatever there is to say of the source; whoever may hears of that.
// The question has no effect, names nothing of the client's, and is asked of copies alone that fail anyway.
func TestTargetOfACopyComesFirst(t *testing.T) {
	f := newFixture(t, nil)
	f.store.CreateBucket("from", false)
	f.must("PUT", "/from/key", []byte("x"))
	resp, _ := f.must("HEAD", "/from/key", nil)
	f.store.Put("from", "bare", proxytest.Object{Data: []byte("not encrypted")})
	id := f.startUpload("/data/k")
	for _, target := range []string{"/data/k", "/data/k?partNumber=1&uploadId=" + url.QueryEscape(id)} {
		for _, c := range []struct {
			what, source string
			header       []string
			status       int
			code         string
		}{
			{"no key", "/from/none", nil, 404, "NoSuchKey"},
			{"no bucket", "/none/key", nil, 404, "NoSuchBucket"},
			{"no version", "/from/key?versionId=abc", nil, 404, "NoSuchVersion"},
			{"a condition", "/from/key", []string{"x-amz-copy-source-if-none-match", resp.Header.Get("Etag")}, 412, "PreconditionFailed"},
			{"plaintext", "/from/bare", nil, 422, "ObjectNotEncrypted"},
		} {
			header := append([]string{"x-amz-copy-source", c.source, "x-amz-expected-bucket-owner", "111122223333"}, c.header...)
			for code, status := range map[string]int{"AccessDenied": 403, "NoSuchBucket": 404, "NoSuchUpload": 404, "InvalidArgument": 400, "Odd": 404} {
				f.store.Forget()
				remove := f.denies(status, code)
				resp, doc := f.do("PUT", target, nil, header...)
				remove()
				want := c.code
				if code == "AccessDenied" || code == "NoSuchBucket" {
					want = code
				} else {
					status = c.status
				}
				if resp.StatusCode != status || !strings.Contains(string(doc), "<Code>"+want+"</Code>") {
					t.Errorf("%s, %s, the store says %s: %d %s", target, c.what, code, resp.StatusCode, doc)
				}
				asked := f.store.Calls("UploadPart")
				if len(asked) != 1 || asked[0].Bucket != "data" || asked[0].Key != "k" || len(asked[0].Body) != 0 || asked[0].Query.Get("uploadId") != noUpload ||
					asked[0].Header.Get("X-Amz-Expected-Bucket-Owner") != "111122223333" || asked[0].Header.Get("X-Amz-Copy-Source-If-None-Match") != "" {
					t.Errorf("%s, %s: the store was asked %v", target, c.what, asked)
				}
				for _, w := range f.store.Calls() {
					if w.Bucket != "data" && w.Method != "GET" && w.Method != "HEAD" {
						t.Errorf("%s, %s: %s to the source's bucket", target, c.what, w.Method)
					}
				}
			}
		}
		f.store.Forget()
		f.must("PUT", target, nil, "x-amz-copy-source", "/from/key")
		for _, c := range f.store.Calls("UploadPart") {
			if c.Query.Get("uploadId") == noUpload {
				t.Errorf("%s: a good copy asks too", target)
			}
		}
	}
}

// TestAskingForTheTargetSaysNothingOfSources: what a client's own rules deny is denied before the store is asked anything.
func TestAskingForTheTargetSaysNothingOfSources(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) {
		set.Clients[0].Policy.Rules = []policy.Rule{{Buckets: []string{"data"}, Actions: []s3op.Class{s3op.Read, s3op.Write}}}
	})
	f.store.CreateBucket("secret", false)
	defer f.denies(403, "AccessDenied")()
	for _, source := range []string{"/secret/key", "/secret/none", "/none/key", "/data/.s3veil/m/x"} {
		f.store.Forget()
		resp, doc := f.do("PUT", "/data/k", nil, "x-amz-copy-source", source)
		if resp.StatusCode != 403 || strings.Contains(string(doc), "said the store") {
			t.Errorf("%s: %d %s", source, resp.StatusCode, doc)
		}
		for _, c := range f.store.Calls() {
			if c.Bucket != "data" || !strings.HasPrefix(c.Key, ".s3veil/c/") { // the bucket's default
				t.Errorf("%s: the store saw %s %s", source, c.Method, c.Target)
			}
		}
	}
}

// TestAnonymousClientsDoNotCopy: S3 wants a signature of every copy, and of what it does not offer to everybody.
func TestAnonymousClientsDoNotCopy(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) {
		set.Clients = append(set.Clients, Client{Anonymous: true, Policy: policy.Client{
			Rules: []policy.Rule{{Buckets: []string{"*"}, Actions: []s3op.Class{s3op.Read, s3op.Write}}}}})
	})
	f.must("PUT", "/data/key", []byte("x"))
	id := url.QueryEscape(f.startUpload("/data/k"))
	f.store.Forget()
	for target, want := range map[string]string{
		"PUT /data/k": "AccessDenied</Code><Message>Anonymous users cannot copy objects. Please authenticate.",
		"PUT /data/k?partNumber=1&uploadId=" + id: "AccessDenied",
		"POST /data/key?select&select-type=2":     "AccessDenied</Code><Message>Anonymous users cannot invoke this API. Please authenticate.",
	} {
		c := f.dial()
		copies := ""
		if strings.HasPrefix(target, "PUT") {
			copies = "x-amz-copy-source: /data/key\r\n"
		}
		fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n%s\r\n", target, f.addr, copies)
		if status, doc := answer(t, c); status != 403 || !strings.Contains(doc, "<Code>"+want) {
			t.Errorf("%s: %d %s", target, status, doc)
		}
	}
	if calls := f.store.Calls(); len(calls) != 0 {
		t.Errorf("the store was asked: %v", calls)
	}
	if resp, doc := f.do("POST", "/data/key?select&select-type=2", nil); resp.StatusCode != 501 {
		t.Errorf("a signed request for what there is not: %d %s", resp.StatusCode, doc)
	}
}

// TestOperationsThatThereAreNotWantASignature: whoever shows none, or a wrong one, is not told what s3veil offers.
func TestOperationsThatThereAreNotWantASignature(t *testing.T) {
	f := newFixture(t, nil)
	for what, head := range map[string]string{
		"none":  fmt.Sprintf("POST /data/key?select&select-type=2 HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n", f.addr),
		"wrong": strings.Replace(f.head("POST", "/data/key?select&select-type=2", unsigned, "content-length", "0"), "Signature=", "Signature=0", 1),
	} {
		c := f.dial()
		fmt.Fprint(c, head)
		if status, doc := answer(t, c); status/100 != 4 || strings.Contains(doc, "NotImplemented") {
			t.Errorf("%s: %d %s", what, status, doc)
		}
	}
}
