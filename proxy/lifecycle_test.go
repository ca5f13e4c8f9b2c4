package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"s3veil/proxy/proxytest"
)

func TestFixtureRoundTrips(t *testing.T) {
	f := newFixture(t, nil)
	for _, n := range []int{0, 1, 70000, 3 << 20} {
		body := bytes.Repeat([]byte("plain"), n/5+1)[:n]
		f.must("PUT", "/data/key", body)
		if _, got := f.must("GET", "/data/key", nil); !bytes.Equal(got, body) {
			t.Errorf("%d bytes: got %d others back", n, len(got))
		}
	}
	f.idle()
}

// An exchange admitted before "100 Continue" ends also when its client dies instead of sending the body: before the handler
// runs there is nobody else to end it.
func TestClientThatDiesAfterContinueEndsItsExchange(t *testing.T) {
	f := newFixture(t, nil)
	c := f.dial()
	io.WriteString(c, f.head("PUT", "/data/key", unsigned, "content-length", "5000", "expect", "100-continue"))
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || !strings.Contains(line, "100") {
		t.Fatalf("%q, %v", line, err)
	}
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
	f.idle()
	lines := f.audit.all()
	if len(lines) == 0 || lines[0].Key != "key" || lines[0].Status < 400 {
		t.Errorf("audit lines %+v", lines)
	}
}

// A store's answer of an unexpected success must not turn its error document into an object.
func TestUnexpectedSuccessOfTheStoreIsAnError(t *testing.T) {
	f := newFixture(t, nil)
	f.must("PUT", "/data/key", []byte("plain"))
	for _, status := range []int{201, 203, 204, 299} {
		remove := f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
			if c.Key != "key" {
				return nil
			}
			return &proxytest.Answer{Status: status, Header: http.Header{}, Body: []byte("<Error><Code>X</Code><Message>planted</Message></Error>")}
		}})
		for _, method := range []string{"GET", "HEAD", "PUT"} {
			resp, got := f.do(method, "/data/key", nil)
			if resp.StatusCode < 400 {
				t.Errorf("%s answered %d by the store: %d %s", method, status, resp.StatusCode, got)
			}
		}
		remove()
	}
}

// Nothing that a request leaves unread is taken for the next request (DATAPATH.md rule 2). The engine prefetches 8 KiB; what
// is smuggled lies behind them.
func TestUnreadBodyIsNotARequest(t *testing.T) {
	smuggled := "GET /data/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	body := strings.Repeat("x", 8252-len(smuggled)) + smuggled
	requests := [][]string{
		{"PUT", "/data/key"}, {"PUT", "/none/key"}, {"PUT", "/data/.s3veil/m/x"}, {"PUT", "/data/key?unknown"}, {"PUT", "/data/key?partNumber=1&uploadId=x"},
		{"PUT", "/data/copy", "x-amz-copy-source", "/data/key"}, {"PUT", "/data/key?tagging"}, {"PUT", "/data/key", "x-amz-meta-s3veil", "x"},
		{"GET", "/data/key"}, {"GET", "/data/none"}, {"GET", "/data?location"}, {"GET", "/"}, {"GET", "/data?list-type=2"}, {"GET", "/data?uploads"},
		{"HEAD", "/data/key"}, {"HEAD", "/data"}, {"DELETE", "/data/key"}, {"DELETE", "/data/key?tagging"}, {"OPTIONS", "/data/key"},
		{"POST", "/data?delete"}, {"POST", "/data/key?uploads"}, {"POST", "/data/key?uploadId=x"}, {"POST", "/data"}, {"PATCH", "/data/key"},
	}
	f := newFixture(t, func(set *Settings, _ *Options) { set.Buckets[0].Name = "data" })
	for _, framing := range []string{"length", "chunked"} {
		for _, r := range requests {
			f.must("PUT", "/data/key", []byte("plain"))
			header, sent := append([]string{"content-length", fmt.Sprint(len(body))}, r[2:]...), body
			if framing == "chunked" {
				header = append([]string{"transfer-encoding", "chunked"}, r[2:]...)
				sent = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
			}
			c := f.dial()
			io.WriteString(c, f.head(r[0], r[1], unsigned, header...)+sent)
			c.(*net.TCPConn).CloseWrite()
			if got, _ := io.ReadAll(c); strings.Count(string(got), "HTTP/1.1 ") > 1 {
				t.Errorf("%s %q:\n%s", framing, r, got)
			}
		}
	}
	f.idle()
	for _, call := range f.store.Calls() {
		if strings.Contains(call.Target, "smuggled") {
			t.Errorf("the store saw %s %s", call.Method, call.Target)
		}
	}
	for _, line := range f.audit.all() {
		if strings.Contains(line.Key, "smuggled") || line.Code == "InvalidRequest" && line.Key == "" {
			t.Errorf("handled: %+v", line)
		}
	}
}

