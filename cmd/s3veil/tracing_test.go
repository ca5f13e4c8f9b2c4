package main

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"s3veil/proxy"
)

// receiver is a collector that keeps what it is sent.
type receiver struct {
	*httptest.Server
	status atomic.Int64  // answered; 0: 200
	hold   chan struct{} // answers wait until it is closed; nil: they do not

	mu    sync.Mutex
	heads []http.Header
	spans []*tracepb.Span
	from  []string // resource attributes
}

func newReceiver(t *testing.T, tls bool) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewUnstartedServer(r)
	if tls {
		r.StartTLS()
	} else {
		r.Start()
	}
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var data tracepb.TracesData
	if err == nil {
		err = proto.Unmarshal(body, &data)
	}
	if err != nil || req.URL.Path != "/v1/traces" || req.Header.Get("Content-Type") != "application/x-protobuf" {
		http.Error(w, fmt.Sprint(req.URL, err), http.StatusBadRequest)
		return
	}
	if r.hold != nil {
		<-r.hold
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heads = append(r.heads, req.Header)
	if status := int(r.status.Load()); status != 0 {
		w.WriteHeader(status)
		return
	}
	for _, rs := range data.ResourceSpans {
		for _, a := range rs.Resource.Attributes {
			r.from = append(r.from, a.Key+"="+a.Value.GetStringValue())
		}
		for _, ss := range rs.ScopeSpans {
			r.spans = append(r.spans, ss.Spans...)
		}
	}
}

func (r *receiver) seen() (requests, spans int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.heads), len(r.spans)
}

func (r *receiver) target() *collectorTarget {
	return newCollectorTarget(r.URL+"/v1/traces", http.Header{"X-Key": {"secret"}}, nil)
}

// newTestTracing is a tracing that sends to a collector.
func newTestTracing(t *testing.T, to *collectorTarget) (*tracing, *lockedText) {
	out := &lockedText{}
	tr := newTracing(slog.New(slog.NewTextHandler(out, nil)), prometheus.NewRegistry())
	tr.client.pause = time.Millisecond
	tr.use(to)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		tr.end(ctx)
	})
	return tr, out
}

// lockedText is a log.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// spansOf makes n spans.
func (t *tracing) spansOf(n int) {
	tracer := t.tracer("test")
	for range n {
		_, s := tracer.Start(context.Background(), "span")
		s.End()
	}
}

func (t *tracing) counted(result string) int {
	return int(testutil.ToFloat64(t.spans.WithLabelValues(result)))
}

// flush waits until everything that waits has been sent or lost.
func (t *tracing) flush(test *testing.T) {
	test.Helper()
	if err := t.provider.ForceFlush(test.Context()); err != nil {
		test.Fatal(err)
	}
}

func TestSpansReachTheCollector(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
	t.Setenv("OTEL_TRACES_SAMPLER", "always_off")
	r := newReceiver(t, false)
	tr, _ := newTestTracing(t, r.target())
	tr.spansOf(3)
	tr.flush(t)
	if r.target().client.Transport.(*http.Transport).Proxy != nil {
		t.Error("variables of the environment name a proxy")
	}
	if requests, spans := r.seen(); requests != 1 || spans != 3 || r.heads[0].Get("X-Key") != "secret" {
		t.Errorf("%d requests, %d spans, %v", requests, spans, r.heads)
	}
	from := strings.Join(r.from, " ")
	for _, want := range []string{"service.name=test", "service.version=", "service.instance.id=", "deployment.environment=test"} {
		if !strings.Contains(from, want) {
			t.Errorf("no %s in %s", want, from)
		}
	}
	if tr.counted("sent") != 3 || tr.counted("failed")+tr.counted("dropped") != 0 {
		t.Errorf("counted %d, %d, %d", tr.counted("sent"), tr.counted("failed"), tr.counted("dropped"))
	}
}

func TestCollectorIsAskedAgainWhereThatHelps(t *testing.T) {
	for status, again := range map[int]bool{429: true, 502: true, 503: true, 504: true, 400: false, 401: false, 500: false, 307: false} {
		r := newReceiver(t, false)
		r.status.Store(int64(status))
		tr, out := newTestTracing(t, r.target())
		tr.spansOf(1)
		if again {
			go func() {
				for n := 0; n < 2; n, _ = r.seen() {
					time.Sleep(time.Millisecond)
				}
				r.status.Store(0)
			}()
		}
		tr.flush(t)
		requests, spans := r.seen()
		if (requests > 1) != again || (spans == 1) != again || (tr.counted("failed") == 0) != again {
			t.Errorf("%d: %d requests, %d spans, %d failed: %s", status, requests, spans, tr.counted("failed"), out)
		}
		if strings.Contains(out.String(), "secret") {
			t.Errorf("the log shows a header: %s", out)
		}
	}
}

