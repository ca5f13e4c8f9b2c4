package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"s3veil/proxy/forward"
	"s3veil/sigv4"
)

// forwarded is a fixture with a forward port. S3 hosts are those of AWS and s3.test; every other name is this machine.
type forwarded struct {
	*fixture
	port  string // host:port of the forward port
	roots *x509.CertPool
	log   *lockedLog
}

func newForwarded(t *testing.T, change func(*Settings, *forward.Options)) *forwarded {
	t.Helper()
	cert, key, err := forward.NewCA([]string{"aws", "s3.test"}, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := forward.ParseCA(cert, key, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	f := &forwarded{roots: x509.NewCertPool(), log: &lockedLog{}}
	f.roots.AppendCertsFromPEM(cert)
	f.fixture = newFixture(t, func(set *Settings, opts *Options) {
		o := &forward.Options{Hosts: []string{"aws", "s3.test"}, CA: ca, Tunnel: true, Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			switch host {
			case "metadata.test":
				return []netip.Addr{netip.MustParseAddr("169.254.169.254")}, nil
			case "private.test":
				return []netip.Addr{netip.MustParseAddr("10.1.2.3")}, nil
			case "unknown.test":
				return nil, errors.New("no such host")
			}
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}}
		opts.Log, opts.restAfter = slog.New(slog.NewTextHandler(f.log, nil)), time.Millisecond
		if change != nil {
			change(set, o)
		}
		set.Forward = o
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.port = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- f.s.ServeForward(ln) }()
	t.Cleanup(func() { ln.Close(); <-served })
	return f
}

// connection is a connection to the forward port.
type connection struct {
	t testing.TB
	net.Conn
	in *bufio.Reader
}

func (f *forwarded) connect() *connection {
	f.t.Helper()
	c, err := net.Dial("tcp", f.port)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return &connection{f.t, c, bufio.NewReader(c)}
}

// ask sends text and reads one answer.
func (c *connection) ask(method, text string) (*http.Response, string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
	resp, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("%.80q: %v", text, err)
	}
	if method == "CONNECT" && resp.StatusCode == 200 {
		return resp, ""
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("%.80q: %v", text, err)
	}
	return resp, string(body)
}

// closed reports whether the other side ends the connection.
func (c *connection) closed() bool {
	_, err := c.in.ReadByte()
	return errors.Is(err, io.EOF)
}

// signed is a request signed for host, whose request line has the given target in front of the path.
func (f *forwarded) signed(method, authority, host, target, body string, cred sigv4.Credential, region string) string {
	f.t.Helper()
	path, query, _ := strings.Cut(target, "?")
	r := &sigv4.Request{Method: method, Path: path, Query: query, Host: host, Header: []sigv4.Field{{Name: "content-length", Value: strconv.Itoa(len(body))}}}
	if _, err := f.sign.Sign(r, cred, region, "s3", unsigned, time.Now()); err != nil {
		f.t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s%s HTTP/1.1\r\nHost: %s\r\n", method, authority, target, host)
	for _, h := range r.Header {
		fmt.Fprintf(&b, "%s: %s\r\n", h.Name, h.Value)
	}
	return b.String() + "\r\n" + body
}

// plain is a signed request in absolute form.
func (f *forwarded) plain(method, host, target, body string) string {
	return f.signed(method, "http://"+host, host, target, body, testCredential, "eu-west-1")
}

// other is a host that is none of S3: it answers every request with what it was asked, and keeps the heads.
func (f *forwarded) other() (addr string, heads *lockedLog) {
	heads = &lockedLog{}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(heads, "%s %s host=%s len=%d body=%d %v\n", r.Method, r.RequestURI, r.Host, r.ContentLength, len(body), r.Header)
		w.Header().Set("X-Other", "yes")
		_, _ = w.Write(body)
	})}
	go func() { _ = srv.Serve(ln) }()
	f.t.Cleanup(func() { srv.Close() })
	return ln.Addr().String(), heads
}

// lockedLog collects text from several goroutines.
type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
