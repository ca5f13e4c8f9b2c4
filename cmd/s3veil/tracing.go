package main

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"s3veil/proxy"
)

const (
	// spansWaiting bounds the spans that wait for the collector. Beyond, spans are dropped; requests never wait.
	spansWaiting = 4096
	spansAtOnce  = 512
	spansEvery   = 2 * time.Second
	// spansTime is the time for one batch, tries and pauses together.
	spansTime = 10 * time.Second
	// spansEnd is how long the end of the program waits for the last spans to be sent, within limits.drain.
	spansEnd = 3 * time.Second
)

// tracing makes spans and sends them, from the first configuration on that asks for it.
type tracing struct {
	log    *slog.Logger
	client *otlpClient
	spans  *prometheus.CounterVec

	mu       sync.Mutex
	name     string // service.name
	provider *sdktrace.TracerProvider
}

func newTracing(log *slog.Logger, metrics prometheus.Registerer) *tracing {
	t := &tracing{log: log, client: &otlpClient{pause: 500 * time.Millisecond},
		spans: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "s3veil_trace_spans_total",
			Help: "Spans of traces: sent; failed, because the collector did not take them; dropped, because too many were waiting."}, []string{"result"})}
	metrics.MustRegister(t.spans)
	for _, result := range []string{"sent", "failed", "dropped"} {
		t.spans.WithLabelValues(result)
	}
	return t
}

// settings are those of a configuration with the tracer, nil where tracing is off.
func (t *tracing) settings(w *wired, service string) *proxy.Tracing {
	if w.tracing == nil {
		return nil
	}
	with := *w.tracing
	with.Tracer = t.tracer(service)
	return &with
}

// tracer returns the tracer, made at the first call.
func (t *tracing) tracer(service string) trace.Tracer {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.provider == nil {
		// Without a handler of its own the library writes to stderr past the log.
		otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { t.log.Debug("tracing", "cause", err.Error()) }))
		t.name = service
		t.provider = sdktrace.NewTracerProvider(
			sdktrace.WithSampler(sdktrace.AlwaysSample()), // package proxy has decided
			sdktrace.WithResource(traceResource(service)),
			sdktrace.WithRawSpanLimits(sdktrace.SpanLimits{AttributeValueLengthLimit: 1024, AttributeCountLimit: 64, EventCountLimit: 16,
				LinkCountLimit: 4, AttributePerEventCountLimit: 8, AttributePerLinkCountLimit: 8}),
			sdktrace.WithSpanProcessor(newSpanQueue(otlptrace.NewUnstarted(t.client), t)))
	}
	return t.provider.Tracer("s3veil")
}

// traceResource describes this process. OTEL_RESOURCE_ATTRIBUTES adds to it.
func traceResource(service string) *resource.Resource {
	attributes := []attribute.KeyValue{attribute.String("service.name", service), attribute.String("service.version", buildVersion())}
	if host, err := os.Hostname(); err == nil {
		attributes = append(attributes, attribute.String("service.instance.id", host))
	}
	return resource.NewSchemaless(attributes...)
}

// use sends spans to a collector from now on. Without one, those of requests still under way go where the others went.
func (t *tracing) use(target *collectorTarget) {
	if target != nil {
		t.client.use(target)
	}
}

// nameOr is the name that spans go under, which a reload cannot change, or configured while none is settled.
func (t *tracing) nameOr(configured string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return cmp.Or(t.name, configured)
}

// end sends what is waiting, as far as there is time.
func (t *tracing) end(ctx context.Context) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.provider == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, spansEnd)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.Warn("stopped with spans that the collector has not taken")
	}
}

// spanQueue bounds what waits for the exporter, which nothing else knows the number of.
type spanQueue struct {
	sdktrace.SpanProcessor
	exporter sdktrace.SpanExporter
	t        *tracing
	waiting  atomic.Int64
	away     atomic.Bool
}

func newSpanQueue(exporter sdktrace.SpanExporter, t *tracing) *spanQueue {
	q := &spanQueue{exporter: exporter, t: t}
	q.SpanProcessor = sdktrace.NewBatchSpanProcessor(spanExporter{q}, sdktrace.WithMaxQueueSize(spansWaiting),
		sdktrace.WithMaxExportBatchSize(spansAtOnce), sdktrace.WithBatchTimeout(spansEvery), sdktrace.WithExportTimeout(spansTime))
	return q
}

// OnEnd takes a span, or drops it.
func (q *spanQueue) OnEnd(s sdktrace.ReadOnlySpan) {
	if q.waiting.Add(1) > spansWaiting {
		q.waiting.Add(-1)
		q.t.spans.WithLabelValues("dropped").Inc()
		return
	}
	q.SpanProcessor.OnEnd(s)
}

// spanExporter counts what becomes of spans, and says once that the collector is away and once that it is back.
type spanExporter struct{ q *spanQueue }

// ExportSpans implements sdktrace.SpanExporter. Failures end here.
func (e spanExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	defer e.q.waiting.Add(-int64(len(spans)))
	err := e.q.exporter.ExportSpans(ctx, spans)
	result := "sent"
	if err != nil {
		result = "failed"
	}
	e.q.t.spans.WithLabelValues(result).Add(float64(len(spans)))
	switch log := e.q.t.log; {
	case err != nil && !e.q.away.Swap(true):
		log.Warn("the collector does not take spans", "cause", err.Error())
	case err == nil && e.q.away.Swap(false):
		log.Info("the collector takes spans again")
	}
	return nil
}

// Shutdown implements sdktrace.SpanExporter.
func (e spanExporter) Shutdown(ctx context.Context) error { return e.q.exporter.Shutdown(ctx) }