func TestRedirectsOfTheCollectorAreNotFollowed(t *testing.T) {
	other := newReceiver(t, false)
	r := httptest.NewServer(http.RedirectHandler(other.URL+"/v1/traces", http.StatusTemporaryRedirect))
	defer r.Close()
	tr, _ := newTestTracing(t, newCollectorTarget(r.URL, http.Header{"X-Key": {"secret"}}, nil))
	tr.spansOf(1)
	tr.flush(t)
	if requests, _ := other.seen(); requests > 0 || tr.counted("failed") != 1 {
		t.Errorf("%d requests, %d failed", requests, tr.counted("failed"))
	}
}

// A collector that hangs costs the spans beyond the queue, and nothing else.
func TestSpansThatCannotWaitAreDroppedAndCounted(t *testing.T) {
	r := newReceiver(t, false)
	r.hold = make(chan struct{})
	tr, _ := newTestTracing(t, r.target())
	tr.spansOf(spansWaiting + 1000)
	if got := tr.counted("dropped"); got != 1000 {
		t.Errorf("%d spans dropped", got)
	}
	close(r.hold)
	tr.flush(t)
	if _, spans := r.seen(); spans != spansWaiting || tr.counted("sent") != spansWaiting {
		t.Errorf("%d spans arrived, %d counted", spans, tr.counted("sent"))
	}
	tr.spansOf(10)
	tr.flush(t)
	if _, spans := r.seen(); spans != spansWaiting+10 {
		t.Errorf("%d spans arrived after the jam", spans)
	}
}

func TestCollectorThatIsAwayIsLoggedOnce(t *testing.T) {
	r := newReceiver(t, false)
	r.status.Store(400)
	tr, out := newTestTracing(t, r.target())
	for range 5 {
		tr.spansOf(1)
		tr.flush(t)
	}
	r.status.Store(0)
	for range 5 {
		tr.spansOf(1)
		tr.flush(t)
	}
	if strings.Count(out.String(), "does not take spans") != 1 || strings.Count(out.String(), "takes spans again") != 1 || strings.Count(out.String(), "\n") != 2 {
		t.Errorf("log:\n%s", out)
	}
}

func TestLastSpansAreSentAtTheEnd(t *testing.T) {
	r := newReceiver(t, false)
	tr, _ := newTestTracing(t, r.target())
	tr.spansOf(3)
	tr.end(t.Context())
	if _, spans := r.seen(); spans != 3 {
		t.Errorf("%d spans", spans)
	}
}

func TestCollectorWithTLSAndWithout(t *testing.T) {
	r := newReceiver(t, true)
	dir := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw})
	write(t, filepath.Join(dir, "ca.pem"), string(ca))
	write(t, filepath.Join(dir, "token"), "Bearer secret\n")
	for trusted, want := range map[string]int{"ca_file: ca.pem, ": 1, "": 0} {
		patience := time.Minute
		if trusted == "" {
			patience = 300 * time.Millisecond
		}
		file := write(t, filepath.Join(dir, "c.yaml"), fmt.Sprintf(
			"trace: {endpoint: %s, %sheaders: [{name: authorization, value_file: token}]}\n", r.URL, trusted))
		l := load(sources{File: file})
		l.checkTrace()
		_, target := l.tracing(slog.New(slog.DiscardHandler))
		if l.bad != nil {
			t.Fatal(l.bad)
		}
		tr, out := newTestTracing(t, target)
		tr.spansOf(1)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_ = tr.provider.ForceFlush(ctx)
		cancel()
		r.mu.Lock()
		if len(r.spans) != want || want > 0 && r.heads[0].Get("Authorization") != "Bearer secret" {
			t.Errorf("%q: %d spans, %v: %s", trusted, len(r.spans), r.heads, out)
		}
		r.spans, r.heads = nil, nil
		r.mu.Unlock()
	}
}

func TestNoTracerWithoutTracing(t *testing.T) {
	tr, _ := newTestTracing(t, nil)
	if tr.settings(&wired{}, "x") != nil || tr.provider != nil {
		t.Error("tracing is on")
	}
	if with := tr.settings(&wired{tracing: &proxy.Tracing{Ratio: 0.5}}, "x"); with == nil || with.Tracer == nil || with.Ratio != 0.5 || tr.nameOr("y") != "x" {
		t.Errorf("tracing is %+v", with)
	}
}
