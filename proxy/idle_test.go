package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// eventually waits for a condition that only other goroutines can bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func (r *resting) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.conns)
}

func restsAtOnce(_ *Settings, o *Options) { o.restAfter = time.Millisecond }

// selfSigned is a TLS configuration for a server on loopback.
func selfSigned(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// serveTLS adds a TLS listener to the fixture and returns its address.
func (f *fixture) serveTLS() string {
	f.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	go func() { _ = f.s.ServeTLS(ln, selfSigned(f.t)) }()
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
			eventually(t, name+": rests after PUT", func() bool { return f.s.idle.count() == 1 })
			if status, got := f.exchangeOn(c, br, "GET", "/data/key", nil); status != 200 || !bytes.Equal(got, body) {
				t.Fatalf("%s: GET after %d rests: %d, %d bytes", name, 2*i+1, status, len(got))
			}
			eventually(t, name+": rests after GET", func() bool { return f.s.idle.count() == 1 })
		}
		if n := f.s.conns.Load(); n != 1 {
			t.Errorf("%s: %d connections counted, want 1", name, n)
		}
		lines := len(f.audit.all())
		c.Close()
		eventually(t, name+": forgets a client that has gone", func() bool { return f.s.idle.count() == 0 && f.s.conns.Load() == 0 })
		if got := f.audit.all(); len(got) != lines {
			t.Errorf("%s: a client that goes away while it rests leaves an audit line: %+v", name, got[lines:])
		}
	}
}

// A head that comes in pieces, with pauses longer than it takes to rest, is one request.
func TestHeadInPiecesAfterARest(t *testing.T) {
	f := newFixture(t, restsAtOnce)
	c := f.dial()
	br := bufio.NewReader(c)
	f.exchangeOn(c, br, "PUT", "/data/key", []byte("plain"))
	for range 3 {
		eventually(t, "rests", func() bool { return f.s.idle.count() == 1 })
		head := f.head("GET", "/data/key", unsigned)
		for len(head) > 0 {
			n := min(len(head), 50)
			if _, err := io.WriteString(c, head[:n]); err != nil {
				t.Fatal(err)
			}
			head = head[n:]
			time.Sleep(3 * time.Millisecond)
		}
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(resp.Body); err != nil || string(got) != "plain" {
			t.Errorf("%q, %v", got, err)
		}
	}
}

func TestRestingConnectionEndsAtTheIdleLimit(t *testing.T) {
	f := newFixture(t, func(_ *Settings, o *Options) {
		o.restAfter, o.Limits.IdleTimeout = time.Millisecond, 50*time.Millisecond
	})
	c := f.dial()
	br := bufio.NewReader(c)
	f.exchangeOn(c, br, "PUT", "/data/key", []byte("plain"))
	if b, err := br.ReadByte(); err != io.EOF {
		t.Errorf("%q, %v, want the end", b, err)
	}
	eventually(t, "nothing counted", func() bool { return f.s.idle.count() == 0 && f.s.conns.Load() == 0 })
}

func TestShutdownClosesRestingConnections(t *testing.T) {
	f := newFixture(t, restsAtOnce)
	var readers []*bufio.Reader
	for range 3 {
		c := f.dial()
		readers = append(readers, bufio.NewReader(c))
		f.exchangeOn(c, readers[len(readers)-1], "PUT", "/data/key", []byte("plain"))
	}
	eventually(t, "all rest", func() bool { return f.s.idle.count() == 3 })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := f.s.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	for _, br := range readers {
		if _, err := br.ReadByte(); err != io.EOF {
			t.Errorf("a resting connection outlives the shutdown: %v", err)
		}
	}
	eventually(t, "nobody rests", func() bool { return f.s.idle.count() == 0 && f.s.conns.Load() == 0 })
}

// Connections at rest count for the limit, and who is turned away learns why.
func TestConnectionsBeyondTheLimitAreTurnedAway(t *testing.T) {
	f := newFixture(t, func(_ *Settings, o *Options) { o.restAfter, o.Limits.Connections = time.Millisecond, 2 })
	for range 2 {
		c := f.dial()
		f.exchangeOn(c, bufio.NewReader(c), "PUT", "/data/key", []byte("plain"))
	}
	eventually(t, "both rest", func() bool { return f.s.idle.count() == 2 })
	third := f.dial()
	got, err := io.ReadAll(third)
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 503 ") || !strings.Contains(string(got), "<Code>SlowDown</Code>") {
		t.Errorf("%q, %v", got, err)
	}
	eventually(t, "two connections are counted", func() bool { return f.s.conns.Load() == 2 })
}

// deadlineConn counts how often the runtime is given a read deadline.
type deadlineConn struct {
	net.Conn
	set atomic.Int64
}

func (c *deadlineConn) SetReadDeadline(t time.Time) error {
	c.set.Add(1)
	return c.Conn.SetReadDeadline(t)
}

func TestReadDeadlineIsTheOneAskedForLast(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	below := &deadlineConn{Conn: here}
	c := &countedConn{Conn: below, s: &Server{}}
	defer c.Close()
	now := time.Now()
	for i, ask := range []struct {
		in   time.Duration
		sets int64 // in all
	}{{time.Hour, 1}, {2 * time.Hour, 1}, {time.Minute, 2}, {time.Hour, 2}, {20 * time.Millisecond, 3}, {100 * time.Millisecond, 3}} {
		if err := c.SetReadDeadline(now.Add(ask.in)); err != nil || below.set.Load() != ask.sets {
			t.Errorf("%d: %d timers, want %d, %v", i, below.set.Load(), ask.sets, err)
		}
	}
	// The runtime knows 20 ms, asked for were 100.
	n, err := c.Read(make([]byte, 1))
	var timeout net.Error
	if n != 0 || err == nil || time.Since(now) < 100*time.Millisecond {
		t.Errorf("%d, %v after %v", n, err, time.Since(now))
	} else if timeout, _ = err.(net.Error); timeout == nil || !timeout.Timeout() {
		t.Errorf("%v is no time-out", err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Error(err)
	}
	go there.Write([]byte("x"))
	if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("without a deadline: %d, %v", n, err)
	}
}
