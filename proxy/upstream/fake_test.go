package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// store is a raw TCP server: each connection is handed to serve, numbered from 0.
type store struct {
	net.Listener
	conns atomic.Int64
	mu    sync.Mutex
	open  map[net.Conn]bool
	wg    sync.WaitGroup
}

func newStore(t *testing.T, serve func(n int, c net.Conn, br *bufio.Reader)) *store {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &store{Listener: l, open: map[net.Conn]bool{}}
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n := int(s.conns.Add(1) - 1)
			s.mu.Lock()
			s.open[c] = true
			s.mu.Unlock()
			s.wg.Go(func() {
				defer func() { _ = c.Close() }()
				serve(n, c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.mu.Lock()
		for c := range s.open {
			_ = c.Close()
		}
		s.mu.Unlock()
		s.wg.Wait()
	})
	return s
}

func (s *store) url() string { return "http://" + s.Addr().String() }

// readRequest reads the head of a request; its body is the caller's to read.
func readRequest(br *bufio.Reader) (*http.Request, error) { return http.ReadRequest(br) }

// answering serves every request on every connection whole, by answer.
func answering(t *testing.T, answer func(r *http.Request, body []byte) string) *store {
	return newStore(t, func(_ int, c net.Conn, br *bufio.Reader) {
		for {
			r, err := readRequest(br)
			if err != nil {
				return
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return
			}
			if _, err := io.WriteString(c, answer(r, body)); err != nil {
				return
			}
		}
	})
}

func reply(status int, body string, header ...string) string {
	h := strings.Join(header, "\r\n")
	if h != "" {
		h += "\r\n"
	}
	return fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Length: %d\r\n%s\r\n%s", status, http.StatusText(status), len(body), h, body)
}

// newClient returns a client that sends unsigned requests, and checks at the end of the test that it holds nothing.
func newClient(t *testing.T, endpoint string, set ...func(*Options)) *Client {
	t.Helper()
	o := Options{Endpoint: endpoint, PathStyle: true, IdleTimeout: 200 * time.Millisecond, MaxConns: 8}
	for _, f := range set {
		f(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { holdsNothing(t, c) })
	return c
}

// holdsNothing checks that all slots are free, all connections closed and all goroutines gone.
func holdsNothing(t *testing.T, c *Client) {
	t.Helper()
	c.Close()
	eventually(t, func() error {
		c.Close()
		if used, idle := c.Conns(); used != 0 || idle != 0 {
			return fmt.Errorf("in use %d, idle %d", used, idle)
		}
		if !c.slots.TryAcquire(int64(c.o.MaxConns)) {
			return errors.New("slots are still taken")
		}
		c.slots.Release(int64(c.o.MaxConns))
		for _, h := range c.hosts {
			if n := h.ConnsCount(); n != 0 {
				return fmt.Errorf("pool counts %d connections", n)
			}
		}
		return nil
	})
	eventually(t, func() error {
		buf := make([]byte, 1<<20)
		for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if strings.Contains(g, "upstream.(*Client)") && !strings.Contains(g, "testing.tRunner") {
				return fmt.Errorf("goroutine is left:\n%s", g)
			}
		}
		return nil
	})
}

func eventually(t *testing.T, check func() error) {
	t.Helper()
	var err error
	for range 500 {
		if err = check(); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal(err)
}

// stream is a body that is written in pieces and cannot be replayed.
type stream struct {
	n      int64
	piece  int
	again  bool
	failAt int64 // bytes after which err is returned; with err set
	err    error
	asked  atomic.Int64
}

func (s *stream) Len() int64   { return s.n }
func (s *stream) Replay() bool { return s.again }

func (s *stream) WriteTo(w io.Writer) (int64, error) {
	s.asked.Add(1)
	buf := make([]byte, s.piece)
	for i := range buf {
		buf[i] = byte(i)
	}
	var n int64
	limit := s.n
	if s.err != nil {
		limit = s.failAt
	}
	for n < limit {
		m, err := w.Write(buf[:min(int64(s.piece), limit-n)])
		n += int64(m)
		if err != nil {
			return n, fmt.Errorf("body: %w", err)
		}
	}
	return n, s.err
}

func put(b Body) *Request {
	return &Request{Op: "PutObject", Method: http.MethodPut, Bucket: "b", Key: "k", Body: b}
}

func get() *Request {
	return &Request{Op: "GetObject", Method: http.MethodGet, Bucket: "b", Key: "k", Idempotent: true}
}

// do sends r and returns the status and the whole body.
func do(t *testing.T, c *Client, r *Request) (int, string, error) {
	t.Helper()
	resp, err := c.Do(t.Context(), r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp.Status, string(body), err
}

func deadline(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
