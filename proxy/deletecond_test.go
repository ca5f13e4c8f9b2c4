package proxy

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"s3veil/crypto/size"
	"s3veil/proxy/proxytest"
)

// sizes is a store that deletes under conditions on sizes, as versitygw and Ceph RGW do.
func (f *fixture) sizes() {
	remove := f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		want := c.Header.Get("X-Amz-If-Match-Size")
		if c.Op != "DeleteObject" || want == "" {
			return nil
		}
		if o, ok := f.store.Get(c.Bucket, c.Key); ok && strconv.Itoa(len(o.Data)) != want {
			return &proxytest.Answer{Status: 412, Header: http.Header{}, Body: []byte("<Error><Code>PreconditionFailed</Code><Message>of the store</Message></Error>")}
		}
		return nil
	}})
	f.t.Cleanup(remove)
}

// TestDeletesUnderAConditionOnTheSize: the size is the plaintext's; what meets it goes up with the stored size and is pinned to the
// object that was looked at, so that the store decides about one written meanwhile.
func TestDeletesUnderAConditionOnTheSize(t *testing.T) {
	for _, kind := range []string{"single", "parts", "padded", "plaintext", "empty"} {
		f := newFixture(t, func(set *Settings, _ *Options) {
			set.Buckets[0].AllowPlaintext, set.Buckets[0].Padding = kind == "plaintext", kind == "padded"
		})
		f.sizes()
		plain := bytes.Repeat([]byte("x"), 70_001)
		if kind == "parts" {
			plain = bytes.Repeat([]byte("x"), 5<<20+77+6)
		}
		put := func() {
			switch kind {
			case "parts":
				id, etags := f.upload(plain[:5<<20+77], plain[5<<20+77:])
				if resp, doc := f.complete(id, etags, 1, 2); resp.StatusCode != 200 {
					t.Fatalf("%d %s", resp.StatusCode, doc)
				}
			case "plaintext":
				f.store.Put("data", "key", proxytest.Object{Data: plain})
			case "empty":
				plain = nil
				fallthrough
			default:
				f.must("PUT", "/data/key", plain)
			}
		}
		put()
		stored, _ := f.store.Get("data", "key")
		for _, other := range []int{len(plain) + 1, len(stored.Data) + 1, 1 << 40} {
			f.store.Forget()
			resp, doc := f.do("DELETE", "/data/key", nil, ifMatchSize, strconv.Itoa(other))
			if resp.StatusCode != 412 || !strings.Contains(string(doc), "PreconditionFailed") || len(f.store.Calls("DeleteObject")) != 0 {
				t.Errorf("%s, %d bytes: %d %s", kind, other, resp.StatusCode, doc)
			}
		}
		for _, match := range []string{"", "*", stored.ETag} {
			if _, ok := f.store.Get("data", "key"); !ok {
				put()
				stored, _ = f.store.Get("data", "key")
			}
			f.store.Forget()
			header := []string{ifMatchSize, strconv.Itoa(len(plain)), "x-amz-if-match-last-modified-time", "Wed, 21 Oct 2026 07:28:00 GMT"}
			switch {
			case match == "*":
				header = append(header, "if-match", "*")
			case match != "":
				resp, _ := f.must("HEAD", "/data/key", nil)
				header = append(header, "if-match", resp.Header.Get("Etag"))
			}
			f.must("DELETE", "/data/key", nil, header...)
			calls := f.store.Calls("DeleteObject")
			if len(calls) != 1 || calls[0].Header.Get(ifMatchSize) != strconv.Itoa(len(stored.Data)) || len(calls[0].Header.Values("If-Match")) != 1 ||
				calls[0].Header.Get("If-Match") != stored.ETag || calls[0].Header.Get("X-Amz-If-Match-Last-Modified-Time") == "" {
				t.Errorf("%s, if-match %q: %v", kind, match, calls)
			}
			if _, ok := f.store.Get("data", "key"); ok {
				t.Errorf("%s: the object is still there", kind)
			}
		}
	}
}

// TestDeletesOfObjectsWrittenMeanwhile: between the look at the object and its deletion another one comes.
func TestDeletesOfObjectsWrittenMeanwhile(t *testing.T) {
	f := newFixture(t, nil)
	f.sizes()
	f.must("PUT", "/data/key", []byte("hello"))
	f.must("PUT", "/data/longer", []byte("hello, world"))
	remove := f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, _ *proxytest.Answer) {
		if c.Op == "HeadObject" {
			f.store.Copy("data", "longer", "data", "key")
		}
	}})
	defer remove()
	resp, doc := f.do("DELETE", "/data/key", nil, ifMatchSize, "5")
	if _, ok := f.store.Get("data", "key"); resp.StatusCode != 412 || !ok {
		t.Errorf("%d %s", resp.StatusCode, doc)
	}
}

// TestConditionsOnSizesOfVersions: those are what they are, but for the null one, which every write to a bucket without versions replaces.
func TestConditionsOnSizesOfVersions(t *testing.T) {
	f := newFixture(t, nil)
	f.must("PUT", "/data/key", []byte("hello"))
	stored, _ := f.store.Get("data", "key")
	f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op == "HeadObject" { // of any version
			h := http.Header{"Etag": {stored.ETag}, "Content-Length": {strconv.Itoa(len(stored.Data))}}
			for name, value := range stored.Header {
				h.Set(name, value)
			}
			return &proxytest.Answer{Status: 200, Header: h}
		}
		return &proxytest.Answer{Status: 204, Header: http.Header{}}
	}})
	for version, pin := range map[string]string{"null": stored.ETag, "v1": ""} {
		f.store.Forget()
		f.must("DELETE", "/data/key?versionId="+version, nil, ifMatchSize, "5")
		if calls := f.store.Calls("DeleteObject"); len(calls) != 1 || calls[0].Header.Get("If-Match") != pin {
			t.Errorf("%s: %v", version, calls)
		}
	}
}

