package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"s3veil/crypto/kms/kmstest"
	"s3veil/crypto/stream"
	"s3veil/keycache"
	"s3veil/proxy/audit"
	"s3veil/proxy/policy"
	"s3veil/proxy/proxytest"
	"s3veil/proxy/s3op"
	"s3veil/proxy/upstream"
	"s3veil/sigv4"
)

var testCredential = sigv4.Credential{AccessKey: "app", Secret: "a secret of the tests"}

// staticCredential is what the proxy signs with; the store of the tests does not look.
type staticCredential struct{}

func (staticCredential) Retrieve(context.Context) (sigv4.Credential, error) {
	return sigv4.Credential{AccessKey: "store", Secret: "another secret"}, nil
}
func (staticCredential) Expired() {}

// fixture is a proxy in front of a store in memory, over loopback.
type fixture struct {
	t     testing.TB
	store *proxytest.Store
	s     *Server
	addr  string
	audit *auditLog
	sign  sigv4.Signer
}

// auditLog keeps audit lines.
type auditLog struct {
	mu    sync.Mutex
	lines []audit.Record
}

func (l *auditLog) Write(r audit.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, r)
	return nil
}

func (l *auditLog) all() []audit.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]audit.Record(nil), l.lines...)
}

// newFixture starts both, with bucket "data". change may alter settings and options.
func newFixture(t testing.TB, change func(*Settings, *Options)) *fixture {
	t.Helper()
	f := &fixture{t: t, store: proxytest.New(t, "data"), audit: &auditLog{}}
	everything := []policy.Rule{{Buckets: []string{"*"}, Actions: []s3op.Class{s3op.Read, s3op.Write, s3op.Delete, s3op.Admin}}}
	set := Settings{
		Upstreams: []Upstream{{Options: upstream.Options{Name: "default", Endpoint: f.store.URL, Region: "us-east-1", PathStyle: true,
			Credentials: staticCredential{}, Payload: upstream.Trailer, Answer: 20 * time.Second}, MinPart: 1}},
		Clients:  []Client{{Credential: testCredential, Policy: policy.Client{AccessKey: "app", Rules: everything}}},
		Buckets:  []Bucket{{Name: "*", Key: "main"}},
		KEKs:     []keycache.KEK{{KID: "main", Provider: kmstest.NewMemory("main"), Name: "main"}},
		Families: map[string][]string{"main": {"main"}},
		Write:    stream.AES256GCM, Read: []stream.Suite{stream.AES256GCM},
	}
	opts := Options{Log: slog.New(slog.DiscardHandler), Audit: f.audit}
	if change != nil {
		change(&set, &opts)
	}
	s, err := New(opts, set)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.s, f.addr = s, ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = s.Shutdown(ctx)
		ln.Close()
		<-served
	})
	return f
}

// head returns a signed request head. target is path and query; header holds name, value, …
func (f *fixture) head(method, target, payload string, header ...string) string {
	f.t.Helper()
	path, query, _ := strings.Cut(target, "?")
	r := &sigv4.Request{Method: method, Path: path, Query: query, Host: f.addr}
	for i := 0; i < len(header); i += 2 {
		r.Header = append(r.Header, sigv4.Field{Name: header[i], Value: header[i+1]})
	}
	if _, err := f.sign.Sign(r, testCredential, "us-east-1", "s3", payload, time.Now()); err != nil {
		f.t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, target, f.addr)
	for _, h := range r.Header {
		fmt.Fprintf(&b, "%s: %s\r\n", h.Name, h.Value)
	}
	return b.String() + "\r\n"
}

const unsigned = "UNSIGNED-PAYLOAD"

// do sends one signed request on a connection of its own and returns the whole answer.
func (f *fixture) do(method, target string, body []byte, header ...string) (*http.Response, []byte) {
	f.t.Helper()
	r, err := http.NewRequest(method, "http://"+f.addr+target, bytes.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(f.head(method, target, unsigned, header...)), "\r\n")[2:] {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	resp, err := client.Do(r)
	if err != nil {
		f.t.Fatalf("%s %s: %v", method, target, err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatalf("%s %s: %v", method, target, err)
	}
	return resp, got
}

// must is do for requests that have to succeed.
func (f *fixture) must(method, target string, body []byte, header ...string) (*http.Response, []byte) {
	f.t.Helper()
	resp, got := f.do(method, target, body, header...)
	if resp.StatusCode/100 != 2 {
		f.t.Fatalf("%s %s: %d %s", method, target, resp.StatusCode, got)
	}
	return resp, got
}

// dial opens a connection to the proxy.
func (f *fixture) dial() net.Conn {
	f.t.Helper()
	c, err := net.Dial("tcp", f.addr)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// eventually waits for something that another goroutine is about to do.
func (f *fixture) eventually(what string, ok func() bool) {
	f.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	f.t.Fatalf("not within 10 s: %s", what)
}

// idle waits until every exchange has ended.
func (f *fixture) idle() {
	f.t.Helper()
	f.eventually("no exchange in flight", func() bool { return f.s.active.Load() == 0 })
}
