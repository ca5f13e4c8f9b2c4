package conn

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"s3veil/proxy/proxytest"
)

// served is a set in front of an engine that answers with the path that it is asked for.
type served struct {
	t      *testing.T
	set    *Set
	engine *fasthttp.Server
	plain  string // addresses
	tls    string
}

const refusal = "too many\r\n"

func serve(t *testing.T, o Options, idle time.Duration) *served {
	t.Helper()
	s := &served{t: t}
	s.engine = &fasthttp.Server{
		Handler:     func(ctx *fasthttp.RequestCtx) { _, _ = ctx.Write(ctx.Path()) },
		ReadTimeout: time.Minute,
		IdleTimeout: idle,
		ConnState: func(c net.Conn, state fasthttp.ConnState) {
			if state == fasthttp.StateIdle || state == fasthttp.StateActive {
				Between(c, state == fasthttp.StateIdle)
			}
		},
	}
	if o.Max == 0 {
		o.Max = 100
	}
	o.Stall, o.Serve, o.Refuse = time.Minute, s.engine.ServeConn, func() []byte { return []byte(refusal) }
	s.set = New(o)
	s.plain, s.tls = s.listen(nil), s.listen(proxytest.TLS(t))
	return s
}

func (s *served) listen(config *tls.Config) string {
	s.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.engine.Serve(s.set.Listener(ln, config, false)) }()
	s.t.Cleanup(func() {
		ln.Close()
		<-ended
	})
	return ln.Addr().String()
}

// client is one of them, with what it has received and not read.
type client struct {
	net.Conn
	t  *testing.T
	br *bufio.Reader
}

func (s *served) dial(secure bool) *client {
	s.t.Helper()
	addr := s.plain
	if secure {
		addr = s.tls
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(20 * time.Second)) // what is never closed ends in an error
	if secure {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	s.t.Cleanup(func() { c.Close() })
	return &client{c, s.t, bufio.NewReader(c)}
}

func head(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: test\r\n\r\n" }

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads the answer to a request for path.
func (c *client) expect(path string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != path {
		c.t.Errorf("%q, %v, want %q", got, err, path)
	}
}

func (c *client) ask(path string) {
	c.t.Helper()
	c.send(head(path))
	c.expect(path)
}

// ended demands the end of the connection.
func (c *client) ended() {
	c.t.Helper()
	if b, err := c.br.ReadByte(); err != io.EOF {
		c.t.Errorf("%q, %v, want the end", b, err)
	}
}

// eventually waits for a condition that only other goroutines can bring about.
func (s *served) eventually(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("never: %s", what)
		}
	}
}

// rest waits until n connections rest.
func (s *served) rest(n int) {
	s.t.Helper()
	s.eventually("all rest", func() bool { return s.set.Resting() == n })
}

func (s *served) none() {
	s.t.Helper()
	s.eventually("nothing counted", func() bool { return s.set.Resting() == 0 && s.set.Count() == 0 })
}

var atOnce = Options{Rest: time.Millisecond}

func TestConnectionRestsBetweenRequestsAndComesBack(t *testing.T) {
	s := serve(t, atOnce, time.Minute)
	for _, secure := range []bool{false, true} {
		c := s.dial(secure)
		for _, path := range []string{"/a", "/b", "/c"} {
			c.ask(path)
			s.rest(1)
		}
		if n := s.set.Count(); n != 1 {
			t.Errorf("TLS %v: %d connections counted, want 1", secure, n)
		}
		c.Close()
		s.none()
	}
}

// A head that comes in pieces, with pauses longer than it takes to rest, is one request.
func TestHeadInPiecesAfterARest(t *testing.T) {
	s := serve(t, atOnce, time.Minute)
	c := s.dial(false)
	c.ask("/first")
	for range 3 {
		s.rest(1)
		for text := head("/pieces"); len(text) > 0; {
			n := min(len(text), 10)
			c.send(text[:n])
			text = text[n:]
			time.Sleep(3 * time.Millisecond)
		}
		c.expect("/pieces")
	}
}

func TestRestingConnectionEndsAtTheIdleLimit(t *testing.T) {
	s := serve(t, atOnce, 50*time.Millisecond)
	c := s.dial(false)
	c.ask("/a")
	c.ended()
	s.none()
}

// A connection that has not gone to rest when the end comes is treated as if it had.
func TestEndClosesQuietConnectionsAndServesRequestsThatHaveArrived(t *testing.T) {
	for name, rest := range map[string]time.Duration{"at rest": time.Millisecond, "not at rest yet": 100 * time.Millisecond} {
		for _, secure := range []bool{false, true} {
			s := serve(t, Options{Rest: rest}, time.Minute)
			var clients []*client
			for range 10 {
				c := s.dial(secure)
				c.ask("/before")
				clients = append(clients, c)
			}
			if rest == time.Millisecond {
				s.rest(len(clients))
			}
			for _, c := range clients[1:] {
				c.send(head("/last"))
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			s.set.End(ctx)
			if err := errors.Join(s.engine.ShutdownWithContext(ctx), s.set.Await(ctx)); err != nil {
				t.Errorf("%s, TLS %v: %v", name, secure, err)
			}
			clients[0].ended()
			for _, c := range clients[1:] {
				c.expect("/last")
			}
			s.none()
		}
	}
}

// Connections at rest count for the limit.
func TestConnectionsBeyondTheLimitAreTurnedAway(t *testing.T) {
	s := serve(t, Options{Rest: time.Millisecond, Max: 2}, time.Minute)
	for range 2 {
		s.dial(false).ask("/a")
	}
	s.rest(2)
	if got, err := io.ReadAll(s.dial(false)); err != nil || string(got) != refusal {
		t.Errorf("%q, %v, want the refusal", got, err)
	}
	var plain tls.RecordHeaderError
	if err := s.dial(true).Conn.(*tls.Conn).Handshake(); err == nil || errors.As(err, &plain) {
		t.Errorf("TLS beyond the limit: %v, want an end without an answer", err)
	}
	s.eventually("two connections are counted", func() bool { return s.set.Count() == 2 })
}

func TestUnusedConnectionIsSilent(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	c := &clientConn{counted: &Conn{Conn: here, set: New(Options{})}}
	c.Conn = c.counted
	if !Silent(c) || Silent(here) {
		t.Errorf("before the first byte: %v; a connection of others: %v", Silent(c), Silent(here))
	}
	go there.Write([]byte("x"))
	if _, err := c.Read(make([]byte, 1)); err != nil || Silent(c) {
		t.Errorf("after the first byte: %v, %v", Silent(c), err)
	}
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
	c := &Conn{Conn: below, set: New(Options{})}
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
