package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// sayer is a host that is none of S3 and gives one answer, word for word, to every connection. It keeps the requests.
func (f *forwarded) sayer(text string) (addr string, seen *lockedLog) {
	f.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { ln.Close() })
	seen = &lockedLog{}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					_ = r.Write(seen)
					_, _ = io.WriteString(c, text)
				}
			}()
		}
	}()
	return ln.Addr().String(), seen
}

// exchangeRaw sends text and returns all that comes back until the other side closes.
func (f *forwarded) exchangeRaw(text string) string {
	f.t.Helper()
	c := f.connect()
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		f.t.Fatal(err)
	}
	raw, err := io.ReadAll(c.in)
	if err != nil {
		f.t.Fatalf("%.60q: %v", text, err)
	}
	return string(raw)
}

// Clients of HTTP/1.0 have no Host header and read no chunks: an answer of unknown length ends with the connection.
func TestForwardClientsOfHTTP10(t *testing.T) {
	f := newForwarded(t, nil)
	long := strings.Repeat("0123456789", 10_000)
	for answer, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello":                                           "hello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n": "hello world",
		"HTTP/1.0 200 OK\r\n\r\n" + long:                                                              long,
	} {
		addr, seen := f.sayer(answer)
		for _, host := range []string{"", "Host: " + addr + "\r\n"} {
			raw := f.exchangeRaw("GET http://" + addr + "/old HTTP/1.0\r\n" + host + "\r\n")
			head, body, _ := strings.Cut(raw, "\r\n\r\n")
			if body != want || strings.Contains(strings.ToLower(head), "transfer-encoding") || !strings.Contains(head, " 200 ") {
				t.Errorf("%.40q: %q and %d bytes", answer, head, len(body))
			}
		}
		if !strings.Contains(seen.String(), "Host: "+addr) {
			t.Errorf("without a Host the host sees %q", seen)
		}
	}
	addr, _ := f.sayer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	for _, host := range []string{"", "Host: " + addr + "\r\n"} {
		raw := f.exchangeRaw("CONNECT " + addr + " HTTP/1.0\r\n" + host + "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if !strings.HasSuffix(raw, "\r\n\r\nok") {
			t.Errorf("CONNECT of HTTP/1.0: %q", raw)
		}
	}
	old := strings.Replace(f.plain("PUT", "s3.test", "/data/key", "plain"), "HTTP/1.1", "HTTP/1.0", 1)
	if raw := f.exchangeRaw(old); !strings.Contains(raw, " 200 OK") {
		t.Errorf("S3: %q", raw)
	}
	f.eventually("no connection is left", func() bool { return f.s.conns.Count() == 0 })
}

// Clients of HTTP/1.0 know no interim answers, whatever they send.
func TestClientsOfHTTP10GetNoInterimAnswer(t *testing.T) {
	f := newFixture(t, nil)
	for version, interim := range map[string]bool{"HTTP/1.0": false, "HTTP/1.1": true} {
		c := f.dial()
		head := f.head("PUT", "/data/key", unsigned, "content-length", "5", "expect", "100-Continue", "connection", "close")
		_, _ = io.WriteString(c, strings.Replace(head, "HTTP/1.1", version, 1)+"hello")
		raw, _ := io.ReadAll(c)
		if got := strings.Contains(string(raw), " 100 "); got != interim || !strings.Contains(string(raw), " 200 OK") {
			t.Errorf("%s: %q", version, raw)
		}
	}
}

// Upgrade ends at a proxy, so a host that switches protocols all the same has not been asked to.
func TestForwardSwitchesNoProtocols(t *testing.T) {
	f := newForwarded(t, nil)
	addr, seen := f.sayer("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nframes")
	for _, upgrade := range []string{"websocket", "h2c"} {
		raw := f.exchangeRaw("GET http://" + addr + "/ HTTP/1.1\r\nHost: " + addr + "\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\nUpgrade: " + upgrade + "\r\n\r\n")
		if !strings.HasPrefix(raw, "HTTP/1.1 502 ") || strings.Contains(raw, "frames") {
			t.Errorf("%s: %q", upgrade, raw)
		}
	}
	if strings.Contains(strings.ToLower(seen.String()), "upgrade") || strings.Contains(seen.String(), "Http2") {
		t.Errorf("the host is asked to switch: %q", seen)
	}
	f.eventually("the log says why", func() bool { return strings.Contains(f.log.String(), "switches protocols unasked") })
}

