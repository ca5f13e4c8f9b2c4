package proxy

import (
	"bytes"
	"io"
	"net/http"
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
