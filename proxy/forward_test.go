package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"s3veil/proxy/forward"
	"s3veil/proxy/policy"
	"s3veil/proxy/s3op"
	"s3veil/sigv4"
)

// Every form in which a client may name a bucket leads to the same object, encrypted, over one connection.
func TestForwardPlainRequests(t *testing.T) {
	f := newForwarded(t, nil)
	c := f.connect()
	if resp, body := c.ask("PUT", f.plain("PUT", "s3.eu-west-1.amazonaws.com", "/data/dir//key", "plaintext of the test")); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	for host, target := range map[string]string{
		"s3.amazonaws.com":                             "/data/dir//key",
		"s3.us-west-2.amazonaws.com":                   "/data/dir//key",
		"data.s3.amazonaws.com":                        "/dir//key",
		"data.s3.eu-central-1.amazonaws.com":           "/dir//key",
		"data.s3.dualstack.eu-central-1.amazonaws.com": "/dir//key",
		"s3.test":      "/data/dir//key",
		"data.s3.test": "/dir//key",
		"s3.test:9000": "/data/dir//key",
		"Data.S3.Test": "/dir//key",
	} {
		if resp, body := c.ask("GET", f.plain("GET", host, target, "")); resp.StatusCode != 200 || body != "plaintext of the test" {
			t.Errorf("%s: %d %s", host, resp.StatusCode, body)
		}
	}
	if where := f.store.Saw("plaintext of the test"); where != "" {
		t.Errorf("plaintext reaches the store: %s", where)
	}
}

