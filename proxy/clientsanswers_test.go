package proxy

import (
	"bufio"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"s3veil/proxy/proxytest"
)

// What docs/CLIENTS.md 4 and 5 say of answers.

// Rules 17 and 23: a range behind the end is told the size of the plaintext.
func TestRangesBehindTheEndNameThePlaintext(t *testing.T) {
	f := newFixture(t, nil)
	f.must("PUT", "/data/key", make([]byte, 100_000))
	f.must("PUT", "/data/empty", nil)
	for target, size := range map[string]string{"/data/key": "100000", "/data/empty": "0"} {
		for _, spec := range []string{"bytes=100000-", "bytes=100001-100031", "bytes=200000-300000"} {
			resp, doc := f.do("GET", target, nil, "range", spec)
			if resp.StatusCode != 416 || !strings.Contains(string(doc), "<ActualObjectSize>"+size+"</ActualObjectSize>") || !strings.Contains(string(doc), "<RangeRequested>"+spec+"</RangeRequested>") {
				t.Errorf("%s %s: %d %s", target, spec, resp.StatusCode, doc)
			}
		}
	}
}

// Rule 17: stores that tell the size of what has been written tell their own.
func TestSizesInAnswersToWrites(t *testing.T) {
	f := newFixture(t, nil)
	f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		if c.Op == "PutObject" {
			a.Header.Set("X-Amz-Object-Size", c.Header.Get("Content-Length"))
		}
	}})
	for _, n := range []int{0, 5, 100_000} {
		if resp, _ := f.must("PUT", "/data/key", make([]byte, n)); resp.Header.Get("X-Amz-Object-Size") != fmt.Sprint(n) {
			t.Errorf("%d bytes: %q", n, resp.Header.Get("X-Amz-Object-Size"))
		}
	}
}

// Rule 15 and CLIENTS.md 5: DeleteObjects goes up in a document and under a digest of s3veil's own, its ETags those of the
// store. A condition on the size is met by the plaintext's and goes up as the stored one, or is answered where it stands.
func TestConditionsOfDeletions(t *testing.T) {
	f := newFixture(t, nil)
	for _, key := range []string{"a", "b", "c"} {
		f.must("PUT", "/data/"+key, []byte("plain "+key))
	}
	list := ""
	for _, key := range []string{"a", "b", "c"} {
		resp, _ := f.must("HEAD", "/data/"+key, nil)
		list += "<Object><Key>" + key + "</Key><ETag>" + strings.ReplaceAll(resp.Header.Get("ETag"), `"`, "&quot;") + "</ETag>" +
			map[string]string{"b": "<Size>8</Size>", "c": "<Size>7</Size>"}[key] + "</Object>"
	}
	stored, _ := f.store.Get("data", "a")
	var sent, digest string
	f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, _ *proxytest.Answer) {
		if c.Query.Has("delete") {
			sent, digest = string(c.Body), c.Header.Get("Content-Md5")
		}
	}})
	_, doc := f.must("POST", "/data?delete", []byte("<Delete>"+list+"</Delete>"))
	for _, want := range []string{"<Deleted><Key>a</Key></Deleted><Deleted><Key>c</Key></Deleted>", "<Error><Key>b</Key><Code>PreconditionFailed</Code>"} {
		if !strings.Contains(string(doc), want) {
			t.Errorf("the answer has no %s: %s", want, doc)
		}
	}
	if tag := strings.Trim(stored.ETag, `"`); !strings.Contains(sent, tag) || strings.Contains(sent, tag+"-0") || strings.Contains(sent, "<Key>b</Key>") || strings.Count(sent, "<Size>39</Size>") != 1 {
		t.Errorf("the store got %s, whose object has %s", sent, stored.ETag)
	}
	if sum := md5.Sum([]byte(sent)); digest != base64.StdEncoding.EncodeToString(sum[:]) {
		t.Errorf("digest %q of %s", digest, sent)
	}
}

// Rule 28: whether somebody else was first (412) or is at it now (409) decides what a client does next: the store's word, whatever
// the way of writing.
func TestConflictsAndFailedConditionsStayApart(t *testing.T) {
	f := newFixture(t, func(_ *Settings, o *Options) { o.Limits.HeldBody = 1 << 10 })
	f.must("PUT", "/data/source", []byte("plain"))
	id := f.startUpload("/data/mp")
	part, _ := f.must("PUT", "/data/mp?partNumber=1&uploadId="+id, []byte("plain"))
	list := []byte(`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>` + part.Header.Get("ETag") + `</ETag></Part></CompleteMultipartUpload>`)
	for code, status := range map[string]int{"PreconditionFailed": 412, "ConditionalRequestConflict": 409, "NoSuchKey": 404} {
		remove := f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
			if c.Header.Get("If-None-Match") == "*" {
				return proxytest.Fail(status, code)
			}
			return nil
		}})
		for what, c := range map[string]struct {
			method, target string
			body           []byte
			header         []string
		}{
			"small":    {"PUT", "/data/key", []byte("x"), nil},
			"streamed": {"PUT", "/data/key", make([]byte, 300_000), nil},
			"complete": {"POST", "/data/mp?uploadId=" + id, list, nil},
			"copy":     {"PUT", "/data/key", nil, []string{"x-amz-copy-source", "/data/source"}},
		} {
			resp, doc := f.do(c.method, c.target, c.body, append(c.header, "if-none-match", "*")...)
			if resp.StatusCode != status || !strings.Contains(string(doc), "<Code>"+code+"</Code>") {
				t.Errorf("%s, %s: %d %s", what, code, resp.StatusCode, doc)
			}
		}
		remove()
	}
	if _, ok := f.store.Get("data", "key"); ok {
		t.Error("a refused write has left an object")
	}
	f.must("POST", "/data/mp?uploadId="+id, list, "if-none-match", "*")
}

