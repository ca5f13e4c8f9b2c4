package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestEveryExitGivesItsConnectionBack makes more requests than there are slots on every way out; newClient checks that
// nothing is held at the end (DATAPATH.md rule 19).
func TestEveryExitGivesItsConnectionBack(t *testing.T) {
	big := strings.Repeat("x", 100_000)
	s := newStore(t, func(_ int, c net.Conn, br *bufio.Reader) {
		for {
			r, err := readRequest(br)
			if err != nil {
				return
			}
			switch r.URL.Path {
			case "/b/dies":
				return
			case "/b/short":
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx")
				return
			case "/b/early":
				_, _ = io.WriteString(c, forbidden)
				return
			case "/b/chunked":
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
				continue
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
			_, _ = io.WriteString(c, reply(200, big))
		}
	})
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	ways := map[string]func(t *testing.T, c *Client, r *Request){
		"read whole":    func(t *testing.T, c *Client, r *Request) { _, _, _ = do(t, c, r) },
		"close unread":  func(t *testing.T, c *Client, r *Request) { closeAfter(t, c, r, 0) },
		"close in it":   func(t *testing.T, c *Client, r *Request) { closeAfter(t, c, r, 5000) },
		"exact, closed": func(t *testing.T, c *Client, r *Request) { closeAfter(t, c, r, 100_000) },
		"HEAD": func(t *testing.T, c *Client, r *Request) {
			r.Method = http.MethodHead
			closeAfter(t, c, r, 0)
		},
		"dies":    func(t *testing.T, c *Client, r *Request) { r.Key = "dies"; _, _, _ = do(t, c, r) },
		"short":   func(t *testing.T, c *Client, r *Request) { r.Key = "short"; _, _, _ = do(t, c, r) },
		"chunked": func(t *testing.T, c *Client, r *Request) { r.Key = "chunked"; _, _, _ = do(t, c, r) },
		"early": func(t *testing.T, c *Client, r *Request) {
			r.Method, r.Key, r.Body = http.MethodPut, "early", &stream{n: 8 << 20, piece: 1 << 20}
			_, _, _ = do(t, c, r)
		},
		"body fails": func(t *testing.T, c *Client, r *Request) {
			r.Method, r.Body = http.MethodPut, &stream{n: 1 << 20, piece: 1 << 16, failAt: 1 << 17, err: io.ErrClosedPipe}
			_, _, _ = do(t, c, r)
		},
		"cancelled": func(_ *testing.T, c *Client, r *Request) {
			if _, err := c.Do(cancelled, r); !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v", err)
			}
		},
		"cancelled in the answer": func(t *testing.T, c *Client, r *Request) {
			ctx, cancel := context.WithCancel(t.Context())
			resp, err := c.Do(ctx, r)
			if err != nil {
				t.Fatal(err)
			}
			cancel()
			_, err = io.Copy(io.Discard, resp.Body)
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled in the answer: %v", err)
			}
			_ = resp.Body.Close()
		},
		"closed twice": func(t *testing.T, c *Client, r *Request) {
			resp, err := c.Do(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			_ = resp.Body.Close()
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, s.url(), func(o *Options) { o.MaxConns = 3; o.PoolWait = time.Second; o.Payload = InsecureUnsigned })
			for range 10 {
				way(t, c, get())
			}
			if used, _ := c.Conns(); used != 0 {
				t.Errorf("%d in use", used)
			}
		})
	}
}

func closeAfter(t *testing.T, c *Client, r *Request, n int) {
	t.Helper()
	resp, err := c.Do(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, n)); err != nil {
		t.Error(err)
	}
	_ = resp.Body.Close()
}

func TestConnectionsAreReusedAfterExactlyTheWholeAnswer(t *testing.T) {
	s := answering(t, func(*http.Request, []byte) string { return reply(200, strings.Repeat("x", 40_000)) })
	c := newClient(t, s.url(), func(o *Options) { o.IdleTimeout = time.Minute })
	for range 5 {
		closeAfter(t, c, get(), 40_000)
	}
	if n := s.conns.Load(); n != 1 {
		t.Errorf("%d connections for 5 requests", n)
	}
	closeAfter(t, c, get(), 39_999)
	closeAfter(t, c, get(), 40_000)
	if n := s.conns.Load(); n != 2 {
		t.Errorf("%d connections, want a second one after an unread rest", n)
	}
}

