package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestTriesPerRequest counts attempts at a store that closes every connection without an answer (DATAPATH.md rule 17).
func TestTriesPerRequest(t *testing.T) {
	for name, tc := range map[string]struct {
		r    Request
		want int64
	}{
		"GET":                                {Request{Method: "GET", Idempotent: true}, 3},
		"HEAD":                               {Request{Method: "HEAD", Idempotent: true}, 3},
		"DELETE":                             {Request{Method: "DELETE", Idempotent: true}, 3},
		"PUT from memory":                    {Request{Method: "PUT", Body: Bytes("x"), Idempotent: true}, 3},
		"PUT, large, replayable":             {Request{Method: "PUT", Body: &stream{n: 1 << 20, piece: 1 << 16, again: true}, Idempotent: true}, 3},
		"PUT, streamed":                      {Request{Method: "PUT", Body: &stream{n: 1 << 20, piece: 1 << 16}, Idempotent: true}, 1},
		"PUT with If-None-Match":             {Request{Method: "PUT", Body: Bytes("x")}, 1},
		"POST":                               {Request{Method: "POST", Query: []Param{{Name: "uploads", Bare: true}}}, 1},
		"PUT, small and streamed, in memory": {Request{Method: "PUT", Body: &stream{n: 100, piece: 10}, Idempotent: true}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, func(_ int, _ net.Conn, br *bufio.Reader) { _, _ = readRequest(br) })
			retries := 0
			c := newClient(t, s.url(), func(o *Options) {
				o.Payload = InsecureUnsigned
				o.Observe = func(e Event) {
					if e.Kind == "retry" {
						retries++
					}
				}
			})
			r := tc.r
			r.Bucket, r.Key = "b", "k"
			if _, err := c.Do(t.Context(), &r); !errors.Is(err, ErrUnavailable) {
				t.Errorf("got %v", err)
			}
			if n := s.conns.Load(); n != tc.want || retries != int(tc.want)-1 {
				t.Errorf("%d attempts and %d retries, want %d attempts", n, retries, tc.want)
			}
		})
	}
}

func TestPassingFailuresAreTriedAgain(t *testing.T) {
	for _, status := range []int{500, 502, 503, 504} {
		var n atomic.Int64
		s := answering(t, func(*http.Request, []byte) string {
			if n.Add(1) < 3 {
				return reply(status, "<Error><Code>SlowDown</Code></Error>")
			}
			return reply(200, "ok")
		})
		c := newClient(t, s.url())
		if got, body, err := do(t, c, get()); got != 200 || body != "ok" || err != nil {
			t.Errorf("%d: got %d %q, %v", status, got, body, err)
		}
	}
}

func TestFailuresThatStayAreAnswers(t *testing.T) {
	var n atomic.Int64
	s := answering(t, func(*http.Request, []byte) string {
		n.Add(1)
		return reply(503, "<Error><Code>SlowDown</Code></Error>")
	})
	c := newClient(t, s.url())
	got, body, err := do(t, c, get())
	if got != 503 || body != "<Error><Code>SlowDown</Code></Error>" || err != nil || n.Load() != 3 {
		t.Errorf("got %d %q, %v after %d tries", got, body, err, n.Load())
	}
	n.Store(0)
	r := get()
	r.Idempotent = false
	if got, _, err := do(t, c, r); got != 503 || err != nil || n.Load() != 1 {
		t.Errorf("not idempotent: got %d, %v after %d tries", got, err, n.Load())
	}
}

// TestStaleConnectionIsNoticed: the store has closed an idle connection; no request of any kind may fail for that.
func TestStaleConnectionIsNoticed(t *testing.T) {
	for name, r := range map[string]*Request{
		"GET":           get(),
		"POST":          {Method: "POST", Bucket: "b", Key: "k"},
		"DELETE":        {Method: "DELETE", Bucket: "b", Key: "k"},
		"PUT, streamed": put(&stream{n: 1 << 20, piece: 1 << 16}),
	} {
		t.Run(name, func(t *testing.T) {
			shut := make(chan struct{})
			s := newStore(t, func(n int, c net.Conn, br *bufio.Reader) {
				r, err := readRequest(br)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(c, reply(200, "ok"))
				if n == 0 {
					_ = c.Close()
					close(shut)
				}
			})
			c := newClient(t, s.url(), func(o *Options) { o.IdleTimeout = time.Minute; o.Payload = InsecureUnsigned })
			if _, _, err := do(t, c, get()); err != nil {
				t.Fatal(err)
			}
			<-shut
			if status, _, err := do(t, c, r); status != 200 || err != nil {
				t.Errorf("got %d, %v", status, err)
			}
		})
	}
}

func TestRefusedConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	c := newClient(t, "http://"+l.Addr().String())
	if _, err := c.Do(t.Context(), get()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if err := c.Health(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("health: %v", err)
	}
}

func TestForbiddenAddress(t *testing.T) {
	s := answering(t, func(*http.Request, []byte) string { return reply(200, "x") })
	c := newClient(t, s.url(), func(o *Options) {
		o.Control = func(_, address string, _ syscall.RawConn) error {
			if strings.HasPrefix(address, "127.") {
				return io.ErrNoProgress
			}
			return nil
		}
	})
	if _, err := c.Do(t.Context(), get()); !errors.Is(err, ErrUnavailable) || !errors.Is(err, io.ErrNoProgress) || s.conns.Load() != 0 {
		t.Errorf("got %v", err)
	}
}

func TestHealth(t *testing.T) {
	for status, healthy := range map[int]bool{200: true, 403: true, 404: true, 500: false, 503: false} {
		s := answering(t, func(r *http.Request, _ []byte) string {
			return "HTTP/1.1 " + strconv.Itoa(status) + " x\r\nContent-Length: 0\r\n\r\n"
		})
		c := newClient(t, s.url())
		if err := c.Health(t.Context()); (err == nil) != healthy {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// TestTimeouts: each phase has its own limit, and a body that moves has none.
func TestTimeouts(t *testing.T) {
	const short = 50 * time.Millisecond
	t.Run("answer", func(t *testing.T) {
		s := newStore(t, func(_ int, _ net.Conn, br *bufio.Reader) {
			_, _ = readRequest(br)
			_, _ = br.ReadByte()
		})
		c := newClient(t, s.url())
		r := get()
		r.Timeout = short
		if _, err := c.Do(t.Context(), r); !errors.Is(err, ErrUnavailable) || s.conns.Load() != 1 {
			t.Errorf("got %v after %d connections", err, s.conns.Load())
		}
	})
	t.Run("context", func(t *testing.T) {
		s := newStore(t, func(_ int, _ net.Conn, br *bufio.Reader) {
			_, _ = readRequest(br)
			_, _ = br.ReadByte()
		})
		c := newClient(t, s.url())
		_, err := c.Do(deadline(t, short), get())
		if !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("upload stalls", func(t *testing.T) {
		over := make(chan struct{})
		s := newStore(t, func(_ int, _ net.Conn, br *bufio.Reader) {
			_, _ = readRequest(br)
			<-over
		})
		t.Cleanup(func() { close(over) })
		c := newClient(t, s.url(), func(o *Options) { o.Stall = short; o.Payload = InsecureUnsigned })
		_, err := c.Do(t.Context(), put(&stream{n: 64 << 20, piece: 1 << 20}))
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("download stalls", func(t *testing.T) {
		s := newStore(t, func(_ int, c net.Conn, br *bufio.Reader) {
			_, _ = readRequest(br)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")
			_, _ = br.ReadByte()
		})
		c := newClient(t, s.url(), func(o *Options) { o.Stall = short })
		if _, body, err := do(t, c, get()); !errors.Is(err, ErrUnavailable) || body != "x" {
			t.Errorf("got %q, %v", body, err)
		}
	})
	t.Run("steady bodies outlive them", func(t *testing.T) {
		const steps = 8
		s := newStore(t, func(_ int, c net.Conn, br *bufio.Reader) {
			r, err := readRequest(br)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				t.Error(err)
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
			for range steps {
				time.Sleep(short)
				_, _ = io.WriteString(c, "x")
			}
		})
		c := newClient(t, s.url(), func(o *Options) { o.Stall, o.Answer = 4*short, 4*short; o.Payload = InsecureUnsigned })
		status, body, err := do(t, c, put(&slow{stream{n: steps << 15, piece: 1 << 15}, short}))
		if status != 200 || body != "xxxxxxxx" || err != nil {
			t.Errorf("got %d %q, %v", status, body, err)
		}
	})
}

// slow pauses before each of its pieces.
type slow struct {
	stream
	pause time.Duration
}

func (s *slow) WriteTo(w io.Writer) (n int64, err error) {
	for n < s.n {
		time.Sleep(s.pause)
		m, err := w.Write(make([]byte, s.piece))
		n += int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
