package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
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
				eventually(t, "all rest", func() bool { return f.s.idle.count() >= len(conns) })
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