func TestForwardInterceptsTLS(t *testing.T) {
	f := newForwarded(t, nil)
	for _, host := range []string{"s3.eu-west-1.amazonaws.com", "s3.test"} {
		c := f.connect()
		resp, _ := c.ask("CONNECT", "CONNECT "+host+":443 HTTP/1.1\r\nHost: "+host+":443\r\nProxy-Connection: keep-alive\r\n\r\n")
		if resp.StatusCode != 200 || resp.Header.Get("Content-Length") != "" || resp.Header.Get("Transfer-Encoding") != "" {
			t.Fatalf("%d %v", resp.StatusCode, resp.Header)
		}
		secured := tls.Client(c.Conn, &tls.Config{ServerName: host, RootCAs: f.roots, NextProtos: []string{"h2", "http/1.1"}})
		in := &connection{t, secured, bufio.NewReader(secured)}
		for i := range 3 { // one connection
			key := fmt.Sprintf("/data/key-%d", i)
			if resp, body := in.ask("PUT", f.signed("PUT", "", host, key, "secret bytes", testCredential, "us-east-1")); resp.StatusCode != 200 {
				t.Fatalf("%d %s", resp.StatusCode, body)
			}
			if resp, body := in.ask("GET", f.signed("GET", "", host+":443", key, "", testCredential, "us-east-1")); resp.StatusCode != 200 || body != "secret bytes" {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
		}
		if p := secured.ConnectionState().NegotiatedProtocol; p != "http/1.1" {
			t.Errorf("protocol %q", p)
		}
	}
	if where := f.store.Saw("secret bytes"); where != "" {
		t.Errorf("plaintext reaches the store: %s", where)
	}
}

// Inside a CONNECT only the host of the CONNECT is served, and a host in TLS that is another one ends the handshake.
func TestForwardHoldsNamesAgainstEachOther(t *testing.T) {
	f := newForwarded(t, nil)
	f.must("PUT", "/data/key", []byte("plain"))
	dial := func(name string) (*tls.Conn, error) {
		c := f.connect()
		if resp, _ := c.ask("CONNECT", "CONNECT s3.test:443 HTTP/1.1\r\nHost: s3.test:443\r\n\r\n"); resp.StatusCode != 200 {
			t.Fatal(resp.StatusCode)
		}
		s := tls.Client(c.Conn, &tls.Config{ServerName: name, RootCAs: f.roots, InsecureSkipVerify: name != "s3.test"})
		return s, s.Handshake()
	}
	if _, err := dial("other.test"); err == nil {
		t.Error("a handshake for another host")
	}
	f.eventually("the log says why", func() bool { return strings.Contains(f.log.String(), `TLS asks for \"other.test\"`) })
	for _, head := range []string{
		"GET /data/key HTTP/1.1\r\nHost: data.s3.test\r\n\r\n",
		"GET /data/key HTTP/1.1\r\nHost: s3.test:80\r\n\r\n",
		"GET /data/key HTTP/1.1\r\nHost: s3.test\r\nHost: other.test\r\n\r\n",
		"GET https://other.test/data/key HTTP/1.1\r\nHost: s3.test\r\n\r\n",
		"GET https://s3.test/data/key HTTP/1.1\r\nHost: other.test\r\n\r\n",
		"CONNECT s3.test:443 HTTP/1.1\r\nHost: s3.test:443\r\n\r\n",
	} {
		s, err := dial("s3.test")
		if err != nil {
			t.Fatal(err)
		}
		in := &connection{t, s, bufio.NewReader(s)}
		if resp, body := in.ask("GET", head); resp.StatusCode != 400 || !in.closed() {
			t.Errorf("%.40q: %d %s", head, resp.StatusCode, body)
		}
	}
}

// What the forward port does not do, with the status and a word of the reason that the client and the log get.
func TestForwardRefusals(t *testing.T) {
	f := newForwarded(t, func(_ *Settings, o *forward.Options) { o.Deny = forward.Private })
	own := f.addr
	for request, want := range map[string]string{
		"CONNECT other.test:22 HTTP/1.1\r\nHost: other.test:22\r\n\r\n":                                                                                   "403 port 22 is not allowed",
		"CONNECT s3.test:25 HTTP/1.1\r\nHost: s3.test:25\r\n\r\n":                                                                                         "403 port 25 is not allowed",
		"CONNECT metadata.test:80 HTTP/1.1\r\nHost: metadata.test:80\r\n\r\n":                                                                             "403 reached for nobody",
		"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254:80\r\n\r\n":                                                                         "403 reached for nobody",
		"CONNECT [::ffff:169.254.169.254]:80 HTTP/1.1\r\nHost: [::ffff:169.254.169.254]:80\r\n\r\n":                                                       "403 reached for nobody",
		"CONNECT private.test:443 HTTP/1.1\r\nHost: private.test:443\r\n\r\n":                                                                             "403 denied",
		"CONNECT " + own + " HTTP/1.1\r\nHost: " + own + "\r\n\r\n":                                                                                       "403 s3veil itself",
		"CONNECT " + f.port + " HTTP/1.1\r\nHost: " + f.port + "\r\n\r\n":                                                                                 "403 s3veil itself",
		"CONNECT unknown.test:443 HTTP/1.1\r\nHost: unknown.test:443\r\n\r\n":                                                                             "502 ",
		"CONNECT a.s3-accesspoint.us-east-1.amazonaws.com:443 HTTP/1.1\r\nHost: a.s3-accesspoint.us-east-1.amazonaws.com:443\r\n\r\n":                     "403 cannot encrypt",
		"CONNECT b--x-s3.s3express-use1-az4.us-east-1.amazonaws.com:443 HTTP/1.1\r\nHost: b--x-s3.s3express-use1-az4.us-east-1.amazonaws.com:443\r\n\r\n": "403 cannot encrypt",
		"CONNECT a.s3-object-lambda.us-east-1.amazonaws.com:443 HTTP/1.1\r\nHost: a.s3-object-lambda.us-east-1.amazonaws.com:443\r\n\r\n":                 "403 cannot encrypt",
		"CONNECT 2130706433:443 HTTP/1.1\r\nHost: 2130706433:443\r\n\r\n":                                                                                 "400 not a host",
		"CONNECT 0x7f.1:443 HTTP/1.1\r\nHost: 0x7f.1:443\r\n\r\n":                                                                                         "400 not a host",
		"CONNECT [::1%25lo]:443 HTTP/1.1\r\nHost: [::1%25lo]:443\r\n\r\n":                                                                                 "400 has a zone",
		"CONNECT s\u00b3.test:443 HTTP/1.1\r\nHost: s\u00b3.test:443\r\n\r\n":                                                                             "400 not a host",
		"CONNECT s3.test..:443 HTTP/1.1\r\nHost: s3.test..:443\r\n\r\n":                                                                                   "400 not a host",
		"GET http://0177.0.0.1/ HTTP/1.1\r\nHost: 0177.0.0.1\r\n\r\n":                                                                                     "400 not a host",
		"CONNECT s3.test HTTP/1.1\r\nHost: s3.test\r\n\r\n":                                                                                               "400 lacks a port",
		"CONNECT http://s3.test/ HTTP/1.1\r\nHost: s3.test\r\n\r\n":                                                                                       "400 ",
		"CONNECT user@s3.test:443 HTTP/1.1\r\nHost: s3.test:443\r\n\r\n":                                                                                  "400 not a host",
		"CONNECT s3.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n":                                                                                    "400 but Host",
		"CONNECT s3.test:443 HTTP/1.1\r\nHost: s3.test:443\r\nHost: s3.test:443\r\n\r\n":                                                                  "400 ",
		"CONNECT s3.test:443 HTTP/1.1\r\nHost: s3.test:443\r\nContent-Length: 5\r\n\r\nhello":                                                             "400 with a body",
		"CONNECT s3.test:443 HTTP/1.1\r\nHost: s3.test:443\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":                                                "400 with a body",
		"GET http://user:pw@s3.test/data/key HTTP/1.1\r\nHost: s3.test\r\n\r\n":                                                                           "400 ",
		"GET http://user@other.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n":                                                                                "400 ",
		"GET http://s3.test\\@other.test/ HTTP/1.1\r\nHost: s3.test\r\n\r\n":                                                                              "400 ",
		"GET http://s3.test/data/key HTTP/1.1\r\nHost: other.test\r\n\r\n":                                                                                "400 but Host",
		"GET http://s3.test/data/key HTTP/1.1\r\nHost: s3.test:81\r\n\r\n":                                                                                "400 but Host",
		"GET http://s3.test/data/key HTTP/1.1\r\n\r\n":                                                                                                    "400 ",
		"GET http://s3.test/data/key HTTP/1.1\r\nHost: s3.test\r\nHost: s3.test\r\n\r\n":                                                                  "400 ",
		"GET /data/key HTTP/1.1\r\nHost: s3.test\r\n\r\n":                                                                                                 "400 without the host that it is for",
		"GET ftp://other.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n":                                                                                      "400 ",
		"GET https://other.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n":                                                                                    "400 CONNECT",
		"GET http://other.test:22/ HTTP/1.1\r\nHost: other.test:22\r\n\r\n":                                                                               "403 port 22",
		"GET http://metadata.test/latest HTTP/1.1\r\nHost: metadata.test\r\n\r\n":                                                                         "403 reached for nobody",
		"GET http://" + own + "/ HTTP/1.1\r\nHost: " + own + "\r\n\r\n":                                                                                   "403 s3veil itself",
		"GET http://other.test/ HTTP/1.1\r\nHost: other.test\r\nVia: 1.0 x, 1.1 s3veil\r\n\r\n":                                                           "403 come through s3veil",
		"GET http://a.s3-accesspoint.us-east-1.amazonaws.com/k HTTP/1.1\r\nHost: a.s3-accesspoint.us-east-1.amazonaws.com\r\n\r\n":                        "403 cannot encrypt",
		"GET http://bucket.s3-website.us-east-1.amazonaws.com/k HTTP/1.1\r\nHost: bucket.s3-website.us-east-1.amazonaws.com\r\n\r\n":                      "403 cannot encrypt",
		"POST http://other.test/ HTTP/1.1\r\nHost: other.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":                        "400 ",
		"POST http://other.test/ HTTP/1.1\r\nHost: other.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n":                                       "400 ",
		"GET http://other.test/ HTTP/1.1\r\nHost: other.test\r\nBad Name: x\r\n\r\n":                                                                      "400 ",
	} {
		c := f.connect()
		before := len(f.log.String())
		resp, body := c.ask("X", request)
		status, word, _ := strings.Cut(want, " ")
		if strconv.Itoa(resp.StatusCode) != status || !strings.Contains(body, word) || !c.closed() {
			t.Errorf("%.60q: %d %s", request, resp.StatusCode, body)
		}
		f.eventually("a line in the log", func() bool { return len(f.log.String()) > before })
	}
	if calls := f.store.Calls(); len(calls) > 0 {
		t.Errorf("the store was asked: %+v", calls)
	}
}

func TestForwardIsNoOpenProxy(t *testing.T) {
	f := newForwarded(t, func(_ *Settings, o *forward.Options) {
		o.AllowFrom = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	})
	for _, request := range []string{"CONNECT s3.test:443 HTTP/1.1\r\nHost: s3.test:443\r\n\r\n", "CONNECT other.test:443 HTTP/1.1\r\nHost: other.test:443\r\n\r\n",
		f.plain("GET", "s3.test", "/data/key", ""), "GET http://other.test/ HTTP/1.1\r\nHost: other.test\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"} {
		if resp, body := f.connect().ask("X", request); resp.StatusCode != 403 || !strings.Contains(body, "may not come from 127.0.0.1") {
			t.Errorf("%.40q: %d %s", request, resp.StatusCode, body)
		}
	}
	resp, _ := f.do("CONNECT", "/", nil)
	if resp.StatusCode/100 != 4 {
		t.Errorf("CONNECT on the S3 port: %d", resp.StatusCode)
	}
}

func TestForwardUsers(t *testing.T) {
	f := newForwarded(t, func(_ *Settings, o *forward.Options) {
		var err error
		if o.Users, err = forward.ParseUsers("ann:secret\n"); err != nil {
			t.Fatal(err)
		}
	})
	f.must("PUT", "/data/key", []byte("plain"))
	good := "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("ann:secret")) + "\r\n"
	bad := "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("ann:guess")) + "\r\n"
	addr, heads := f.other()
	for _, first := range []string{"CONNECT s3.test:443 HTTP/1.1\r\nHost: s3.test:443\r\n", "CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\n",
		"GET http://" + addr + "/ HTTP/1.1\r\nHost: " + addr + "\r\n", strings.TrimSuffix(f.plain("GET", "s3.test", "/data/key", ""), "\r\n")} {
		method, _, _ := strings.Cut(first, " ")
		for header, status := range map[string]int{"": 407, bad: 407, good + good: 407, good: 200} {
			resp, body := f.connect().ask(method, first+header+"\r\n")
			if resp.StatusCode != status || (status == 407) != (resp.Header.Get("Proxy-Authenticate") == `Basic realm="s3veil"`) {
				t.Errorf("%.40q %q: %d %v %s", first, header, resp.StatusCode, resp.Header, body)
			}
		}
	}
	if strings.Contains(heads.String(), "Proxy-Authorization") || strings.Contains(f.log.String(), "YW5u") || strings.Contains(f.log.String(), "secret") {
		t.Error("the password goes on")
	}
}

// Plain requests for other hosts arrive as they are, without what ends at a proxy, and the connection serves S3 afterwards.
func TestForwardRelaysPlainRequests(t *testing.T) {
	f := newForwarded(t, nil)
	addr, heads := f.other()
	c := f.connect()
	body := strings.Repeat("x", 300_000)
	for _, request := range []string{
		"GET http://" + addr + "/a//b/../c%2Fd?q=1&q=%20 HTTP/1.1\r\nHost: " + addr + "\r\nX-Mine: 1\r\nConnection: X-Drop, keep-alive\r\nX-Drop: 1\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\n\r\n",
		"POST http://" + addr + "//double HTTP/1.1\r\nHost: " + addr + "\r\nContent-Length: 300000\r\n\r\n" + body,
		"PUT http://" + addr + "/chunked HTTP/1.1\r\nHost: " + addr + "\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"HEAD http://" + addr + " HTTP/1.1\r\nHost: " + addr + "\r\n\r\n",
	} {
		method, _, _ := strings.Cut(request, " ")
		resp, got := c.ask(method, request)
		if resp.StatusCode != 200 || resp.Header.Get("X-Other") != "yes" {
			t.Errorf("%.60q: %d %v", request, resp.StatusCode, resp.Header)
		}
		if method == "POST" && got != body || method == "PUT" && got != "hello" {
			t.Errorf("%s: %d bytes come back", method, len(got))
		}
		if resp.Close { // a body that the host had not read to its end when the answer came
			c = f.connect()
		}
		if resp, got := c.ask("PUT", f.plain("PUT", "s3.test", "/data/key", "plain")); resp.StatusCode != 200 {
			t.Errorf("S3 on the same connection: %d %s", resp.StatusCode, got)
		}
	}
	seen := heads.String()
	for _, want := range []string{"GET /a//b/../c%2Fd?q=1&q=%20 host=" + addr, "//double host=" + addr + " len=300000 body=300000", "PUT /chunked host=" + addr + " len=-1 body=5", "HEAD / ", "X-Mine:[1]", "Via:[1.1 s3veil]"} {
		if !strings.Contains(seen, want) {
			t.Errorf("no %s in\n%s", want, seen)
		}
	}
	for _, hop := range []string{"X-Drop", "Proxy-", "Te:", "User-Agent", "Accept-Encoding"} {
		if strings.Contains(seen, hop) {
			t.Errorf("%s in\n%s", hop, seen)
		}
	}
	if lines := f.audit.all(); len(lines) != 4 {
		t.Errorf("%d audit lines: other hosts are no object accesses", len(lines))
	}
}

// Bytes behind a request that was refused or relayed are never taken for a request to another host.
func TestForwardSmuggling(t *testing.T) {
	f := newForwarded(t, nil)
	addr, heads := f.other()
	hidden := "GET http://" + addr + "/hidden HTTP/1.1\r\nHost: " + addr + "\r\n\r\n"
	for _, request := range []string{
		"POST http://other.test:22/ HTTP/1.1\r\nHost: other.test:22\r\nContent-Length: " + strconv.Itoa(9000+len(hidden)) + "\r\n\r\n" + strings.Repeat("x", 9000),
		"POST http://" + addr + "/ HTTP/1.1\r\nHost: " + addr + "\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST http://" + addr + "/ HTTP/1.1\r\nHost: " + addr + "\r\nContent-Length: 4\r\nContent-Length: 0\r\n\r\n",
		"POST http://" + addr + "/ HTTP/1.1\r\nHost: " + addr + "\r\nTransfer-Encoding: xchunked\r\n\r\n",
		"CONNECT other.test:22 HTTP/1.1\r\nHost: other.test:22\r\n\r\n",
		"CONNECT s3.test:443 HTTP/1.1\r\nHost: s3.test:443\r\nHost: s3.test:443\r\n\r\n",
		"PUT http://s3.test/data/key HTTP/1.1\r\nHost: s3.test\r\nContent-Length: " + strconv.Itoa(len(hidden)) + "\r\n\r\n",
	} {
		c := f.connect()
		resp, _ := c.ask("X", request+hidden)
		if resp.StatusCode/100 != 4 || !c.closed() {
			t.Errorf("%.60q: %d, and the connection goes on", request, resp.StatusCode)
		}
	}
	f.idle()
	if strings.Contains(heads.String(), "hidden") {
		t.Errorf("smuggled:\n%s", heads)
	}
}

func TestForwardTunnels(t *testing.T) {
	f := newForwarded(t, nil)
	addr, _ := f.other()
	c := f.connect()
	if resp, _ := c.ask("CONNECT", "CONNECT "+addr+" HTTP/1.1\r\nHost: "+addr+"\r\n\r\n"); resp.StatusCode != 200 {
		t.Fatal(resp.StatusCode)
	}
	for range 2 {
		if resp, body := c.ask("POST", "POST /x HTTP/1.1\r\nHost: anything\r\nContent-Length: 5\r\n\r\nhello"); resp.StatusCode != 200 || body != "hello" {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
	}
	if n := f.s.connects.Tunnels(); n != 1 {
		t.Errorf("%d tunnels", n)
	}
	c.Close()
	f.eventually("the tunnel ends with its client", func() bool { return f.s.connects.Tunnels() == 0 && f.s.conns.Count() == 0 })

	open := f.connect()
	if resp, _ := open.ask("CONNECT", "CONNECT "+addr+" HTTP/1.1\r\nHost: "+addr+"\r\n\r\n"); resp.StatusCode != 200 {
		t.Fatal(resp.StatusCode)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = f.s.Shutdown(ctx)
	if !open.closed() {
		t.Error("a tunnel outlives the server")
	}
}

// A CONNECT to an S3 host may also carry plain HTTP, and nothing at all.
func TestForwardPlainInsideConnect(t *testing.T) {
	f := newForwarded(t, nil)
	for range 2 {
		c := f.connect()
		if resp, _ := c.ask("CONNECT", "CONNECT s3.test:80 HTTP/1.1\r\nHost: s3.test\r\n\r\n"); resp.StatusCode != 200 {
			t.Fatal(resp.StatusCode)
		}
		for range 2 {
			if resp, body := c.ask("PUT", f.signed("PUT", "", "s3.test", "/data/key", "plain bytes", testCredential, "us-east-1")); resp.StatusCode != 200 {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
		}
		silent := f.connect()
		if resp, _ := silent.ask("CONNECT", "CONNECT s3.test:443 HTTP/1.1\r\nHost: s3.test\r\n\r\n"); resp.StatusCode != 200 {
			t.Fatal(resp.StatusCode)
		}
		silent.Close()
		c.Close()
	}
	f.eventually("no connection is left", func() bool { return f.s.conns.Count() == 0 })
	if strings.Contains(f.log.String(), "interception failed") {
		t.Errorf("a silent client leaves a complaint: %s", f.log)
	}
}

// A request inside a CONNECT is finished when the server stops, an idle connection does not hold it up.
func TestForwardDrains(t *testing.T) {
	f := newForwarded(t, nil)
	open := func() (*tls.Conn, *connection) {
		c := f.connect()
		if resp, _ := c.ask("CONNECT", "CONNECT s3.test:443 HTTP/1.1\r\nHost: s3.test\r\n\r\n"); resp.StatusCode != 200 {
			t.Fatal(resp.StatusCode)
		}
		s := tls.Client(c.Conn, &tls.Config{ServerName: "s3.test", RootCAs: f.roots})
		in := &connection{t, s, bufio.NewReader(s)}
		if resp, body := in.ask("PUT", f.signed("PUT", "", "s3.test", "/data/key", "plain", testCredential, "us-east-1")); resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
		return s, in
	}
	_, idle := open()
	busy, in := open()
	request := f.signed("PUT", "", "s3.test", "/data/late", strings.Repeat("x", 100_000), testCredential, "us-east-1")
	if _, err := io.WriteString(busy, request[:len(request)-10]); err != nil {
		t.Fatal(err)
	}
	f.eventually("the request is under way", func() bool { return f.s.active.Load() == 1 })
	stopped := make(chan error, 1)
	go func() { stopped <- f.s.Shutdown(t.Context()) }()
	if !idle.closed() {
		t.Error("an idle connection stays")
	}
	if resp, body := in.ask("PUT", request[len(request)-10:]); resp.StatusCode != 200 {
		t.Errorf("the request under way: %d %s", resp.StatusCode, body)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// A client that does not trust the certificate authority leaves a line that says so.
func TestForwardClientsWithoutTheCA(t *testing.T) {
	f := newForwarded(t, nil)
	c := f.connect()
	if resp, _ := c.ask("CONNECT", "CONNECT s3.test:443 HTTP/1.1\r\nHost: s3.test:443\r\n\r\n"); resp.StatusCode != 200 {
		t.Fatal(resp.StatusCode)
	}
	var unknown x509.UnknownAuthorityError
	if err := tls.Client(c.Conn, &tls.Config{ServerName: "s3.test", RootCAs: x509.NewCertPool()}).Handshake(); !errors.As(err, &unknown) {
		t.Errorf("%v", err)
	}
	f.eventually("the log says why", func() bool {
		return strings.Contains(f.log.String(), "one does that does not trust the forward proxy")
	})
}

func TestForwardWithoutACertificateAuthority(t *testing.T) {
	f := newForwarded(t, func(_ *Settings, o *forward.Options) { o.CA = nil })
	if resp, body := f.connect().ask("CONNECT", "CONNECT s3.test:443 HTTP/1.1\r\nHost: s3.test:443\r\n\r\n"); resp.StatusCode != 403 || !strings.Contains(body, "ca_file") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp, body := f.connect().ask("PUT", f.plain("PUT", "s3.test", "/data/key", "plain")); resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

// Signatures of unknown keys count where the configuration says so, with the rules of one client; known keys are verified.
func TestForwardUnknownKeys(t *testing.T) {
	for _, from := range []string{"127.0.0.0/8", "192.0.2.0/24"} {
		f := newForwarded(t, func(set *Settings, o *forward.Options) {
			o.AnySignatureFrom, o.Client = []netip.Prefix{netip.MustParsePrefix(from)}, "role"
			set.Clients = append(set.Clients, Client{Credential: sigv4.Credential{AccessKey: "role", Secret: "never used"},
				Policy: policy.Client{AccessKey: "role", Rules: []policy.Rule{{Buckets: []string{"data"}, Actions: []s3op.Class{s3op.Read, s3op.Write}}}}})
		})
		trusted := from == "127.0.0.0/8"
		unknown := sigv4.Credential{AccessKey: "ASIAUNKNOWN", Secret: "of the cloud", SessionToken: "token of the cloud"}
		for name, c := range map[string]struct {
			request string
			status  int
		}{
			"PUT":          {f.signed("PUT", "http://s3.test", "s3.test", "/data/key", "plain", unknown, "eu-west-1"), 200},
			"other bucket": {f.signed("PUT", "http://s3.test", "s3.test", "/elsewhere/key", "plain", unknown, "eu-west-1"), 403},
			"not allowed":  {f.signed("DELETE", "http://s3.test", "s3.test", "/data/key", "", unknown, "eu-west-1"), 403},
			"known key, wrong signature": {f.signed("PUT", "http://s3.test", "s3.test", "/data/key", "plain",
				sigv4.Credential{AccessKey: "app", Secret: "guessed"}, "eu-west-1"), 403},
		} {
			want := c.status
			if !trusted {
				want = 403
			}
			if resp, body := f.connect().ask("X", c.request); resp.StatusCode != want {
				t.Errorf("from %s, %s: %d %s", from, name, resp.StatusCode, body)
			}
		}
		if resp, _ := f.do("GET", "/data/key", nil); trusted && resp.StatusCode != 200 {
			t.Errorf("what was written: %d", resp.StatusCode)
		}
		f.idle()
		claimed := 0
		for _, l := range f.audit.all() {
			if l.ClaimedKey == "ASIAUNKNOWN" && l.Client == "role" {
				claimed++
			}
		}
		if trusted != (claimed == 3) {
			t.Errorf("from %s: %d audit lines name the claimed key", from, claimed)
		}
		if strings.Contains(f.log.String(), "token of the cloud") {
			t.Error("the token is logged")
		}
		req := f.signed("GET", "", f.addr, "/data/key", "", unknown, "us-east-1")
		s3port := f.dial()
		_, _ = io.WriteString(s3port, req)
		if resp, err := http.ReadResponse(bufio.NewReader(s3port), nil); err != nil || resp.StatusCode != 403 {
			t.Errorf("on the S3 port: %v %v", resp, err)
		}
	}
}

// A host that answers before it has read the body gets the rest neither from this client nor from another one.
func TestForwardRelayAnsweredEarly(t *testing.T) {
	f := newForwarded(t, nil)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
					_, _ = io.Copy(io.Discard, c)
				}
			}()
		}
	}()
	addr := ln.Addr().String()
	for _, framing := range []string{"Content-Length: 100000000", "Transfer-Encoding: chunked"} {
		c := f.connect()
		// The client sends only the beginning: whoever waits for the rest hangs.
		resp, body := c.ask("POST", "POST http://"+addr+"/ HTTP/1.1\r\nHost: "+addr+"\r\n"+framing+"\r\n\r\n"+"2000\r\n"+strings.Repeat("x", 8192)+"\r\n")
		if resp.StatusCode != 413 || body != "no" || !c.closed() {
			t.Errorf("%s: %d %q", framing, resp.StatusCode, body)
		}
	}
	f.idle()
}
