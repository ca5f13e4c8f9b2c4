package proxy

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"s3veil/keycache"
	"s3veil/proxy/head"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3op"
	"s3veil/proxy/upstream"
)

// Tracing are the settings of traces (docs/OPERATIONS.md, Traces). What is recorded is decided here, once per request: a
// request that is not recorded costs nothing further.
type Tracing struct {
	// Tracer makes spans. It records whatever it is asked for, must not block, and serves many goroutines.
	Tracer trace.Tracer
	// Ratio is the share of requests recorded, from 0 to 1, among those without a parent that counts.
	Ratio float64
	// ParentFrom are the networks whose traceparent counts: its trace goes on, and its decision to record or not is taken. A
	// traceparent from elsewhere decides nothing; it becomes a link where the request is recorded anyway.
	ParentFrom []netip.Prefix
	// Keys puts names of objects into spans.
	Keys bool
}

// maxSteps bounds the spans of one request below its own: a listing can take a thousand requests to the store.
const maxSteps = 128

// recording is a request that is being traced.
type recording struct {
	with *Tracing
	root step
	left atomic.Int32 // steps that may still be begun
	lost atomic.Int32
}

// beginTrace decides whether the request is recorded, and if so begins its span. It is called with head and source known.
func (x *exchange) beginTrace() {
	if t := x.st.settings.Tracing; t != nil && x.recording == nil {
		x.recording = t.begin(x)
	}
}

// begin returns nil for requests that are not recorded.
func (t *Tracing) begin(x *exchange) *recording {
	sent := x.head.Has("traceparent")
	var parent trace.SpanContext
	counts := sent && t.trusts(x.source)
	if counts {
		parent = x.sentParent()
		counts = parent.IsValid()
	}
	if counts && !parent.IsSampled() || !counts && rand.Float64() >= t.Ratio {
		return nil
	}
	options := []trace.SpanStartOption{trace.WithTimestamp(x.start), trace.WithSpanKind(trace.SpanKindServer)}
	ctx := context.Background()
	if counts {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	} else if sent {
		if other := x.sentParent(); other.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: other.WithTraceState(trace.TraceState{})}))
		}
	}
	r := &recording{with: t}
	r.left.Store(maxSteps)
	r.root.of = r
	r.root.ctx, r.root.span = t.Tracer.Start(ctx, "request", options...)
	return r
}

func (t *Tracing) trusts(source netip.Addr) bool {
	for _, p := range t.ParentFrom {
		if p.Contains(source) {
			return true
		}
	}
	return false
}

// sentParent is the trace context of the request's head (https://www.w3.org/TR/trace-context/), invalid where it is not one, or
// stands twice.
func (x *exchange) sentParent() trace.SpanContext {
	ctx := propagation.TraceContext{}.Extract(context.Background(), headCarrier{&x.head})
	return trace.SpanContextFromContext(ctx)
}

// headCarrier shows a head to the library. It keeps nothing that does not belong to the head, which owns its strings.
type headCarrier struct{ h *head.Head }

func (c headCarrier) Get(name string) string { return strings.Clone(c.h.Joined(name)) }
func (c headCarrier) Set(string, string)     {}
func (c headCarrier) Keys() []string         { return nil }

// traceID is the id of the request's trace in hexadecimal digits, empty where it is not recorded.
func (x *exchange) traceID() string {
	if x.recording == nil {
		return ""
	}
	return x.recording.root.span.SpanContext().TraceID().String()
}

// endTrace ends the span of the request. The exchange's status and code are final by now.
func (x *exchange) endTrace() {
	r := x.recording
	if r == nil {
		return
	}
	p := &r.root
	name := orDefault(string(x.req.Op), "request")
	p.span.SetName(name)
	port := "s3"
	if x.via != nil {
		port = "forward"
	}
	p.span.SetAttributes(
		attribute.String("s3veil.operation", name), attribute.String("s3veil.port", port), attribute.String("s3veil.request_id", x.id),
		attribute.String("http.request.method", x.head.Method), attribute.Int("http.response.status_code", x.note.status),
		attribute.Int64("s3veil.bytes_in", x.note.in), attribute.Int64("s3veil.bytes_out", x.note.out))
	p.text("aws.s3.bucket", x.req.Bucket)
	if r.with.Keys {
		p.text("aws.s3.key", x.req.Key)
	}
	p.text("s3veil.upstream_request_id", x.storeID)
	p.text("s3veil.key_id", x.note.kid)
	p.text("s3veil.class", x.note.class)
	if x.via != nil && x.via.other {
		p.text("server.address", x.via.target.Host)
	}
	if lost := r.lost.Load(); lost > 0 {
		p.span.SetAttributes(attribute.Int("s3veil.spans_left_out", int(lost)))
	}
	if _, err := strconv.Atoi(x.code); err != nil && x.code != "" {
		p.text("error.type", x.code)
		// What a client has done wrong is no error of this server's; a success that did not come to its end is one.
		if x.note.class != "" || x.note.status >= 500 || x.note.status < 400 {
			p.span.SetStatus(codes.Error, x.code)
		}
	}
	p.span.End()
}

