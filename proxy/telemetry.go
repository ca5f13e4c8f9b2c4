package proxy

import (
	"context"
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"s3veil/keycache"
	"s3veil/proxy/audit"
	"s3veil/proxy/metrics"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3op"
	"s3veil/proxy/s3xml"
	"s3veil/proxy/sse"
	"s3veil/proxy/upstream"
)

// backgroundContext is used where no deadline but those of the callee applies: the engine does not tell when a client is gone.
var backgroundContext = context.Background()

// note is what an exchange leaves for its audit line.
type note struct {
	kid      string
	print    keycache.Fingerprint
	sse      sse.Type
	in, out  int64
	status   int // of the answer
	class    string
	version  string
	bulk     s3xml.DeleteResult
	source   *sourceNote // what a copy reads
	metadata bool        // the metadata MAC did not fit
	degraded bool        // the part table was found by a walk
}

// sourceNote is the other object of a copy, which has an audit line of its own.
type sourceNote struct {
	bucket, key, version, kid string
	print                     keycache.Fingerprint
	sse                       sse.Type
}

func (n *note) key(kid string, print keycache.Fingerprint) { n.kid, n.print = kid, print }

// reads begins the note of a copy's source. Its end, which is told the version, gives the keys used meanwhile to the source.
func (n *note) reads(name s3op.CopySource) (end func(version string)) {
	n.source = &sourceNote{bucket: name.Bucket, key: name.Key, version: name.VersionID}
	kid, print, kind := n.kid, n.print, n.sse
	n.kid, n.print, n.sse = "", keycache.Fingerprint{}, sse.None
	return func(version string) {
		n.source.kid, n.source.print, n.source.sse = n.kid, n.print, n.sse
		if version != "" {
			n.source.version = version
		}
		n.kid, n.print, n.sse = kid, print, kind
	}
}

// answered notes the version that an answer of the store is about.
func (n *note) answered(x *exchange, r *upstream.Request, resp *upstream.Response) {
	if v := resp.Get("x-amz-version-id"); v != "" && r.Key == x.req.Key && r.Bucket == x.bucket.name && r.Key != "" {
		n.version = v
	}
}

// deleted records the outcome of a DeleteObjects, a line per key.
func (n *note) deleted(done s3xml.DeleteResult, refused []s3xml.DeleteError) {
	n.bulk = done
	n.bulk.Errors = append(slices.Clone(done.Errors), refused...)
}

// newMetrics registers the metrics of this server, whose gauges it reads at every scrape.
func (s *Server) newMetrics() (*metrics.Metrics, error) {
	return metrics.New(s.opts.Registerer, metrics.Gauges{
		InFlight:    s.active.Load,
		Connections: s.conns.Count,
		Memory:      func() (int64, int64) { used, total, _, _ := s.memory.State(); return used, total },
		Refused:     func() uint64 { _, _, _, refused := s.memory.State(); return refused },
		Caches:      s.cacheEntries,
		Tunnels:     s.connects.Tunnels,
		Scrape:      func() { s.startCheck(backgroundContext) },
	}, s.opts.Version)
}

// observeKeys takes what the key cache reports. An outage is a line in the log at its beginning and its end.
func (s *Server) observeKeys(e keycache.Event) {
	s.metrics.Keys(e)
	traceKeys(e)
	switch e.Kind {
	case "away":
		s.log.Warn("KMS does not answer, cached keys go on", "key_id", e.KID, "cause", e.Err.Error())
	case "back":
		s.log.Info("KMS answers again", "key_id", e.KID)
	}
}

func (s *Server) cacheEntries() map[string]int {
	out := s.keys.Stats()
	if out == nil {
		out = map[string]int{}
	}
	out["manifests"], out["sizes"] = s.caches.manifests.Len(), s.caches.sizes.Len()
	out["walks"], out["defaults"] = s.caches.walked.Len(), s.caches.defaults.Len()
	return out
}

// cached counts a look-up in a cache and returns hit.
func (x *exchange) cached(name string, hit bool) bool {
	result := "miss"
	if hit {
		result = "hit"
	}
	x.s.metrics.Cache(name, result)
	return hit
}

func (s *Server) observeUpstream(name string) func(upstream.Event) {
	return func(e upstream.Event) {
		s.metrics.Upstream(name, e)
		traceUpstream(e)
	}
}

// record is the end of an exchange: metrics, and a line in the audit log where an object was concerned.
func (x *exchange) record() {
	m := x.s.metrics
	elapsed := x.s.now().Sub(x.start)
	m.Request(x.req.Op, x.countedCode(), elapsed.Seconds())
	m.Bytes("client", "in", x.note.in)
	m.Bytes("client", "out", x.note.out)
	if damage[x.note.class] {
		x.damaged(x.note.class)
	}
	if x.s.opts.Audit == nil || !x.audited() {
		return
	}
	x.writeAudit(x.auditRecord(elapsed))
}

// countedCode is the answer as metrics know it. A failure under a code of the store's own (XMinioStorageFull, say) counts by its
// status: among the codes that nobody knows, alerts could not tell it from what clients do wrong.
func (x *exchange) countedCode() string {
	if x.note.status >= 500 {
		if _, known := s3err.Lookup(x.code); !known {
			return statusText(x.note.status)
		}
	}
	return x.code
}

