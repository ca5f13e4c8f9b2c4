package mutation

const (
	traces    = "proxy/trace.go"
	collector = "cmd/s3veil/trace.go"
	spanQueue = "cmd/s3veil/tracing.go"
)

func init() {
	filters[traces] = "Trace|WhoDecides|TwoParents|NamesOfObjects|SpansOf|SentAgain"
	filters[collector] = "Collector|Fixtures"
	filters[spanQueue] = "Spans|Collector"
	mutations = append(mutations,
		mutation{"any client decides about traces", traces, "counts := sent && t.trusts(x.source)", "counts := sent"},
		mutation{"names of objects in every span", traces, "	if r.with.Keys {\n", "	if r.with != nil {\n"},
		mutation{"spans of one request without end", traces, "p.of.left.Add(-1) < 0", "p.of.left.Add(-1) < -1<<20"},
		mutation{"tracestate of anybody", traces, "other.WithTraceState(trace.TraceState{})", "other"},
		mutation{"headers of the collector to whom it redirects", collector, "func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }", "nil"},
		mutation{"passwords in the URL of the collector", collector, "	case u.User != nil:\n", "	case u.User == nil && u.Opaque != \"\":\n"},
		mutation{"spans wait without end", spanQueue, "q.waiting.Add(1) > spansWaiting", "q.waiting.Add(1) > 1<<40"},
		mutation{"every failure of the collector in the log", spanQueue, "err != nil && !e.q.away.Swap(true)", "err != nil"},
	)
}
