package proxy

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"s3veil/proxy/proxytest"
	"s3veil/proxy/s3op"
)

// presignedV2 sends a URL of signature version 2 that carries headers in its query, as name, value, …
func (f *fixture) presignedV2(t *testing.T, method, path string, hoisted ...string) string {
	t.Helper()
	expires := fmt.Sprint(time.Now().Add(time.Minute).Unix())
	var lines []string
	query := url.Values{"AWSAccessKeyId": {testCredential.AccessKey}, "Expires": {expires}}
	for i := 0; i < len(hoisted); i += 2 {
		query.Set(hoisted[i], hoisted[i+1])
		lines = append(lines, hoisted[i]+":"+hoisted[i+1]+"\n")
	}
	slices.Sort(lines)
	mac := hmac.New(sha1.New, []byte(testCredential.Secret))
	fmt.Fprintf(mac, "%s\n\n\n%s\n%s%s", method, expires, strings.Join(lines, ""), path)
	query.Set("Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	c := f.dial()
	fmt.Fprintf(c, "%s %s?%s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", method, path, query.Encode(), f.addr)
	status, doc := answer(t, c)
	_, code, _ := strings.Cut(string(doc), "<Code>")
	code, _, _ = strings.Cut(code, "<")
	return strings.TrimSpace(fmt.Sprint(status, " ", code))
}

// mayUseV2 is a change of settings after which the client may write and delete, but not administrate, with version 2.
func mayUseV2(set *Settings, _ *Options) {
	c := &set.Clients[0]
	c.Credential.SigV2 = true
	c.Policy.Rules[0].Actions = []s3op.Class{s3op.Read, s3op.Write, s3op.Delete}
}

// What a URL of version 2 carries in the place of headers decides as they would.
func TestHeadersInURLsOfVersion2Decide(t *testing.T) {
	f := newFixture(t, mayUseV2)
	f.must("PUT", "/data/source", []byte("hello"))
	if got := f.presignedV2(t, "PUT", "/data/copy", "x-amz-copy-source", "/data/source"); got != "200" {
		t.Errorf("a copy: %s", got)
	}
	if _, got := f.must("GET", "/data/copy", nil); string(got) != "hello" {
		t.Errorf("the copy holds %q", got)
	}
	const bypass = "x-amz-bypass-governance-retention"
	defer f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Header.Get(bypass) != "" {
			t.Errorf("%s goes up with %s for a client that has no right to it", c.Op, bypass)
		}
		return nil
	}})()
	if got := f.presignedV2(t, "DELETE", "/data/source", bypass, "true"); got != "403 AccessDenied" {
		t.Errorf("bypass of governance: %s", got)
	}
	f.must("GET", "/data/source", nil)
}

// A value in a query may hold what no header may; it must not become one.
func TestHeadersInURLsHoldNoLines(t *testing.T) {
	f := newFixture(t, mayUseV2)
	defer f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Header.Get("x-planted") != "" || c.Header.Get("x-amz-acl") != "" {
			t.Errorf("%s %s goes up with a planted header", c.Op, c.Key)
		}
		return nil
	}})()
	for _, value := range []string{"a\r\nx-planted: 1", "a\nx-amz-acl:public-read", "a\r\n\r\nDELETE /data/other HTTP/1.1\r\n\r\n", "a\x00b", "a\rb"} {
		if got := f.presignedV2(t, "PUT", "/data/planted", "x-amz-meta-a", value); !strings.HasPrefix(got, "400 ") {
			t.Errorf("%q: %s", value, got)
		}
	}
	for _, name := range []string{"x-amz-meta-a b", "x-amz-meta-a:b", "x-amz-meta-a\r\nx-planted"} {
		if got := f.presignedV2(t, "PUT", "/data/planted", name, "1"); !strings.HasPrefix(got, "40") {
			t.Errorf("%q: %s", name, got)
		}
	}
	if got := f.presignedV2(t, "PUT", "/data/planted", "x-amz-meta-a", "a b"); got != "200" {
		t.Errorf("a space: %s", got)
	}
}
