package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/kmstest"
	"s3veil/keycache"
	"s3veil/proxy/forward"
	"s3veil/proxy/proxytest"
)

// recorder keeps the spans of a fixture.
type recorder struct {
	t testing.TB
	*tracetest.SpanRecorder
}

// record switches tracing on in settings.
func record(t testing.TB, set *Settings, tracing Tracing) *recorder {
	r := &recorder{t, tracetest.NewSpanRecorder()}
	tracing.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r)).Tracer("test")
	set.Tracing = &tracing
	return r
}

// traced is a fixture whose requests are all recorded, unless tracing says otherwise.
func traced(t testing.TB, tracing Tracing, change func(*Settings, *Options)) (*fixture, *recorder) {
	var r *recorder
	f := newFixture(t, func(set *Settings, o *Options) {
		r = record(t, set, tracing)
		if change != nil {
			change(set, o)
		}
	})
	return f, r
}

var all = Tracing{Ratio: 1}

// tree draws the spans of every trace: names with their depth, a step's own steps behind it in order of their beginning.
func (r *recorder) tree() string {
	spans := r.Ended()
	slices.SortStableFunc(spans, func(a, b sdktrace.ReadOnlySpan) int { return a.StartTime().Compare(b.StartTime()) })
	var out strings.Builder
	var draw func(below trace.SpanID, depth int)
	draw = func(below trace.SpanID, depth int) {
		for _, s := range spans {
			known := slices.ContainsFunc(spans, func(o sdktrace.ReadOnlySpan) bool { return o.SpanContext().SpanID() == s.Parent().SpanID() })
			if s.Parent().SpanID() != below && (below.IsValid() || known) {
				continue
			}
			fmt.Fprintf(&out, "%s%s\n", strings.Repeat("  ", depth), s.Name())
			draw(s.SpanContext().SpanID(), depth+1)
		}
	}
	draw(trace.SpanID{}, 0)
	return out.String()
}

// find returns the last ended span of a name.
func (r *recorder) find(name string) sdktrace.ReadOnlySpan {
	r.t.Helper()
	var found sdktrace.ReadOnlySpan
	for _, s := range r.Ended() {
		if s.Name() == name {
			found = s
		}
	}
	if found == nil {
		r.t.Fatalf("no span %q in\n%s", name, r.tree())
	}
	return found
}

// value is an attribute in words, empty for none.
func value(s sdktrace.ReadOnlySpan, key string) string {
	for _, a := range s.Attributes() {
		if a.Key == attribute.Key(key) {
			return a.Value.String()
		}
	}
	return ""
}

func TestTraceOfPutAndGet(t *testing.T) {
	f, r := traced(t, all, nil)
	f.must("PUT", "/data/key", []byte("hello"))
	f.must("GET", "/data/key", nil)
	f.idle()
	const want = `PutObject
  authenticate
  store GetObject
  key write
    kms generate
  seal
  store PutObject
GetObject
  authenticate
  store GetObject
  key read
  open
`
	if got := r.tree(); got != want {
		t.Errorf("spans are\n%s", got)
	}
	put, get := r.find("PutObject"), r.find("GetObject")
	for key, want := range map[string]string{"s3veil.operation": "PutObject", "aws.s3.bucket": "data", "http.request.method": "PUT",
		"http.response.status_code": "200", "s3veil.bytes_in": "5", "s3veil.key_id": "main", "s3veil.port": "s3", "aws.s3.key": "", "error.type": ""} {
		if got := value(put, key); got != want {
			t.Errorf("%s is %q", key, got)
		}
	}
	if value(get, "s3veil.bytes_out") != "5" || get.SpanKind() != trace.SpanKindServer || value(r.find("key read"), "s3veil.cache") != "hit" ||
		value(r.find("key write"), "s3veil.cache") != "miss" || value(r.find("store PutObject"), "http.response.status_code") != "200" {
		t.Errorf("attributes: %v, %v, %v", get.Attributes(), r.find("key read").Attributes(), r.find("store PutObject").Attributes())
	}
	last := f.audit.all()[1]
	if last.TraceID != get.SpanContext().TraceID().String() || last.RequestID != value(get, "s3veil.request_id") {
		t.Errorf("audit line %+v, span %s %v", last, get.SpanContext().TraceID(), get.Attributes())
	}
}

