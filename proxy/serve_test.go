package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"s3veil/proxy/proxytest"
)

// While readiness fails and balancers have yet to notice, everything is served, on old connections and on new ones, and every
// answer says that its connection ends.
func TestAnswersCloseTheirConnectionsInDrain(t *testing.T) {
	f := newFixture(t, nil)
	f.must("PUT", "/data/key", []byte("plain"))
	old := f.dial()
	before := bufio.NewReader(old)
	f.exchangeOn(old, before, "GET", "/data/key", nil)
	f.s.Drain()
	if f.s.Ready(t.Context()) == nil {
		t.Error("ready in drain")
	}
	for i, ask := range []struct {
		method, target, body, expect string
		status                       int
	}{
		{"GET", "/data/key", "", "", 200}, {"HEAD", "/data/key", "", "", 200}, {"GET", "/data/none", "", "", 404}, {"PUT", "/data/other", "plain", "", 200},
		{"PUT", "/data/.s3veil/m/x", "plain", "100-continue", 403}, {"PUT", "/data/other", "plain", "100-continue", 200},
		{"GET", "/data?list-type=2", "", "", 200}, {"GET", "/data?unknown", "", "", 501},
	} {
		c, br := f.dial(), (*bufio.Reader)(nil)
		if br = bufio.NewReader(c); i == 0 {
			c, br = old, before
		}
		header := []string{"content-length", itoa(int64(len(ask.body)))}
		if ask.expect != "" {
			header = append(header, "expect", ask.expect)
		}
		if _, err := io.WriteString(c, f.head(ask.method, ask.target, unsigned, header...)+ask.body); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(br, &http.Request{Method: ask.method})
		for err == nil && resp.StatusCode == http.StatusContinue {
			resp, err = http.ReadResponse(br, &http.Request{Method: ask.method})
		}
		if err != nil {
			t.Fatalf("%+v: %v", ask, err)
		}
		if resp.StatusCode != ask.status || !resp.Close {
			t.Errorf("%+v: %d, closes %v", ask, resp.StatusCode, resp.Close)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		if b, err := br.ReadByte(); err != io.EOF {
			t.Errorf("%+v: %q, %v behind the answer, want the end", ask, b, err)
		}
	}
	f.idle()
}

// A request that has arrived when s3veil stops is served, whether its connection rested or was about to.
func TestShutdownServesRequestsThatHaveArrived(t *testing.T) {
	for name, rest := range map[string]time.Duration{"at rest": time.Millisecond, "not at rest yet": 100 * time.Millisecond} {
		for _, secure := range []bool{false, true} {
			f := newFixture(t, func(_ *Settings, o *Options) { o.restAfter = rest })
			f.must("PUT", "/data/key", []byte("plain"))
			conns := f.open(20, secure)
			if rest == time.Millisecond {
				eventually(t, "all rest", func() bool { return f.s.conns.Resting() >= len(conns) })
			}
			head := f.head("GET", "/data/key", unsigned)
			for _, c := range conns[1:] {
				if _, err := io.WriteString(c.Conn, head); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := f.s.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			if b, err := conns[0].br.ReadByte(); err != io.EOF {
				t.Errorf("%s, TLS %v: %q, %v on a connection without a request, want the end", name, secure, b, err)
			}
			for i, c := range conns[1:] {
				resp, err := http.ReadResponse(c.br, nil)
				if err != nil {
					t.Fatalf("%s, TLS %v, connection %d: %v", name, secure, i, err)
				}
				if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, []byte("plain")) {
					t.Errorf("%s, TLS %v: %q, %v", name, secure, got, err)
				}
			}
		}
	}
}

// openConn is a connection that has had an answer.
type openConn struct {
	net.Conn
	br *bufio.Reader
}

func (f *fixture) open(n int, secure bool) (out []openConn) {
	f.t.Helper()
	addr := f.addr
	if secure {
		addr = f.serveTLS()
	}
	for range n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			f.t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(time.Minute)) // what is never closed ends in an error
		if secure {
			c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
		}
		f.t.Cleanup(func() { c.Close() })
		out = append(out, openConn{c, bufio.NewReader(c)})
		f.exchangeOn(c, out[len(out)-1].br, "GET", "/data/key", nil)
	}
	return out
}

// eventually waits for a condition that only other goroutines can bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func restsAtOnce(_ *Settings, o *Options) { o.restAfter = time.Millisecond }

// serveTLS adds a TLS listener to the fixture and returns its address.
func (f *fixture) serveTLS() string {
	f.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	go func() { _ = f.s.ServeTLS(ln, proxytest.TLS(f.t)) }()
	return ln.Addr().String()
}

// exchangeOn sends a request over an open connection and reads the whole answer.
func (f *fixture) exchangeOn(c net.Conn, br *bufio.Reader, method, target string, body []byte) (int, []byte) {
	f.t.Helper()
	head := f.head(method, target, unsigned, "content-length", itoa(int64(len(body))))
	if _, err := io.WriteString(c, head+string(body)); err != nil {
		f.t.Fatal(err)
	}
	resp, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return resp.StatusCode, got
}

func TestConnectionRestsBetweenRequestsAndComesBack(t *testing.T) {
	f := newFixture(t, restsAtOnce)
	for name, dial := range map[string]func() (net.Conn, error){
		"plain": func() (net.Conn, error) { return net.Dial("tcp", f.addr) },
		"TLS":   func() (net.Conn, error) { return tls.Dial("tcp", f.serveTLS(), &tls.Config{InsecureSkipVerify: true}) },
	} {
		c, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		br := bufio.NewReader(c)
		for i := range 5 {
			body := bytes.Repeat([]byte{byte('a' + i)}, 3000<<i)
			if status, got := f.exchangeOn(c, br, "PUT", "/data/key", body); status != 200 {
				t.Fatalf("%s: PUT after %d rests: %d %s", name, 2*i, status, got)
			}
			eventually(t, name+": rests after PUT", func() bool { return f.s.conns.Resting() == 1 })
			if status, got := f.exchangeOn(c, br, "GET", "/data/key", nil); status != 200 || !bytes.Equal(got, body) {
				t.Fatalf("%s: GET after %d rests: %d, %d bytes", name, 2*i+1, status, len(got))
			}
			eventually(t, name+": rests after GET", func() bool { return f.s.conns.Resting() == 1 })
		}
		if n := f.s.conns.Count(); n != 1 {
			t.Errorf("%s: %d connections counted, want 1", name, n)
		}
		lines := len(f.audit.all())
		c.Close()
		eventually(t, name+": forgets a client that has gone", func() bool { return f.s.conns.Resting() == 0 && f.s.conns.Count() == 0 })
		if got := f.audit.all(); len(got) != lines {
			t.Errorf("%s: a client that goes away while it rests leaves an audit line: %+v", name, got[lines:])
		}
	}
}

// Connections at rest count for the limit, and who is turned away learns why.
func TestConnectionsBeyondTheLimitAreTurnedAway(t *testing.T) {
	f := newFixture(t, func(_ *Settings, o *Options) { o.restAfter, o.Limits.Connections = time.Millisecond, 2 })
	for range 2 {
		c := f.dial()
		f.exchangeOn(c, bufio.NewReader(c), "PUT", "/data/key", []byte("plain"))
	}
	eventually(t, "both rest", func() bool { return f.s.conns.Resting() == 2 })
	third := f.dial()
	got, err := io.ReadAll(third)
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 503 ") || !strings.Contains(string(got), "<Code>SlowDown</Code>") {
		t.Errorf("%q, %v", got, err)
	}
	eventually(t, "two connections are counted", func() bool { return f.s.conns.Count() == 2 })
}