// TestConditionsOnSizesThatTheStoreDecides: of an object that HEAD does not show the store gives its own answer.
func TestConditionsOnSizesThatTheStoreDecides(t *testing.T) {
	f := newFixture(t, nil)
	for _, status := range []int{400, 404, 405} {
		remove := f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
			if c.Op == "HeadObject" {
				return &proxytest.Answer{Status: status, Header: http.Header{}}
			}
			return nil
		}})
		f.store.Forget()
		f.must("DELETE", "/data/none?versionId=abc", nil, ifMatchSize, "70000")
		remove()
		calls := f.store.Calls("DeleteObject")
		if len(calls) != 1 || calls[0].Header.Get(ifMatchSize) != fmt.Sprint(size.Enc(70000)) || calls[0].Header.Get("If-Match") != "" || calls[0].Query.Get("versionId") != "abc" {
			t.Errorf("%d: %v", status, calls)
		}
	}
	remove := f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op == "HeadObject" {
			return &proxytest.Answer{Status: 403, Header: http.Header{}}
		}
		return nil
	}})
	defer remove()
	f.store.Forget()
	if resp, doc := f.do("DELETE", "/data/none", nil, ifMatchSize, "5"); resp.StatusCode != 403 || len(f.store.Calls("DeleteObject")) != 0 {
		t.Errorf("what may not be looked at: %d %s", resp.StatusCode, doc)
	}
}

func TestConditionsOnSizesThatAreNone(t *testing.T) {
	f := newFixture(t, nil)
	f.must("PUT", "/data/key", []byte("hello"))
	for _, text := range []string{"", "five", "-5", "5.0", "0x5", "99999999999999999999"} {
		if resp, doc := f.do("DELETE", "/data/key", nil, ifMatchSize, text); resp.StatusCode != 400 || !strings.Contains(string(doc), "InvalidArgument") {
			t.Errorf("%q: %d %s", text, resp.StatusCode, doc)
		}
	}
	if _, ok := f.store.Get("data", "key"); !ok {
		t.Error("deleted without a condition")
	}
}

// TestConditionsOnSizesUnderACustomersKey: one stream's size is told by arithmetic; that of parts lies under the key, which no
// DELETE carries.
func TestConditionsOnSizesUnderACustomersKey(t *testing.T) {
	f, _ := withKeys(t)
	f.must("PUT", "/data/one", []byte("hello"), inTLS(customer(appKey))...)
	if resp, _ := f.do("DELETE", "/data/one", nil, ifMatchSize, "6"); resp.StatusCode != 412 {
		t.Errorf("another size: %d", resp.StatusCode)
	}
	f.must("DELETE", "/data/one", nil, ifMatchSize, "5")
	key := inTLS(customer(appKey))
	id, etags := f.uploadWith(key, key, bigPart, []byte("y"))
	if resp, doc := f.complete(id, etags, 1, 2); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, doc)
	}
	if resp, doc := f.do("DELETE", "/data/key", nil, ifMatchSize, "5242881"); resp.StatusCode != 501 || !strings.Contains(string(doc), "customer") {
		t.Errorf("parts: %d %s", resp.StatusCode, doc)
	}
	if _, ok := f.store.Get("data", "key"); !ok {
		t.Error("deleted without a look at its size")
	}
}

// TestDeleteObjectsUnderConditionsOnSizes: each key's own, in the store's terms.
func TestDeleteObjectsUnderConditionsOnSizes(t *testing.T) {
	f := newFixture(t, nil)
	for _, key := range []string{"same", "other", "free", "parted"} {
		f.must("PUT", "/data/"+key, []byte("hello"))
	}
	same, _ := f.store.Get("data", "same")
	f.store.Forget()
	_, doc := f.must("POST", "/data?delete=", []byte("<Delete><Object><Key>same</Key><Size>5</Size></Object><Object><Key>other</Key><Size>6</Size></Object>"+
		"<Object><Key>free</Key></Object><Object><Key>none</Key><Size>5</Size><ETag>&quot;abc-0&quot;</ETag></Object><Object><Key>parted</Key><Size>x</Size></Object></Delete>"))
	text := string(doc)
	if strings.Count(text, "<Deleted>") != 3 || !strings.Contains(text, "<Error><Key>other</Key><Code>PreconditionFailed</Code>") ||
		!strings.Contains(text, "<Error><Key>parted</Key><Code>InvalidArgument</Code>") {
		t.Error(text)
	}
	calls := f.store.Calls("DeleteObjects")
	if len(calls) != 1 {
		t.Fatal(calls)
	}
	sent := string(calls[0].Body)
	etag := strings.ReplaceAll(same.ETag, `"`, "&quot;")
	for _, want := range []string{"<Key>same</Key><ETag>" + etag + "</ETag><Size>37</Size>", "<Key>free</Key></Object>", "<Key>none</Key><ETag>&quot;abc&quot;</ETag><Size>37</Size>"} {
		if !strings.Contains(strings.ReplaceAll(sent, "&#34;", "&quot;"), want) {
			t.Errorf("%s is not in %s", want, sent)
		}
	}
	if n := len(f.store.Calls("HeadObject")); n != 3 {
		t.Errorf("%d HEADs for three sizes", n)
	}
}