func TestTraceOfStreams(t *testing.T) {
	f, r := traced(t, all, func(set *Settings, o *Options) { o.Limits.HeldBody = 64 << 10 })
	f.must("PUT", "/data/key", make([]byte, 300<<10))
	f.must("GET", "/data/key", nil, "range", "bytes=100000-200000")
	f.idle()
	if value(r.find("GetObject"), "s3veil.bytes_out") != "100001" || value(r.find("PutObject"), "s3veil.bytes_in") != "307200" {
		t.Errorf("attributes: %v", r.find("GetObject").Attributes())
	}
	get, open := r.find("GetObject"), r.find("open")
	if get.EndTime().Before(open.EndTime()) || open.StartTime().Before(get.StartTime()) {
		t.Errorf("open %v-%v, request %v-%v", open.StartTime(), open.EndTime(), get.StartTime(), get.EndTime())
	}
	r.find("seal")
}

func TestNamesOfObjectsOnlyWhereAllowed(t *testing.T) {
	for _, keys := range []bool{false, true} {
		f, r := traced(t, Tracing{Ratio: 1, Keys: keys}, nil)
		f.must("PUT", "/data/patient-7", []byte("hello"))
		f.must("GET", "/data/patient-7?versionId=", nil)
		f.idle()
		found := false
		for _, s := range r.Ended() {
			found = found || strings.Contains(fmt.Sprint(s.Name(), s.Attributes(), s.Events(), s.Status()), "patient")
		}
		if found != keys {
			t.Errorf("keys %t: named %t", keys, found)
		}
	}
}

func TestWhoDecidesAboutTraces(t *testing.T) {
	const id, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	here := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	elsewhere := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		name            string
		tracing         Tracing
		sent            string
		recorded, below bool
		links           int
	}{
		{"a client cannot force", Tracing{}, "00-" + id + "-" + parent + "-01", false, false, 0},
		{"nor from another network", Tracing{ParentFrom: elsewhere}, "00-" + id + "-" + parent + "-01", false, false, 0},
		{"nor prevent", Tracing{Ratio: 1}, "00-" + id + "-" + parent + "-00", true, false, 1},
		{"nor choose the trace", Tracing{Ratio: 1}, "00-" + id + "-" + parent + "-01", true, false, 1},
		{"a trusted parent forces", Tracing{ParentFrom: here}, "00-" + id + "-" + parent + "-01", true, true, 0},
		{"and prevents", Tracing{Ratio: 1, ParentFrom: here}, "00-" + id + "-" + parent + "-00", false, false, 0},
		{"unless malformed", Tracing{Ratio: 1, ParentFrom: here}, "00-" + id + "-" + parent, true, false, 0},
		{"or of zeros", Tracing{Ratio: 1, ParentFrom: here}, "00-" + strings.Repeat("0", 32) + "-" + parent + "-01", true, false, 0},
		{"no parent", Tracing{Ratio: 1, ParentFrom: here}, "", true, false, 0},
		{"no share", Tracing{ParentFrom: here}, "", false, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, r := traced(t, c.tracing, nil)
			header := []string{"tracestate", "vendor=value"}
			if c.sent != "" {
				header = append(header, "traceparent", c.sent)
			}
			f.must("PUT", "/data/key", []byte("hello"), header...)
			f.idle()
			if recorded := len(r.Ended()) > 0; recorded != c.recorded {
				t.Fatalf("recorded: %t", recorded)
			}
			line := f.audit.all()[0]
			if (line.TraceID != "") != c.recorded || (line.TraceID == id) != c.below {
				t.Errorf("the audit line has the trace %q", line.TraceID)
			}
			for _, call := range f.store.Calls() {
				if call.Header.Get("traceparent")+call.Header.Get("tracestate") != "" {
					t.Errorf("the store got %v", call.Header)
				}
			}
			if !c.recorded {
				return
			}
			root := r.find("PutObject")
			if below := root.Parent().SpanID().String() == parent; below != c.below || len(root.Links()) != c.links {
				t.Errorf("parent %s, links %v", root.Parent().SpanID(), root.Links())
			}
			if state := root.SpanContext().TraceState().String(); (state != "") != c.below {
				t.Errorf("tracestate %q", state)
			}
			if c.links > 0 && (root.Links()[0].SpanContext.TraceID().String() != id || root.Links()[0].SpanContext.TraceState().Len() > 0) {
				t.Errorf("links %v", root.Links())
			}
		})
	}
}

