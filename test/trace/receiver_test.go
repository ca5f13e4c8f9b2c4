package trace

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// receiver is a collector: it takes OTLP over HTTP and keeps spans and heads.
type receiver struct {
	*httptest.Server
	t *testing.T

	mu    sync.Mutex
	spans []*tracepb.Span
	raw   []byte // every byte that arrived, heads without their values
	heads []http.Header
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{t: t}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var data tracepb.TracesData
	if err == nil {
		err = proto.Unmarshal(body, &data)
	}
	if err != nil || req.Method != http.MethodPost || req.URL.Path != "/v1/traces" || req.Header.Get("Content-Type") != "application/x-protobuf" {
		http.Error(w, fmt.Sprint(err), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heads, r.raw = append(r.heads, req.Header), append(r.raw, body...)
	for _, rs := range data.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			r.spans = append(r.spans, ss.Spans...)
		}
	}
}

// all are the spans so far, in order of their beginning.
func (r *receiver) all() []*tracepb.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	spans := slices.Clone(r.spans)
	slices.SortStableFunc(spans, func(a, b *tracepb.Span) int { return int(int64(a.StartTimeUnixNano) - int64(b.StartTimeUnixNano)) })
	return spans
}

// await returns the first span of a name that fits, once it and its trace have arrived: a span is sent when it has ended, and
// what is below it ends before.
func (r *receiver) await(name string, fits func(*tracepb.Span) bool) *tracepb.Span {
	r.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for _, s := range r.all() {
			if s.Name == name && (fits == nil || fits(s)) {
				return s
			}
		}
	}
	r.t.Fatalf("no span %q; there are\n%s", name, r.forest())
	return nil
}

// about fits spans of a request for a key.
func about(key string) func(*tracepb.Span) bool {
	return func(s *tracepb.Span) bool { return value(s, "aws.s3.key") == key }
}

// tree draws a span and what is below it.
func (r *receiver) tree(s *tracepb.Span) string {
	var out strings.Builder
	r.draw(&out, s, 0)
	return out.String()
}

func (r *receiver) draw(out *strings.Builder, s *tracepb.Span, depth int) {
	fmt.Fprintf(out, "%s%s\n", strings.Repeat("  ", depth), s.Name)
	for _, below := range r.all() {
		if string(below.TraceId) == string(s.TraceId) && string(below.ParentSpanId) == string(s.SpanId) {
			r.draw(out, below, depth+1)
		}
	}
}

// forest draws all.
func (r *receiver) forest() string {
	var out strings.Builder
	for _, s := range r.all() {
		if s.Kind == tracepb.Span_SPAN_KIND_SERVER {
			r.draw(&out, s, 0)
		}
	}
	return out.String()
}

// below finds a span of a name below another.
func (r *receiver) below(s *tracepb.Span, name string) *tracepb.Span {
	r.t.Helper()
	for _, b := range r.all() {
		if b.Name == name && string(b.TraceId) == string(s.TraceId) {
			return b
		}
	}
	r.t.Fatalf("no span %q in\n%s", name, r.tree(s))
	return nil
}

// value is an attribute in words, empty for none.
func value(s *tracepb.Span, key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			if text := a.Value.GetStringValue(); text != "" {
				return text
			}
			return strconv.FormatInt(a.Value.GetIntValue(), 10)
		}
	}
	return ""
}
