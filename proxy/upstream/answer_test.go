package upstream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestAnswersThatBreakOff: only a framing that was fulfilled ends with io.EOF, and a failure never looks like the end of a
// stream (DATAPATH.md rule 4).
func TestAnswersThatBreakOff(t *testing.T) {
	const declared, sent = 1_000_000, 300_000
	data := strings.Repeat("x", sent)
	chunk := fmt.Sprintf("%x\r\n%s\r\n", sent, data)
	cases := map[string]struct {
		answer string
		reset  bool
		clean  bool
		length int64
	}{
		"length":             {fmt.Sprintf("Content-Length: %d\r\n\r\n%s", declared, data), false, false, declared},
		"length and reset":   {fmt.Sprintf("Content-Length: %d\r\n\r\n%s", declared, data), true, false, declared},
		"chunk boundary":     {"Transfer-Encoding: chunked\r\n\r\n" + chunk, false, false, -1},
		"inside a chunk":     {"Transfer-Encoding: chunked\r\n\r\n" + chunk[:1000], false, false, -1},
		"before the trailer": {"Transfer-Encoding: chunked\r\n\r\n" + chunk + "0\r\n", false, false, -1},
		"chunked":            {"Transfer-Encoding: chunked\r\n\r\n" + chunk + "0\r\nX-T: 1\r\n\r\n", false, true, -1},
		"close-delimited":    {"\r\n" + data, false, true, -1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, func(_ int, c net.Conn, br *bufio.Reader) {
				if _, err := readRequest(br); err != nil {
					return
				}
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+tc.answer)
				if tc.reset {
					_ = c.(*net.TCPConn).SetLinger(0)
				}
			})
			c := newClient(t, s.url())
			resp, err := c.Do(t.Context(), get())
			if err != nil && tc.reset {
				return // the reset can overtake the head
			}
			if err != nil {
				t.Fatal(err)
			}
			if resp.ContentLength != tc.length {
				t.Errorf("length %d, want %d", resp.ContentLength, tc.length)
			}
			n, err := io.Copy(io.Discard, resp.Body)
			if tc.clean {
				if err != nil || n != sent {
					t.Errorf("got %d bytes, %v", n, err)
				}
			} else {
				if !errors.Is(err, ErrUnavailable) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("got %v", err)
				}
				if _, again := resp.Body.Read(make([]byte, 10)); again == nil || again == io.EOF {
					t.Errorf("the next Read returned %v", again)
				}
			}
			_ = resp.Body.Close()
		})
	}
}

func TestAnswerHeads(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
	for name, tc := range map[string]struct {
		head  string
		fails bool
	}{
		"8 KB of headers":       {ok + "x-amz-meta-a: " + strings.Repeat("a", 8000) + "\r\n\r\n", false},
		"more than the buffer":  {ok + "x-amz-meta-a: " + strings.Repeat("a", bufferSize) + "\r\n\r\n", true},
		"interim answers":       {strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 3) + ok + "\r\n", false},
		"interim without end":   {strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 200) + ok + "\r\n", true},
		"switching protocols":   {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", true},
		"two lengths":           {ok + "Content-Length: 5\r\n\r\n", true},
		"negative length":       {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", true},
		"not HTTP":              {"SSH-2.0-OpenSSH_9.2\r\n\r\n", true},
		"status of four digits": {"HTTP/1.1 2000 OK\r\n\r\n", true},
		"head breaks off":       {"HTTP/1.1 200 OK\r\nContent-Le", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t, func(_ int, c net.Conn, br *bufio.Reader) {
				if _, err := readRequest(br); err == nil {
					_, _ = io.WriteString(c, tc.head)
				}
			})
			c := newClient(t, s.url())
			r := get()
			r.Idempotent = false
			status, _, err := do(t, c, r)
			if tc.fails != errors.Is(err, ErrUnavailable) || !tc.fails && status != 200 {
				t.Errorf("got %d, %v", status, err)
			}
		})
	}
}

func TestHeaderNamesAreLowerCaseAndValuesAsTheyCame(t *testing.T) {
	s := answering(t, func(*http.Request, []byte) string {
		return reply(200, "", "X-Amz-Meta-Foo: Bar  baz", "ETag: \"AbC\"", "CONTENT-TYPE: Text/Plain", "x-dup: 1", "X-Dup: 2")
	})
	c := newClient(t, s.url())
	resp, err := c.Do(t.Context(), get())
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	for name, want := range map[string]string{
		"x-amz-meta-foo": "Bar  baz", "etag": `"AbC"`, "content-type": "Text/Plain", "x-dup": "1", "missing": "",
	} {
		if got := resp.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	dups := 0
	for _, f := range resp.Header {
		if f.Name != strings.ToLower(f.Name) {
			t.Errorf("name %q", f.Name)
		}
		if f.Name == "x-dup" {
			dups++
		}
	}
	if dups != 2 {
		t.Errorf("%d of 2 repeated headers", dups)
	}
}

func TestContentTypeIsNotInvented(t *testing.T) {
	s := answering(t, func(*http.Request, []byte) string { return reply(200, "x") })
	c := newClient(t, s.url())
	resp, err := c.Do(t.Context(), get())
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := resp.Get("content-type"); got != "" {
		t.Errorf("got %q", got)
	}
}

// TestAnswersWithoutBody: their declared length is kept and the connection serves the next request.
func TestAnswersWithoutBody(t *testing.T) {
	s := newStore(t, func(_ int, c net.Conn, br *bufio.Reader) {
		for {
			r, err := readRequest(br)
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, map[string]string{
				"/b/head":   "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n",
				"/b/nohead": "HTTP/1.1 200 OK\r\n\r\n",
				"/b/204":    "HTTP/1.1 204 No Content\r\n\r\n",
				"/b/304":    "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n",
				"/b/empty":  "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
			}[r.URL.Path])
		}
	})
	c := newClient(t, s.url(), func(o *Options) { o.IdleTimeout = time.Minute })
	for _, tc := range []struct {
		method, key string
		length      int64
	}{
		{"HEAD", "head", 12345}, {"HEAD", "nohead", -1}, {"DELETE", "204", -1}, {"GET", "304", 77}, {"GET", "empty", 0},
	} {
		resp, err := c.Do(t.Context(), &Request{Method: tc.method, Bucket: "b", Key: tc.key})
		if err != nil {
			t.Fatalf("%s: %v", tc.key, err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if n != 0 || err != nil || resp.ContentLength != tc.length {
			t.Errorf("%s: body %d, %v, length %d, want %d", tc.key, n, err, resp.ContentLength, tc.length)
		}
		_ = resp.Body.Close()
	}
	// HEAD without a length closes: nothing says where an answer would end.
	if n := s.conns.Load(); n > 2 {
		t.Errorf("%d connections", n)
	}
}

// TestLargeReadsAreNotBuffered: the store's bytes go into the caller's buffer at once.
func TestLargeReadsAreNotBuffered(t *testing.T) {
	const size = 4 << 20
	s := answering(t, func(*http.Request, []byte) string { return reply(200, strings.Repeat("x", size)) })
	c := newClient(t, s.url())
	resp, err := c.Do(t.Context(), get())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	buf := make([]byte, 1<<20)
	total, largest := 0, 0
	for {
		n, err := resp.Body.Read(buf)
		total += n
		largest = max(largest, n)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if total != size || largest <= bufferSize {
		t.Errorf("total %d, largest read %d", total, largest)
	}
}