func TestTwoParentsAreNone(t *testing.T) {
	f, r := traced(t, Tracing{Ratio: 1, ParentFrom: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}, nil)
	const line = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
	c := f.dial()
	if _, err := io.WriteString(c, strings.TrimSuffix(f.head("HEAD", "/data", unsigned), "\r\n")+line+line+"connection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(c); err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) {
		t.Fatalf("%q, %v", answer, err)
	}
	f.idle()
	if root := r.find("HeadBucket"); root.Parent().IsValid() || len(root.Links()) > 0 {
		t.Errorf("parent %v, links %v", root.Parent(), root.Links())
	}
}

func TestTraceOfRefusalsAndFailures(t *testing.T) {
	f, r := traced(t, all, nil)
	f.do("GET", "/data/missing", nil)
	f.idle()
	missing := r.find("GetObject")
	if value(missing, "error.type") != "NoSuchKey" || missing.Status().Code != codes.Unset || value(missing, "http.response.status_code") != "404" {
		t.Errorf("404: %v %v", missing.Status(), missing.Attributes())
	}
	c := f.dial()
	forged := strings.Replace(f.head("GET", "/data/key", unsigned, "connection", "close"), "Signature=", "Signature=0", 1)
	if _, err := io.WriteString(c, forged); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(c); err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 403 ")) {
		t.Fatalf("%q, %v", answer, err)
	}
	f.idle()
	checked := r.find("authenticate")
	if checked.Status().Code != codes.Error || value(checked, "error.type") != value(r.find("GetObject"), "error.type") {
		t.Errorf("refused: %v %v", checked.Status(), checked.Attributes())
	}
	f.must("PUT", "/data/key", []byte("hello"))
	f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		if c.Op == "GetObject" && len(a.Body) > 20 {
			a.Body[20] ^= 1
		}
	}})
	f.do("GET", "/data/key", nil)
	f.idle()
	damaged := r.find("GetObject")
	if damaged.Status().Code != codes.Error || value(damaged, "s3veil.class") == "" || r.find("open").Status().Code != codes.Error {
		t.Errorf("damaged: %v %v", damaged.Status(), damaged.Attributes())
	}
	for _, s := range r.Ended() {
		if text := fmt.Sprint(s.Attributes(), s.Events(), s.Status()); strings.Contains(text, "hidden") || strings.Contains(text, "Signature=") {
			t.Errorf("%s has %s", s.Name(), text)
		}
	}
}

func TestTraceOfAnAbortedDownload(t *testing.T) {
	f, r := traced(t, all, nil)
	f.must("PUT", "/data/key", make([]byte, 32<<20))
	c := f.dial()
	if _, err := io.WriteString(c, f.head("GET", "/data/key", unsigned)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	f.idle()
	get := r.find("GetObject")
	if value(get, "error.type") != "ClientGone" || get.Status().Code != codes.Error || value(get, "s3veil.bytes_out") == "33554432" {
		t.Errorf("%v %v", get.Status(), get.Attributes())
	}
	if open := r.find("open"); open.Status().Code != codes.Error || value(open, "error.type") != "ClientGone" {
		t.Errorf("open: %v %v", open.Status(), open.Attributes())
	}
}

func TestTraceOfAnOutageOfTheKMS(t *testing.T) {
	away := kmstest.NewMemory("main")
	f, r := traced(t, all, func(set *Settings, o *Options) {
		set.KEKs[0].Provider = away
		set.Cache = keycache.Options{Tries: 2}
	})
	away.SetFault(func(string, string) error { return fmt.Errorf("%w: hidden", kms.ErrUnavailable) })
	if resp, _ := f.do("PUT", "/data/key", []byte("hello")); resp.StatusCode != 503 {
		t.Fatal(resp.Status)
	}
	f.idle()
	const want = `PutObject
  authenticate
  store GetObject
  key write
    kms generate
    kms generate
`
	if got := r.tree(); got != want {
		t.Errorf("spans are\n%s", got)
	}
	for _, name := range []string{"PutObject", "key write", "kms generate"} {
		if s := r.find(name); s.Status().Code != codes.Error || value(s, "error.type") != "ServiceUnavailable" ||
			strings.Contains(fmt.Sprint(s.Attributes(), s.Events(), s.Status()), "hidden") {
			t.Errorf("%s: %v %v", name, s.Status(), s.Attributes())
		}
	}
}

func TestRequestsToTheStoreThatAreSentAgain(t *testing.T) {
	f, r := traced(t, all, nil)
	f.must("PUT", "/data/key", []byte("hello"))
	first := true
	f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op == "GetObject" && c.Key == "key" && first {
			first = false
			return &proxytest.Answer{Status: 503, Cut: -1}
		}
		return nil
	}})
	f.must("GET", "/data/key", nil)
	f.idle()
	if asked := r.find("store GetObject"); value(asked, "http.request.resend_count") != "1" || value(asked, "http.response.status_code") != "200" {
		t.Errorf("%v", asked.Attributes())
	}
}