// TestConnectionWithBytesUnaskedForIsNotReused: what a store says before it is asked would be taken for the next answer.
func TestConnectionWithBytesUnaskedForIsNotReused(t *testing.T) {
	for name, late := range map[string]bool{"with the answer": false, "later": true} {
		t.Run(name, func(t *testing.T) {
			said := make(chan struct{})
			s := newStore(t, func(n int, c net.Conn, br *bufio.Reader) {
				for {
					if _, err := readRequest(br); err != nil {
						return
					}
					if n > 0 {
						_, _ = io.WriteString(c, reply(200, "right"))
						continue
					}
					if late {
						_, _ = io.WriteString(c, reply(200, "first"))
						_, _ = io.WriteString(c, reply(200, "wrong"))
					} else {
						_, _ = io.WriteString(c, reply(200, "first")+reply(200, "wrong"))
					}
					close(said)
				}
			})
			c := newClient(t, s.url(), func(o *Options) { o.IdleTimeout = time.Minute })
			if _, body, err := do(t, c, get()); err != nil || body != "first" {
				t.Fatalf("got %q, %v", body, err)
			}
			<-said
			if _, body, err := do(t, c, get()); err != nil || body != "right" {
				t.Errorf("got %q, %v", body, err)
			}
		})
	}
}

func TestFullPoolIsBusy(t *testing.T) {
	s := answering(t, func(*http.Request, []byte) string { return reply(200, "x") })
	c := newClient(t, s.url(), func(o *Options) { o.MaxConns = 2; o.PoolWait = 20 * time.Millisecond })
	var held []*Response
	for range 2 {
		resp, err := c.Do(t.Context(), get())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, resp)
	}
	if _, err := c.Do(t.Context(), get()); !errors.Is(err, ErrBusy) {
		t.Errorf("third request: %v", err)
	}
	if _, _, err := c.Pair(t.Context()); !errors.Is(err, ErrBusy) {
		t.Errorf("pair: %v", err)
	}
	for _, resp := range held {
		_ = resp.Body.Close()
	}
	if _, _, err := do(t, c, get()); err != nil {
		t.Errorf("after release: %v", err)
	}
}

// TestPairsCannotDeadlock runs more copies than a pool of two can hold at once: each opens a read and then a write.
func TestPairsCannotDeadlock(t *testing.T) {
	s := answering(t, func(*http.Request, []byte) string { return reply(200, "x") })
	c := newClient(t, s.url(), func(o *Options) { o.MaxConns = 2; o.PoolWait = time.Minute })
	done := make(chan error)
	for range 20 {
		go func() {
			done <- func() error {
				ctx, release, err := c.Pair(t.Context())
				if err != nil {
					return err
				}
				defer release()
				src, err := c.Do(ctx, get())
				if err != nil {
					return err
				}
				defer func() { _ = src.Body.Close() }()
				dst, err := c.Do(ctx, put(Bytes("x")))
				if err != nil {
					return err
				}
				return dst.Body.Close()
			}()
		}()
	}
	for range 20 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestPairReleasedWhileInUseIsGivenBackWithTheAnswer(t *testing.T) {
	s := answering(t, func(*http.Request, []byte) string { return reply(200, "x") })
	c := newClient(t, s.url(), func(o *Options) { o.MaxConns = 2 })
	ctx, release, err := c.Pair(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(ctx, get())
	if err != nil {
		t.Fatal(err)
	}
	release()
	release()
	if c.slots.TryAcquire(2) {
		t.Error("the slot of an open answer is free")
	}
	_ = resp.Body.Close()
	if !c.slots.TryAcquire(2) {
		t.Error("slots are lost")
	}
	c.slots.Release(2)
}

func TestEventsCountConnectionsAndRequests(t *testing.T) {
	s := answering(t, func(*http.Request, []byte) string {
		return reply(404, "x", "Date: "+time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
	})
	var events []Event
	c := newClient(t, s.url(), func(o *Options) { o.Observe = func(e Event) { events = append(events, e) } })
	_, _, _ = do(t, c, get())
	kinds := map[string]Event{}
	for _, e := range events {
		kinds[e.Kind] = e
	}
	if e := kinds["request"]; e.Code != 404 {
		t.Errorf("request: %+v", e)
	}
	if e := kinds["clock"]; e.Offset < 59*time.Minute || e.Offset > 61*time.Minute {
		t.Errorf("clock: %+v", e)
	}
	if e := kinds["conns"]; e.InUse != 0 || e.Idle != 1 {
		t.Errorf("conns: %+v", e)
	}
}
