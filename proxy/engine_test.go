package proxy

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"s3veil/proxy/proxytest"
	"s3veil/proxy/s3op"
)

// The rules of DATAPATH.md section 3 that concern the engine in front of clients, by their numbers.

// handle makes an operation that the proxy otherwise passes run h, before any server of the test starts.
func handle(t *testing.T, op s3op.Op, h func(*exchange) error) {
	t.Helper()
	if handlers[op] != nil {
		t.Fatalf("%s has a handler", op)
	}
	handlers[op] = h
	t.Cleanup(func() { delete(handlers, op) })
}

// answer reads one answer from a connection.
func answer(t *testing.T, c net.Conn) (status int, body string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	got, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(got)
}

// Rule 1: no body stream has two owners.
func TestBodiesOfManyClientsDoNotMix(t *testing.T) {
	f := newFixture(t, func(_ *Settings, o *Options) { o.Limits.HeldBody = 1 << 10 })
	const clients, puts, size = 16, 200, 40000
	var wait sync.WaitGroup
	for i := range clients {
		letter := byte('a' + i)
		wait.Go(func() {
			body := bytes.Repeat([]byte{letter}, size)
			c, err := net.Dial("tcp", f.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			br := bufio.NewReader(c)
			ask := func(method string, body []byte, header ...string) []byte {
				io.WriteString(c, f.head(method, "/data/"+string(letter), unsigned, header...))
				c.Write(body)
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Errorf("%c: %v", letter, err)
					return nil
				}
				got, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != 200 {
					t.Errorf("%c: %d, %v", letter, resp.StatusCode, err)
				}
				return got
			}
			for n := range puts {
				ask("PUT", body, "content-length", fmt.Sprint(size))
				if n%20 == 19 && !bytes.Equal(ask("GET", nil), body) {
					t.Errorf("%c reads something else", letter)
				}
				if t.Failed() {
					return
				}
			}
		})
	}
	wait.Wait()
	f.idle()
}

// panicBody is an answer body that panics in the middle.
type panicBody struct{ relayBody }

func (*panicBody) Read([]byte) (int, error) { panic("in a body") }

// Rule 6: panics end one answer, not the process, and no exchange stays open.
func TestPanicsEndOneAnswer(t *testing.T) {
	handle(t, "GetBucketAbac", func(*exchange) error { panic("in a handler") })
	handle(t, "GetBucketCors", func(x *exchange) error {
		return x.slow(func() (*slowAnswer, error) { panic("in a worker") })
	})
	handle(t, "GetBucketWebsite", func(x *exchange) error {
		x.respond(200, nil)
		x.stream(&panicBody{relayBody{src: io.NopCloser(strings.NewReader("")), left: 10}}, 10)
		return nil
	})
	handle(t, "GetBucketLogging", func(x *exchange) error {
		return x.slow(func() (*slowAnswer, error) {
			return &slowAnswer{doc: func(bool) []byte { panic("in a document") }}, nil
		})
	})
	f := newFixture(t, nil)
	other := f.dial()
	defer other.Close()
	for _, target := range []string{"/data?abac", "/data?cors", "/data?logging"} {
		if resp, got := f.do("GET", target, nil); resp.StatusCode != 500 || !bytes.Contains(got, []byte("InternalError")) {
			t.Errorf("%s: %d %s", target, resp.StatusCode, got)
		}
	}
	c := f.dial()
	io.WriteString(c, f.head("GET", "/data?website", unsigned))
	if got, _ := io.ReadAll(c); strings.Contains(string(got), "\r\n\r\n0123456789") || strings.HasSuffix(string(got), "0\r\n\r\n") {
		t.Errorf("a clean end: %q", got)
	}
	for _, method := range []string{"PUT", "GET"} { // without a body
		io.WriteString(other, f.head(method, "/data/empty", unsigned))
		if status, _ := answer(t, other); status != 200 {
			t.Errorf("%s without a body: %d", method, status)
		}
	}
	f.idle()
}

// Rule 7: the engine enforces no limit on streamed bodies.
func TestBodiesOverTheLimitAreRefused(t *testing.T) {
	f := newFixture(t, nil)
	filler := strings.Repeat("x", 9000)
	cases := []struct {
		name, method, target string
		header               []string
		body, code           string
	}{
		{"object", "PUT", "/data/key", []string{"content-length", "6442450944"}, filler, "EntityTooLarge"},
		{"delete", "POST", "/data?delete", []string{"content-length", "3145728"}, filler, "MalformedXML"},
		{"complete", "POST", "/data/key?uploadId=x", []string{"content-length", "5242880"}, filler, "MalformedXML"},
		{"setting", "PUT", "/data?cors", []string{"content-length", "2097152"}, filler, "MaxMessageLengthExceeded"},
		{"chunked without a length", "PUT", "/data/key", []string{"transfer-encoding", "chunked"}, "2328\r\n" + filler + "\r\n", "MissingContentLength"},
	}
	for _, c := range cases {
		conn := f.dial()
		io.WriteString(conn, f.head(c.method, c.target, unsigned, c.header...)+c.body)
		if _, got := answer(t, conn); !strings.Contains(got, "<Code>"+c.code+"</Code>") {
			t.Errorf("%s: %s", c.name, got)
		}
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: connection goes on after %d bytes", c.name, n)
		}
	}
	for name, c := range map[string][]string{
		"object": {"/data/key", "content-length", "6442450944"}, "part": {"/data/key?partNumber=1&uploadId=x", "content-length", "6442450944"},
		"chunks": {"/data/key", "content-length", "6442460000", "x-amz-decoded-content-length", "6442450944"},
	} {
		conn := f.dial() // the client waits to be told, and sends nothing
		io.WriteString(conn, f.head("PUT", c[0], unsigned, append(c[1:], "expect", "100-continue")...))
		if status, got := answer(t, conn); status != 400 || !strings.Contains(got, "<Code>EntityTooLarge</Code>") {
			t.Errorf("%s, announced: %d %s", name, status, got)
		}
	}
	if keys := f.store.Keys("data"); len(keys) != 0 {
		t.Errorf("the store holds %q", keys)
	}
	f.idle()
}

