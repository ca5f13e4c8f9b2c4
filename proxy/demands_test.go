package proxy

import (
	"bytes"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"s3veil/proxy/proxytest"
	"s3veil/sigv4"
)

// A bucket that demands TLS is closed without it, on both sides of a copy, as under a policy with aws:SecureTransport.
func TestBucketsThatDemandTLS(t *testing.T) {
	r := newSettingRig(t, func(set *Settings) {
		set.TrustProxies = balancer
		set.Buckets = append([]Bucket{{Name: "secure", Key: "main", RequireTLS: true}}, set.Buckets...)
	})
	tls := inTLS(nil)
	r.must("PUT", "/secure", nil, tls...)
	r.must("PUT", "/secure/key", []byte("hello"), tls...)
	for _, target := range []string{"GET /secure/key", "HEAD /secure/key", "PUT /secure/key", "DELETE /secure/key", "GET /secure?list-type=2", "GET /secure?encryption",
		"POST /secure?delete", "POST /secure/key?uploads", "GET /secure?location", "DELETE /secure"} {
		method, path, _ := strings.Cut(target, " ")
		resp, doc := r.do(method, path, nil)
		if resp.StatusCode != 403 || method == "GET" && !bytes.Contains(doc, []byte("<Code>AccessDenied<")) {
			t.Errorf("%s: %s %s", target, resp.Status, doc)
		}
	}
	form, err := http.Post("http://"+r.addr+"/secure", "multipart/form-data; boundary=x", strings.NewReader("--x--"))
	if err != nil {
		t.Fatal(err)
	}
	if form.Body.Close(); form.StatusCode != 403 {
		t.Errorf("a form: %s", form.Status)
	}
	for _, header := range [][]string{{"x-amz-copy-source", "/secure/key"}} {
		if got := r.code("PUT", "/data/copy", nil, header...); got != "403 AccessDenied" {
			t.Errorf("a copy from it: %s", got)
		}
		if got := r.code("PUT", "/data/copy", nil, append(header, tls...)...); got != "200" {
			t.Errorf("a copy over TLS: %s", got)
		}
	}
	id := uploadID(t, r.fixture, "/data/parts")
	if got := r.code("PUT", "/data/parts?partNumber=1&uploadId="+id, nil, "x-amz-copy-source", "/secure/key"); got != "403 AccessDenied" {
		t.Errorf("a part copied from it: %s", got)
	}
}

// Where the store takes clients' own credentials, what it denies to one client does not stop another.
func TestClientsWithOwnCredentialsAskForThemselves(t *testing.T) {
	poor := sigv4.Credential{AccessKey: "poor", Secret: "a secret without rights"}
	r := newSettingRig(t, func(set *Settings) {
		set.Upstreams[0].ClientCredentials, set.Upstreams[0].Credentials = true, nil
		c := set.Clients[0]
		c.Credential, c.Policy.AccessKey = poor, "poor"
		set.Clients = append(set.Clients, c)
	})
	asked, gate := make(chan struct{}), make(chan struct{})
	defer r.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Key != settingName || !strings.Contains(c.Header.Get("Authorization"), "Credential=poor/") {
			return nil
		}
		close(asked)
		<-gate
		return &proxytest.Answer{Status: 403, Header: http.Header{}, Body: []byte("<Error><Code>AccessDenied</Code></Error>")}
	}})()
	denied := make(chan int)
	go func() {
		c := r.dial()
		io.WriteString(c, (&forwarded{fixture: r.fixture}).signed("PUT", "", r.addr, "/data/key", "", poor, "us-east-1"))
		status, _ := answer(t, c)
		denied <- status
	}()
	<-asked
	r.must("PUT", "/data/key", nil)
	close(gate)
	if status := <-denied; status != 403 {
		t.Errorf("without the right to read: %d", status)
	}
}

// Only a balancer's headers say where a request came from and whether over TLS, and of them only what it has written itself.
func TestSourcesAndSchemesSaidByBalancers(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) {
		set.TrustProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	})
	for _, c := range []struct {
		from, hops, schemes, source string // lines of one header are divided by line breaks
		tls                         bool
	}{
		{"10.0.0.1", "203.0.113.9", "https", "203.0.113.9", true},
		{"2001:db8::1", "2001:DB9::9", "HTTPS", "2001:db9::9", true},
		{"192.0.2.1", "203.0.113.9", "https", "192.0.2.1", false},
		{"10.0.0.1", "", "", "10.0.0.1", false},
		{"10.0.0.1", "127.0.0.1, 203.0.113.9", "http", "203.0.113.9", false},
		{"10.0.0.1", "127.0.0.1\n203.0.113.9", "https\nhttp", "203.0.113.9", false},
		{"10.0.0.1", "203.0.113.9, 10.2.3.4", "https, https", "203.0.113.9", true},
		{"10.0.0.1", "203.0.113.9,10.2.3.4", "http, https", "203.0.113.9", false},
		{"10.0.0.1", "::ffff:203.0.113.9", "https,", "203.0.113.9", false},
		{"10.0.0.1", "203.0.113.9, nonsense", "https ", "10.0.0.1", true},
		{"10.0.0.1", "203.0.113.9, nonsense, 10.2.3.4", "httpsx", "10.2.3.4", false},
	} {
		x := &exchange{s: f.s, st: f.s.state.Load(), source: netip.MustParseAddr(c.from)}
		for name, lines := range map[string]string{"x-forwarded-for": c.hops, "x-forwarded-proto": c.schemes} {
			for line := range strings.SplitSeq(lines, "\n") {
				if line != "" {
					x.head.Fields = append(x.head.Fields, sigv4.Field{Name: name, Value: line})
				}
			}
		}
		if x.trustForwarded(); x.source != netip.MustParseAddr(c.source) || x.tls != c.tls {
			t.Errorf("%+v: from %s, TLS %t", c, x.source, x.tls)
		}
	}
}
