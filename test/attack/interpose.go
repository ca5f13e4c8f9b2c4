package attack

import (
	"bytes"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"s3veil/test/servers"
)

// Interposer stands between s3veil and its store: it passes requests on byte for byte, with the Host they were signed for,
// and lets a hook change answers, drop connections or refuse.
type Interposer struct {
	*httptest.Server
	mu   sync.Mutex
	hook func(req *http.Request, resp *http.Response) Verdict
	seen []string // "METHOD path?query" of every request since the last Hook
	sent map[string]string
}

// Verdict is what becomes of an answer.
type Verdict int

// Pass sends the answer on, Cut sends its head and half its body and breaks the connection, Drop breaks it at once.
const (
	Pass Verdict = iota
	Cut
	Drop
)

// Interpose starts an interposer in front of a store and returns a store that names it as its endpoint.
func Interpose(t *testing.T, store *servers.Store) (*Interposer, *servers.Store) {
	t.Helper()
	target, err := url.Parse(store.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p := &Interposer{sent: map[string]string{}}
	tr := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, target, tr) }))
	t.Cleanup(func() { p.Close(); tr.CloseIdleConnections() })
	front := *store
	front.Endpoint = p.URL
	return p, &front
}

// Hook sets what happens to answers; nil passes everything.
func (p *Interposer) Hook(f func(req *http.Request, resp *http.Response) Verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hook, p.seen, p.sent = f, nil, map[string]string{}
}

// Sent returns the header fields of all requests since the last Hook, names in lower case.
func (p *Interposer) Sent() map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.sent)
}

// Seen returns the requests since the last Hook.
func (p *Interposer) Seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.seen...)
}

func (p *Interposer) serve(w http.ResponseWriter, r *http.Request, target *url.URL, tr *http.Transport) {
	p.mu.Lock()
	hook := p.hook
	p.seen = append(p.seen, r.Method+" "+r.RequestURI)
	for k, v := range r.Header {
		p.sent[strings.ToLower(k)] = strings.Join(v, ", ")
	}
	p.mu.Unlock()
	out := r.Clone(r.Context())
	path, query, _ := strings.Cut(r.RequestURI, "?")
	out.RequestURI, out.Host = "", r.Host
	out.URL = &url.URL{Scheme: "http", Host: target.Host, Opaque: "//" + r.Host + path, RawQuery: query}
	// Opaque carries the path as it stood; the connection goes to the store.
	resp, err := (&http.Client{Transport: redirected{tr, target.Host}, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}).Do(out)
	if err != nil {
		abort(w)
		return
	}
	defer resp.Body.Close()
	verdict := Pass
	if hook != nil {
		verdict = hook(r, resp)
	}
	if verdict == Drop {
		abort(w)
		return
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		abort(w)
		return
	}
	for k, v := range resp.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(resp.StatusCode)
	if verdict == Cut {
		w.Write(body[:len(body)/2])
		w.(http.Flusher).Flush()
		abort(w)
		return
	}
	w.Write(body)
}

// redirected sends every request to one host.
type redirected struct {
	*http.Transport
	host string
}

func (t redirected) RoundTrip(r *http.Request) (*http.Response, error) {
	r.URL.Host = t.host
	if p, ok := strings.CutPrefix(r.URL.Opaque, "//"); ok {
		_, path, _ := strings.Cut(p, "/")
		r.URL.Opaque = "//" + t.host + "/" + path
	}
	return t.Transport.RoundTrip(r)
}

// abort breaks the connection.
func abort(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

// setBody replaces the body of an answer.
func setBody(resp *http.Response, b []byte) {
	resp.Body = io.NopCloser(bytes.NewReader(b))
	resp.ContentLength = int64(len(b))
}