func shortLimits(_ *Settings, o *Options) {
	o.Limits.HeadTimeout, o.Limits.StallTimeout, o.Limits.IdleTimeout = time.Second, time.Second, time.Second
}

// Rule 9: what moves may take any time.
func TestSteadyTransfersOutliveTheTimeouts(t *testing.T) {
	f := newFixture(t, shortLimits)
	piece := bytes.Repeat([]byte("steady "), 10000)
	const pieces = 25
	up := f.dial()
	io.WriteString(up, f.head("PUT", "/data/key", unsigned, "content-length", fmt.Sprint(pieces*len(piece))))
	for range pieces {
		up.Write(piece)
		time.Sleep(60 * time.Millisecond)
	}
	if status, got := answer(t, up); status != 200 {
		t.Fatalf("upload: %d %s", status, got)
	}

	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	f.must("PUT", "/data/big", big)
	down := f.dial()
	down.(*net.TCPConn).SetReadBuffer(64 << 10)
	io.WriteString(down, f.head("GET", "/data/big", unsigned))
	resp, err := http.ReadResponse(bufio.NewReaderSize(down, 4096), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	for buf := make([]byte, 1<<20); ; {
		n, err := io.ReadFull(resp.Body, buf)
		got += n
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			t.Fatalf("download after %d bytes: %v", got, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if got != len(big) {
		t.Errorf("download ended after %d of %d bytes", got, len(big))
	}
	f.idle()
}

// Rule 9: what does not move is cut.
func TestStalledRequestsAreCut(t *testing.T) {
	f := newFixture(t, shortLimits)
	f.must("PUT", "/data/big", make([]byte, 32<<20))
	upload := f.head("PUT", "/data/key", unsigned, "content-length", "100000")
	cases := map[string]string{
		"head": upload[:60], "prefetch": upload + "ten bytes.", "held body": upload + strings.Repeat("x", 20000),
		"streamed body": strings.Replace(upload, "100000", "9999999", 1),
	}
	cases["streamed body"] = f.head("PUT", "/data/key", unsigned, "content-length", "9999999") + strings.Repeat("x", 20000)
	conns := map[string]net.Conn{}
	for name, sent := range cases {
		conns[name] = f.dial()
		io.WriteString(conns[name], sent)
	}
	silent := f.dial()
	reader := f.dial()
	io.WriteString(reader, f.head("GET", "/data/big", unsigned))
	for name, c := range conns {
		if status, got := answer(t, c); status != 400 || !strings.Contains(got, "RequestTimeout") {
			t.Errorf("stalled %s: %d %s", name, status, got)
		}
	}
	io.Copy(io.Discard, silent) // returns when the proxy closes
	f.idle()                    // the download too
	if n, _ := io.Copy(io.Discard, reader); n >= 32<<20 {
		t.Errorf("stalled download: all %d bytes", n)
	}
	if _, ok := f.store.Get("data", "key"); ok {
		t.Error("a stalled upload is visible")
	}
}

// Rule 16: a connection that never spoke does not hold up the end, an upload under way is waited for.
func TestShutdownWaitsForUploadsOnly(t *testing.T) {
	f := newFixture(t, shortLimits)
	f.dial()
	up := f.dial()
	io.WriteString(up, f.head("PUT", "/data/key", unsigned, "content-length", "20000")+strings.Repeat("x", 10000))
	f.eventually("upload in flight", func() bool { return f.s.active.Load() == 1 })
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		ended <- f.s.Shutdown(ctx)
	}()
	f.eventually("draining", f.s.drain.Load)
	io.WriteString(up, strings.Repeat("x", 10000))
	if status, got := answer(t, up); status != 200 {
		t.Errorf("upload: %d %s", status, got)
	}
	if err := <-ended; err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

// Rule 20: a client that leaves takes everything of its request with it.
func TestClientsThatLeaveTakeTheirRequestsWithThem(t *testing.T) {
	f := newFixture(t, nil)
	f.must("PUT", "/data/big", make([]byte, 32<<20))
	f.idle()
	http.DefaultClient.CloseIdleConnections()
	before := runtime.NumGoroutine()
	for range 10 {
		c := f.dial()
		io.WriteString(c, f.head("GET", "/data/big", unsigned))
		io.ReadFull(c, make([]byte, 1))
		c.Close()
	}
	f.idle()
	for _, line := range f.audit.all()[1:] {
		if line.Code != "ClientGone" {
			t.Errorf("recorded as %q", line.Code)
		}
	}
	f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) { a.Delay = 300 * time.Millisecond }})
	for range 10 {
		c := f.dial()
		io.WriteString(c, f.head("GET", "/data/big", unsigned))
		f.eventually("request in flight", func() bool { return f.s.active.Load() > 0 })
		c.Close()
	}
	f.idle()
	f.eventually("goroutines ended", func() bool { return runtime.NumGoroutine() <= before+8 }) // idle connections to the store
	if used, _, streams, _ := f.s.memory.State(); used != 0 || streams != 0 {
		t.Errorf("%d bytes of %d streams are still charged", used, streams)
	}
}
