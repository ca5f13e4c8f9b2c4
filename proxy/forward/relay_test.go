package forward

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"s3veil/sigv4"
)

// What ends at a proxy does not reach the other host, and what does carries the proxy's trace.
func TestRelayedHeaders(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	seen := make(chan *http.Request, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			t.Error(err)
		}
		seen <- r
		_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\nKeep-Alive: timeout=5\r\nX-Kept: yes\r\nX-Dropped: no\r\nConnection: x-dropped\r\n\r\n")
	}()
	at := netip.MustParseAddrPort(ln.Addr().String())
	f := newTest(t, Options{Tunnel: true})
	resp, err := f.Relay(Target{at.Addr().String(), at.Port()}, near, &Request{Method: "GET", Path: "/a%2Fb", Query: "x=%7E", Host: ln.Addr().String(),
		Header: []sigv4.Field{{Name: "host", Value: "other.example"}, {Name: "connection", Value: "close, X-Hop"}, {Name: "x-hop", Value: "1"}, {Name: "te", Value: "trailers"},
			{Name: "upgrade", Value: "h2c"}, {Name: "proxy-connection", Value: "keep-alive"}, {Name: "proxy-authorization", Value: "Basic c2VjcmV0"},
			{Name: "via", Value: "1.1 front"}, {Name: "authorization", Value: "Bearer x"}, {Name: "x-two", Value: "a"}, {Name: "x-two", Value: "b"}}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	r := <-seen
	for _, name := range []string{"X-Hop", "Te", "Upgrade", "Proxy-Connection", "Proxy-Authorization", "User-Agent", "Accept-Encoding"} {
		if v := r.Header.Values(name); v != nil {
			t.Errorf("%s: %q reached the other host", name, v)
		}
	}
	if r.Host != ln.Addr().String() || r.RequestURI != "/a%2Fb?x=%7E" || r.Header.Get("Authorization") != "Bearer x" || len(r.Header["X-Two"]) != 2 {
		t.Errorf("%s %s %v", r.Host, r.RequestURI, r.Header)
	}
	if via := strings.Join(r.Header.Values("Via"), ", "); via != "1.1 front, 1.1 s3veil" {
		t.Errorf("Via %q", via)
	}
	back := AnswerHeaders(resp.Header)
	if len(back) != 1 || back[0] != (sigv4.Field{Name: "X-Kept", Value: "yes"}) {
		t.Errorf("the answer's headers: %v", back)
	}
}

func TestLoopsAreSeen(t *testing.T) {
	for value, want := range map[string]bool{"": false, "1.1 front": false, "1.1 s3veil": true, "1.1 front, 1.1 s3veil (x)": true, "1.1 s3veil-front": false, "s3veil": false} {
		if got := Loops([]sigv4.Field{{Name: "host", Value: "1.1 s3veil"}, {Name: "via", Value: value}}); got != want {
			t.Errorf("%q: %t", value, got)
		}
	}
}

// A host that resolves to a forbidden place is not asked.
func TestRelayRefuses(t *testing.T) {
	f := newTest(t, Options{Tunnel: true})
	for _, host := range []string{"169.254.169.254", "127.0.0.1"} {
		if _, err := f.Relay(Target{host, 80}, far, &Request{Method: "GET", Path: "/", Host: host}); !isRefusal(err) {
			t.Errorf("%s: %v", host, err)
		}
	}
}