// auditRecord is the line about the request's own object.
func (x *exchange) auditRecord(elapsed time.Duration) audit.Record {
	r := audit.Record{Time: x.start.UTC(), RequestID: x.id, UpstreamRequestID: x.storeID, Source: addrText(x), Action: string(x.req.Op),
		Bucket: x.req.Bucket, Key: x.req.Key, VersionID: x.note.version, Status: x.note.status, Class: x.note.class,
		BytesIn: x.note.in, BytesOut: x.note.out, Milliseconds: float64(elapsed.Microseconds()) / 1000, TraceID: x.traceID()}
	if x.client != nil {
		r.Client = x.client.name
	}
	if x.auth != nil && x.auth.Unverified {
		r.ClaimedKey = x.auth.AccessKey
	}
	if r.VersionID == "" {
		r.VersionID, _ = x.req.Get("versionId")
	}
	if _, err := strconv.Atoi(x.code); err != nil {
		r.Code = x.code
	}
	if x.note.metadata && r.Class == "" {
		r.Class = s3err.ClassMetadata
	}
	if x.note.degraded && r.Class == "" {
		r.Class = s3err.ClassManifestMissing
	}
	setKey(&r, x.note.kid, x.note.print, x.note.sse)
	return r
}

func setKey(r *audit.Record, kid string, print keycache.Fingerprint, kind sse.Type) {
	r.KID, r.IKEK, r.SSE = kid, "", ""
	if print != (keycache.Fingerprint{}) {
		r.IKEK, r.SSE = hex.EncodeToString(print[:]), orDefault(kind.String(), "AES256")
	}
}

// damage are the classes of crypto/FORMAT.md 12 that tell of an object and not of a key or a client. Metadata under the policy
// warn are counted where they are found.
var damage = map[string]bool{
	s3err.ClassPlaintext: true, s3err.ClassAmbiguous: true, s3err.ClassMalformed: true, s3err.ClassUnsupported: true,
	s3err.ClassCommitment: true, s3err.ClassEnvelope: true, s3err.ClassLength: true, s3err.ClassStream: true,
	s3err.ClassManifestMissing: true, s3err.ClassManifest: true, s3err.ClassMetadata: true,
}

// audited reports whether a line is due: object accesses, and whatever was refused before it was known what it was about.
func (x *exchange) audited() bool {
	if x.via != nil && x.via.other {
		return false
	}
	return x.req.Key != "" || x.req.Op == opDeleteObjects || x.changesEncryption() || x.req.Op == opPostObject || (x.auth == nil && x.code != "")
}

// writeAudit writes the line, one per key of a DeleteObjects, and one more for the source of a copy.
func (x *exchange) writeAudit(r audit.Record) {
	lines := []audit.Record{r}
	if x.req.Op == opDeleteObjects && len(x.note.bulk.Deleted)+len(x.note.bulk.Errors) > 0 {
		lines = lines[:0]
		for _, d := range x.note.bulk.Deleted {
			r.Key, r.VersionID = d.Key, d.VersionID
			lines = append(lines, r)
		}
		for _, e := range x.note.bulk.Errors {
			r.Key, r.VersionID, r.Code = e.Key, e.VersionID, e.Code
			lines = append(lines, r)
		}
	}
	if s := x.note.source; s != nil {
		r.Side, r.Bucket, r.Key, r.VersionID, r.BytesIn = audit.SourceSide, s.bucket, s.key, s.version, 0
		setKey(&r, s.kid, s.print, s.sse)
		lines = append(lines, r)
	}
	for _, line := range lines {
		err := x.s.opts.Audit.Write(line)
		x.s.metrics.Audit(err == nil)
		if err != nil {
			x.s.log.Error("audit line is lost", "request_id", x.id, "cause", err.Error())
		}
	}
}

// auditable refuses work that could not be recorded, where the configuration asks for that.
func (x *exchange) auditable() error {
	if !x.s.opts.AuditRequired {
		return nil
	}
	if err := x.s.checkAudit(); err != nil {
		return s3err.ServiceUnavailable.With(err)
	}
	return nil
}

// checkAudit reports whether audit lines can be written.
func (s *Server) checkAudit() error {
	if c, ok := s.opts.Audit.(audit.Checker); ok {
		return c.Check()
	}
	return nil
}

func addrText(x *exchange) string {
	if !x.source.IsValid() {
		return ""
	}
	return x.source.String()
}

// authFailures are the codes that count as refused authentication or authorisation.
var authFailures = map[string]bool{
	"AccessDenied": true, "SignatureDoesNotMatch": true, "InvalidAccessKeyId": true, "RequestTimeTooSkewed": true, "InvalidToken": true,
	"AuthorizationHeaderMalformed": true, "AuthorizationQueryParametersError": true,
}

func (x *exchange) countAuthFailure(code string) {
	if authFailures[code] && x.bucket.store == nil && x.req.Op != s3op.Preflight {
		x.s.metrics.AuthFailure(code)
	}
}
