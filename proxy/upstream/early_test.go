package upstream

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

const forbidden = "HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\ndenied"

// TestEarlyAnswers is DATAPATH.md rule 10: a store that answers before it has read the body is heard at once, and nothing
// hangs. The body is far larger than all socket buffers.
func TestEarlyAnswers(t *testing.T) {
	const size = 64 << 20
	cases := map[string]struct {
		serve  func(c net.Conn, r *http.Request, over <-chan struct{})
		status int
		body   string
		fails  bool
		whole  bool // the store must get the whole body
	}{
		"403 and close": {func(c net.Conn, _ *http.Request, over <-chan struct{}) {
			_, _ = io.WriteString(c, strings.Replace(forbidden, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
		}, 403, "denied", false, false},
		"403 and keep-alive, body unread": {func(c net.Conn, _ *http.Request, over <-chan struct{}) {
			_, _ = io.WriteString(c, forbidden)
			<-over
		}, 403, "denied", false, false},
		"403 while draining": {func(c net.Conn, r *http.Request, _ <-chan struct{}) {
			_, _ = io.WriteString(c, forbidden)
			_, _ = io.Copy(io.Discard, r.Body)
		}, 403, "denied", false, false},
		"200 before the end": {func(c net.Conn, r *http.Request, _ <-chan struct{}) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			n, _ := io.Copy(io.Discard, r.Body)
			if n != size {
				t.Errorf("store got %d of %d bytes", n, size)
			}
		}, 200, "ok", false, true},
		"200 before the end, then close": {func(c net.Conn, _ *http.Request, over <-chan struct{}) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}, 0, "", true, false},
		"close without an answer": {func(net.Conn, *http.Request, <-chan struct{}) {}, 0, "", true, false},
		"100 Continue, then 403": {func(c net.Conn, _ *http.Request, over <-chan struct{}) {
			_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n"+forbidden)
			<-over
		}, 403, "denied", false, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			over, served := make(chan struct{}), make(chan struct{}, 1)
			s := newStore(t, func(_ int, c net.Conn, br *bufio.Reader) {
				defer func() { served <- struct{}{} }()
				if r, err := readRequest(br); err == nil {
					tc.serve(c, r, over)
				}
			})
			t.Cleanup(func() { close(over) })
			c := newClient(t, s.url(), func(o *Options) { o.Payload = Trailer })
			if tc.whole {
				c.o.Payload = InsecureUnsigned
			}
			body := &stream{n: size, piece: 1 << 20}
			status, text, err := do(t, c, put(body))
			switch {
			case tc.fails && !errors.Is(err, ErrUnavailable):
				t.Errorf("got %d, %v; want ErrUnavailable", status, err)
			case !tc.fails && (err != nil || status != tc.status || text != tc.body):
				t.Errorf("got %d %q, %v; want %d %q", status, text, err, tc.status, tc.body)
			}
			if tc.whole {
				<-served
			}
			if body.asked.Load() != 1 {
				t.Errorf("body was asked %d times", body.asked.Load())
			}
		})
	}
}

func TestBodyErrorIsReturnedAndTheLengthUnfulfilled(t *testing.T) {
	own := errors.New("the client has gone")
	for _, mode := range []PayloadMode{Trailer, InsecureUnsigned} {
		for name, failAt := range map[string]int64{"at once": 0, "in the middle": 300_000, "after the last byte": 1_000_000} {
			t.Run(mode.String()+" "+name, func(t *testing.T) {
				got := make(chan error, 1)
				s := newStore(t, func(_ int, _ net.Conn, br *bufio.Reader) {
					r, err := readRequest(br)
					if err != nil {
						got <- err
						return
					}
					n, err := io.Copy(io.Discard, r.Body)
					if err == nil {
						t.Errorf("store got a whole body of %d bytes", n)
					}
					got <- err
				})
				c := newClient(t, s.url(), func(o *Options) { o.Payload = mode })
				_, err := c.Do(t.Context(), put(&stream{n: 1_000_000, piece: 1 << 17, failAt: failAt, err: own}))
				if err != own {
					t.Errorf("got %v, want exactly the body's error", err)
				}
				<-got
			})
		}
	}
}

func TestBodyOfAnotherLengthIsRefused(t *testing.T) {
	s := newStore(t, func(_ int, _ net.Conn, br *bufio.Reader) {
		if r, err := readRequest(br); err == nil {
			if _, err := io.Copy(io.Discard, r.Body); err == nil {
				t.Error("store got a whole body")
			}
		}
	})
	c := newClient(t, s.url(), func(o *Options) { o.Payload = InsecureUnsigned })
	for _, n := range []int64{99_999, 100_001} {
		_, err := c.Do(t.Context(), put(liar{Bytes(make([]byte, n)), 100_000}))
		if !errors.Is(err, errLength) {
			t.Errorf("%d bytes under 100000: %v", n, err)
		}
	}
}

// liar announces another length than it has.
type liar struct {
	Bytes
	n int64
}

func (l liar) Len() int64   { return l.n }
func (l liar) Replay() bool { return false }