// CLIENTS.md 5: a preflight has no signature, and gets none: the store's rules answer it as they would a browser.
func TestPreflightsGoUpUnsigned(t *testing.T) {
	f := newFixture(t, nil)
	f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Method != "OPTIONS" {
			return nil
		}
		return &proxytest.Answer{Status: 200, Cut: -1, Header: http.Header{"Access-Control-Allow-Origin": {"https://app.example"}, "Vary": {"Origin"}}}
	}})
	c := f.dial()
	_, _ = io.WriteString(c, "OPTIONS /data/key HTTP/1.1\r\nHost: "+f.addr+"\r\nOrigin: https://app.example\r\nAccess-Control-Request-Method: PUT\r\n"+
		"Access-Control-Request-Headers: x-amz-meta-a\r\nCookie: a=b\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if h := resp.Header; resp.StatusCode != 200 || h.Get("Access-Control-Allow-Origin") != "https://app.example" || h.Get("Vary") != "Origin" {
		t.Errorf("%d %v", resp.StatusCode, h)
	}
	for _, call := range f.store.Calls() {
		if h := call.Header; call.Method == "OPTIONS" && (h.Get("Authorization") != "" || h.Get("X-Amz-Content-Sha256") != "" || h.Get("Cookie") != "" ||
			h.Get("Access-Control-Request-Method") != "PUT" || h.Get("Access-Control-Request-Headers") != "x-amz-meta-a") {
			t.Errorf("the store got %v", h)
		}
	}
}

// A 304 says which object has not changed and what a cache and a browser have to know, and nothing of its content, whoever has
// compared: the store, or s3veil for lists and "*" (RFC 9110 15.4.5). A refusal has no less for browsers.
func TestHeadersOfNotModified(t *testing.T) {
	f := newFixture(t, nil)
	put, _ := f.must("PUT", "/data/key", []byte("plain"), "cache-control", "max-age=7", "content-language", "de", "x-amz-meta-a", "b")
	tag := put.Header.Get("ETag")
	f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		for name, v := range map[string]string{"Access-Control-Allow-Origin": "https://app.example", "Access-Control-Expose-Headers": "ETag", "Vary": "Origin",
			"Cache-Control": "max-age=7", "Content-Language": "de", "X-Amz-Meta-A": "b", "X-Amz-Storage-Class": "STANDARD_IA", "Last-Modified": "Mon, 02 Jan 2006 15:04:05 GMT"} {
			a.Header.Set(name, v)
		}
	}})
	browser := func(what string, h http.Header) {
		t.Helper()
		if h.Get("Access-Control-Allow-Origin") != "https://app.example" || h.Get("Access-Control-Expose-Headers") != "ETag" || h.Get("Vary") != "Origin" {
			t.Errorf("%s: %v", what, h)
		}
	}
	for _, method := range []string{"GET", "HEAD"} {
		for _, condition := range []string{tag, "*", `"other", ` + tag} {
			resp, body := f.do(method, "/data/key", nil, "if-none-match", condition, "origin", "https://app.example")
			h, what := resp.Header, method+" "+condition
			if resp.StatusCode != 304 || len(body) != 0 || h.Get("ETag") != tag || h.Get("Cache-Control") != "max-age=7" || h.Get("Last-Modified") == "" || len(h.Get("X-Amz-Request-Id")) != 16 {
				t.Errorf("%s: %d %v", what, resp.StatusCode, h)
			}
			browser(what, h)
			for _, name := range []string{"Content-Language", "Content-Range", "X-Amz-Meta-A", "X-Amz-Storage-Class", "X-Amz-Server-Side-Encryption", "Content-Type"} {
				if h.Get(name) != "" {
					t.Errorf("%s: with %s", what, name)
				}
			}
		}
		for what, c := range map[string]struct {
			status int
			header []string
		}{"list": {412, []string{"if-match", `"a", "b"`}}, "single": {412, []string{"if-match", `"a"`}}, "range": {416, []string{"range", "bytes=100-"}}} {
			resp, body := f.do(method, "/data/key", nil, append(c.header, "origin", "https://app.example")...)
			if resp.StatusCode != c.status || (len(body) > 0) != (method == "GET") {
				t.Errorf("%s %s: %d, %d bytes", method, what, resp.StatusCode, len(body))
			}
			browser(method+" "+what, resp.Header)
		}
	}
}