// A slow operation whose client has gone ends its exchange without touching the engine's context, which serves others by
// then: the race detector is the judge.
func TestSlowAnswerOutlivesItsClient(t *testing.T) {
	f := newFixture(t, nil)
	done := make(chan slowOutcome, 1)
	x := &exchange{s: f.s, st: f.s.state.Load(), id: "1", start: time.Now()}
	f.s.active.Add(1)
	b := &slowBody{x: x, done: done}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	done <- slowOutcome{answer: &slowAnswer{doc: func(bool) []byte { return nil }}}
	f.idle()
}

// A client that sends its whole body before it reads sees why it was refused, not a reset.
func TestRefusalReachesAClientThatIsStillSending(t *testing.T) {
	f := newFixture(t, nil)
	body := make([]byte, 4<<20)
	for range 20 {
		c := f.dial()
		io.WriteString(c, f.head("PUT", "/data/.s3veil/m/x", unsigned, "content-length", fmt.Sprint(len(body))))
		if _, err := c.Write(body); err != nil {
			t.Fatalf("reset while sending: %v", err)
		}
		if status, _ := answer(t, c); status != 403 {
			t.Errorf("%d", status)
		}
		c.Close()
	}
}

// What a read has opened is overwritten when its buffer goes back, also where it used little of it or ended with an error.
func TestReadsLeaveNoPlaintextInTheirBuffers(t *testing.T) {
	f := newFixture(t, nil)
	body := bytes.Repeat([]byte("secret! "), 2<<20/8)
	f.must("PUT", "/data/key", body)
	for _, spec := range []string{"bytes=0-0", "bytes=65530-65540", "bytes=100000-400000", "bytes=1000-", "bytes=0-"} {
		if resp, got := f.do("GET", "/data/key", nil, "range", spec); resp.StatusCode/100 != 2 || len(got) == 0 {
			t.Fatalf("%q: %d", spec, resp.StatusCode)
		}
	}
	remove := f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		if c.Method == "GET" && c.Key == "key" && len(a.Body) > 1<<20 {
			a.Body[len(a.Body)-1] ^= 1 // the last package
		}
	}})
	c := f.dial()
	io.WriteString(c, f.head("GET", "/data/key", unsigned))
	if got, _ := io.ReadAll(c); len(got) >= len(body) || len(got) < 1<<20 {
		t.Errorf("%d bytes of a damaged object came out", len(got))
	}
	remove()
	f.idle()
	for _, n := range []int64{1, 4096, 65536, 2 * 65536, 5 * 65536, 2 << 20} {
		for range 4 {
			buf, err := f.s.memory.Stream(t.Context(), n)
			if err != nil {
				t.Fatal(err)
			}
			defer f.s.memory.Release(buf)
			if bytes.Contains(buf.Plain, []byte("secret!")) {
				t.Errorf("plaintext in a free buffer of %d packages", buf.Packages)
			}
		}
	}
}