func TestSpansOfOneRequestAreLimited(t *testing.T) {
	f, r := traced(t, all, nil)
	f.s.state.Load().settings.Buckets[0].ListExact = true
	x := &exchange{s: f.s, st: f.s.state.Load()}
	x.beginTrace()
	for range maxSteps + 10 {
		x.step("step").end(errors.New("x"))
	}
	x.endTrace()
	if n := len(r.Ended()); n != maxSteps+1 || value(r.find("request"), "s3veil.spans_left_out") != "10" {
		t.Errorf("%d spans, %v", n, r.find("request").Attributes())
	}
}

func TestTracesOfTheForwardPort(t *testing.T) {
	var r *recorder
	f := newForwardedTraced(t, &r)
	host, _ := f.other()
	c := f.connect()
	c.ask("PUT", f.plain("PUT", "s3.test", "/data/key", "hello"))
	c.ask("GET", "GET http://"+host+"/path?X-Amz-Signature=hidden HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
	f.connect().ask("CONNECT", "CONNECT metadata.test:443 HTTP/1.1\r\nHost: metadata.test:443\r\n\r\n")
	f.idle()
	if put := r.find("PutObject"); value(put, "s3veil.port") != "forward" || value(put, "server.address") != "" {
		t.Errorf("%v", put.Attributes())
	}
	if other := r.find("Relay"); value(other, "server.address") != "127.0.0.1" || strings.Contains(fmt.Sprint(other.Attributes()), "hidden") {
		t.Errorf("%v", other.Attributes())
	}
	if refused := r.find("CONNECT"); value(refused, "error.type") != "AccessDenied" || value(refused, "server.address") != "metadata.test" {
		t.Errorf("%v", refused.Attributes())
	}
}

// Requests that are not recorded cost no allocation more than those of a server without tracing.
func TestTracesCostNothingWhereNothingIsRecorded(t *testing.T) {
	measure := func(tracing *Tracing) uint64 {
		e, put, get := smallRequests(t, tracing)
		const runs = 300
		var before, after runtime.MemStats
		for i := range runs + 50 {
			if i == 50 {
				runtime.ReadMemStats(&before)
			}
			e.do(put)
			e.do(get)
		}
		runtime.ReadMemStats(&after)
		return (after.Mallocs - before.Mallocs) / runs
	}
	off := measure(nil)
	var set Settings
	r := record(t, &set, Tracing{ParentFrom: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	on := measure(set.Tracing)
	t.Logf("PUT and GET of 4 KiB: %d allocations off, %d on without a recorded request", off, on)
	if on > off+2 || len(r.Ended()) > 0 {
		t.Errorf("%d allocations off, %d on; %d spans", off, on, len(r.Ended()))
	}
}

func BenchmarkSmallRequestTraced(b *testing.B) {
	for _, ratio := range []float64{0, 0.01, 1} {
		b.Run(fmt.Sprint(ratio), func(b *testing.B) {
			tracer := sdktrace.NewTracerProvider().Tracer("test")
			benchmarkSmall(b, &Tracing{Tracer: tracer, Ratio: ratio})
		})
	}
}

func newForwardedTraced(t *testing.T, r **recorder) *forwarded {
	return newForwarded(t, func(set *Settings, _ *forward.Options) { *r = record(t, set, all) })
}