// Versions of HTTP that s3veil does not speak are refused on both ports: whatever follows has other rules.
func TestOtherVersionsOfHTTPAreRefused(t *testing.T) {
	f := newForwarded(t, nil)
	addr, seen := f.sayer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	f.must("PUT", "/data/key", []byte("plain"))
	f.store.Forget()
	for _, version := range []string{"HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/11", "HTTP/1.1 HTTP/1.1", "http/1.1", "ICY/1.1"} {
		requests := map[string]string{
			"relay":   f.exchangeRaw("GET http://" + addr + "/ " + version + "\r\nHost: " + addr + "\r\n\r\n"),
			"CONNECT": f.exchangeRaw("CONNECT " + addr + " " + version + "\r\nHost: " + addr + "\r\n\r\n"),
			"S3":      f.exchangeRaw(strings.Replace(f.plain("GET", "s3.test", "/data/key", ""), "HTTP/1.1", version, 1)),
		}
		c := f.dial()
		_, _ = io.WriteString(c, strings.Replace(f.head("GET", "/data/key", unsigned), "HTTP/1.1", version, 1))
		raw, _ := io.ReadAll(c)
		requests["S3 port"] = string(raw)
		for what, got := range requests {
			if !strings.HasPrefix(got, "HTTP/1.1 400 ") {
				t.Errorf("%s, %s: %.200q", version, what, got)
			}
		}
	}
	for what, raw := range map[string]string{"preface of HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "no version": "GET http://" + addr + "/\r\n\r\n"} {
		if got := f.exchangeRaw(raw); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
			t.Errorf("%s: %.200q", what, got)
		}
	}
	if calls := f.store.Calls(); len(calls) > 0 || seen.String() != "" {
		t.Errorf("reached all the same: %+v, %q", calls, seen)
	}
}

// Header lines that two readers could split differently end in a refusal before anything is passed on.
func TestForwardRefusesDoubtfulHeaders(t *testing.T) {
	f := newForwarded(t, nil)
	addr, seen := f.sayer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	for _, lines := range []string{
		"X-A: a\rX-B: b\r\n", "X-A: a\x00b\r\n", "X-A: a\r\n b\r\n", " X-A: a\r\n", "X-A : a\r\n", "X\x00A: a\r\n", "X-A\r\n", ": a\r\n", "X-A: a\n\rX-B: b\r\n",
		"Transfer-Encoding: \x0bchunked\r\n", "Transfer-Encoding: chunked\x0b\r\n", "Transfer-Encoding: \"chunked\"\r\n", "Transfer-Encoding: chunked, identity\r\n",
		"Transfer-Encoding: identity\r\n", "Transfer-Encoding:\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
		"Content-Length: 5,5\r\n", "Content-Length: 5 5\r\n", "Content-Length: 0x5\r\n", "Content-Length: +5\r\n", "Content-Length: -1\r\n", "Content-Length:\r\n",
		"Content-Length: 18446744073709551621\r\n", "Content-Length: 5\x0b\r\n", "Host: " + addr + "\r\n",
	} {
		raw := f.exchangeRaw("POST http://" + addr + "/ HTTP/1.1\r\nHost: " + addr + "\r\n" + lines + "\r\nhello")
		if !strings.HasPrefix(raw, "HTTP/1.1 400 ") || strings.Count(raw, "HTTP/1.1 ") != 1 {
			t.Errorf("%q: %.200q", lines, raw)
		}
	}
	for _, target := range []string{"/a b", "/a\tb", "\r\nX: y"} {
		if raw := f.exchangeRaw("GET http://" + addr + target + " HTTP/1.1\r\nHost: " + addr + "\r\n\r\n"); !strings.HasPrefix(raw, "HTTP/1.1 400 ") {
			t.Errorf("%q: %.200q", target, raw)
		}
	}
	// Chunks that two readers could measure differently cut the request off.
	for _, body := range []string{"5\nhello\r\n0\r\n\r\n", "5;a\nb\r\nhello\r\n0\r\n\r\n", "5\r\nhello0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n",
		"10000000000000005\r\nhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "-1\r\nhello\r\n0\r\n\r\n"} {
		raw := f.exchangeRaw("POST http://" + addr + "/chunks HTTP/1.1\r\nHost: " + addr + "\r\nTransfer-Encoding: chunked\r\n\r\n" + body + "GET http://" + addr + "/hidden HTTP/1.1\r\nHost: " + addr + "\r\n\r\n")
		if strings.Count(raw, "HTTP/1.1 ") > 1 {
			t.Errorf("%q: %q", body, raw)
		}
	}
	if text := seen.String(); strings.Contains(text, "hidden") || strings.Count(text, "POST") > strings.Count(text, "/chunks") {
		t.Errorf("the host sees\n%s", text)
	}
}