// step is one step of a recorded request. The methods of a nil step do nothing.
type step struct {
	of   *recording
	ctx  context.Context // holds the span, for those below it
	span trace.Span
	sent atomic.Int32 // requests to the store
}

// step begins a step, nil where the request is not recorded.
func (x *exchange) step(name string) *step {
	if x.recording == nil {
		return nil
	}
	return x.recording.root.begin(name, trace.SpanKindInternal, time.Now())
}

func (p *step) begin(name string, kind trace.SpanKind, at time.Time) *step {
	if p.of.left.Add(-1) < 0 {
		p.of.lost.Add(1)
		return nil
	}
	below := &step{of: p.of}
	below.ctx, below.span = p.of.with.Tracer.Start(p.ctx, name, trace.WithSpanKind(kind), trace.WithTimestamp(at))
	return below
}

// text sets an attribute, unless it is empty. The value is copied: it may be a piece of a request's head.
func (p *step) text(key, value string) {
	if p != nil && value != "" {
		p.span.SetAttributes(attribute.String(key, strings.Clone(value)))
	}
}

// end ends a step. Of an error the span holds the code that a client would see: causes are for the log.
func (p *step) end(err error) {
	if p == nil {
		return
	}
	if err != nil {
		p.fail(err)
	}
	p.span.End()
}

func (p *step) fail(err error) {
	e := s3err.From(err)
	code := e.Code
	if errors.Is(err, errClientGone) {
		code = clientGone
	}
	p.text("error.type", code)
	p.text("s3veil.class", e.Class)
	p.span.SetStatus(codes.Error, code)
}

// stepKey is where a context holds the step that is waiting for the callee.
type stepKey struct{}

// in is ctx for a callee that reports what it does.
func (p *step) in(ctx context.Context) context.Context {
	if p == nil {
		return ctx
	}
	return context.WithValue(ctx, stepKey{}, p)
}

// stepOf is the step that waits in a context, nil for none.
func stepOf(ctx context.Context) *step {
	if ctx == nil {
		return nil
	}
	p, _ := ctx.Value(stepKey{}).(*step)
	return p
}

// storeStep begins a request to the store. It ends with the head of the answer.
func (x *exchange) storeStep(c *upstream.Client, r *upstream.Request) *step {
	if x.recording == nil {
		return nil
	}
	p := x.recording.root.begin("store "+r.Op, trace.SpanKindClient, time.Now())
	p.text("s3veil.upstream", c.Name())
	p.text("http.request.method", r.Method)
	if p != nil && s3op.Reserved(r.Key) {
		p.span.SetAttributes(attribute.Bool("s3veil.reserved", true))
	}
	return p
}

// ask sends a request to a store.
func (x *exchange) ask(ctx context.Context, c *upstream.Client, r *upstream.Request) (*upstream.Response, error) {
	asking := x.storeStep(c, r)
	resp, err := c.Do(asking.in(ctx), r)
	asking.answered(resp, err)
	return resp, err
}

// traceUpstream counts what was sent to the store for a step that waits for it.
func traceUpstream(e upstream.Event) {
	if p := stepOf(e.Context); p != nil && e.Kind == "request" {
		p.sent.Add(1)
	}
}

// answered ends a request to the store.
func (p *step) answered(resp *upstream.Response, err error) {
	if p == nil {
		return
	}
	if again := p.sent.Load() - 1; again > 0 {
		p.span.SetAttributes(attribute.Int("http.request.resend_count", int(again)))
	}
	if err == nil {
		p.span.SetAttributes(attribute.Int("http.response.status_code", resp.Status))
		if resp.Status >= 500 {
			p.text("error.type", statusText(resp.Status))
			p.span.SetStatus(codes.Error, statusText(resp.Status))
		}
	}
	p.end(err)
}

// keyStep begins a step that waits for the key cache.
func (x *exchange) keyStep(name, kid string) *step {
	p := x.step(name)
	p.text("s3veil.key_id", kid)
	return p
}

// traceKeys takes what the key cache reports about a step that waits for it.
func traceKeys(e keycache.Event) {
	p := stepOf(e.Context)
	if p == nil {
		return
	}
	if e.Kind != "kms" {
		p.text("s3veil.cache", e.Kind)
		return
	}
	now := time.Now()
	call := p.begin("kms "+e.Op, trace.SpanKindClient, now.Add(-time.Duration(e.Seconds*float64(time.Second))))
	call.text("s3veil.key_id", e.KID)
	call.end(e.Err)
}
