package proxy

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"s3veil/crypto/envelope"
	"s3veil/crypto/manifest"
	"s3veil/crypto/stream"
	"s3veil/proxy/etag"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3xml"
	"s3veil/proxy/upstream"
	"s3veil/sigv4/checksum"
)

// contentHeaders describe an object's representation; they are covered by the metadata MAC.
var contentHeaders = map[string]bool{
	"cache-control": true, "content-disposition": true, "content-encoding": true, "content-language": true,
	"content-type": true, "expires": true,
}

// respondObject starts the answer to a GET or HEAD of an object.
func (x *exchange) respondObject(status int, o *object) {
	x.ctx.Response.SetStatusCode(status)
	x.code = statusText(status)
	for i := range o.header {
		f := &o.header[i]
		if !x.req.Info.MayAnswer(f.Name) || (status == 304 && !in304(f.Name)) {
			continue
		}
		value := f.Value
		if f.Name == "content-encoding" {
			if value = withoutAWSChunked(value); value == "" {
				continue
			}
		}
		x.ctx.Response.Header.Add(f.Name, forClient(f.Name, value))
	}
	x.set("etag", o.clientETag())
	x.setIDs()
	if status == 304 {
		return
	}
	x.set("accept-ranges", "bytes")
	x.set("x-content-type-options", "nosniff")
	if !o.plaintext() {
		x.setObjectSSE(o)
	}
}

// with304 are the object's headers in a 304 (RFC 9110 15.4.5); the store's ETag has been replaced.
var with304 = map[string]bool{
	"cache-control": true, "expires": true, "vary": true, "last-modified": true, "x-amz-version-id": true, "server": true,
}

// in304 reports whether a header of the store comes with a 304. The store's CORS rules are among them: without them a browser
// keeps the answer from the script that has asked.
func in304(name string) bool { return with304[name] || strings.HasPrefix(name, "access-control-") }

// withoutAWSChunked drops a transfer detail that some stores keep as if it described the object.
func withoutAWSChunked(v string) string {
	var kept []string
	for item := range strings.SplitSeq(v, ",") {
		if item = strings.TrimSpace(item); item != "" && !strings.EqualFold(item, "aws-chunked") {
			kept = append(kept, item)
		}
	}
	return strings.Join(kept, ",")
}

// forClient is the value of one of the store's headers as the client may see it: some stores name the object's metadata among
// the headers that a script may read (https://fetch.spec.whatwg.org/#http-access-control-expose-headers), s3veil's too.
func forClient(name, value string) string {
	if name != "access-control-expose-headers" || !strings.Contains(strings.ToLower(value), metaPrefix+envelope.Prefix) {
		return value
	}
	var kept []string
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); !strings.HasPrefix(strings.ToLower(item), metaPrefix+envelope.Prefix) {
			kept = append(kept, item)
		}
	}
	return strings.Join(kept, ", ")
}

// setStoredSums returns the plaintext checksum kept with the object to clients that ask for it.
func (x *exchange) setStoredSums(o *object) {
	if o.plaintext() || !strings.EqualFold(x.head.Get("x-amz-checksum-mode"), "ENABLED") {
		return
	}
	if name, value, kind, ok := o.checksum(); ok {
		x.set(name, value)
		x.set("x-amz-checksum-type", kind)
	}
}

// checksum is the object's kept checksum in header form.
func (o *object) checksum() (name, value, kind string, ok bool) {
	sum, kind, suffix := o.attrs.Checksum, "FULL_OBJECT", ""
	if o.manifest != nil {
		sum = o.manifest.Checksum
		if o.manifest.Composite {
			kind, suffix = "COMPOSITE", fmt.Sprintf("-%d", o.table.Len())
		}
	}
	if sum == nil {
		return "", "", "", false
	}
	a := checksum.Algorithm(sum.Algorithm)
	return a.Header(), base64.StdEncoding.EncodeToString(sum.Value) + suffix, kind, true
}

// partNonces returns a check of each part's R against the manifest (TLV 11), nil where it holds none.
func partNonces(m *manifest.Manifest) func(part int, r stream.R) error {
	if m.PartR == nil {
		return nil
	}
	want := make(map[int]stream.R, len(m.PartR))
	for i, r := range m.PartR {
		want[m.Table.Part(i).Number] = r
	}
	return func(part int, r stream.R) error {
		if expected, ok := want[part]; ok && expected != r {
			return fmt.Errorf("%w: part %d is another upload than the one recorded", stream.ErrStream, part)
		}
		return nil
	}
}

// stream sends a body of n bytes; the exchange ends with it.
func (x *exchange) stream(body streamedBody, n int64) {
	x.streaming = true
	body.onEnd(func(err error) {
		x.note.out = n - body.remaining()
		if err != nil {
			x.endedBadly(err)
		}
		x.finish()
	})
	x.ctx.Response.SetBodyStream(body, int(n))
}

// streamedBody is an answer body that reports how it ended.
type streamedBody interface {
	io.ReadCloser
	onEnd(func(error))
	remaining() int64
}

func (b *openedBody) onEnd(f func(error)) { b.report = f }
func (b *openedBody) remaining() int64    { return b.left }

// clientGone is the code of an answer that the client did not stay for.
const clientGone = "ClientGone"

// endedBadly records a failure after the head of the answer had been sent. The connection is already broken.
func (x *exchange) endedBadly(err error) {
	e := s3err.From(err)
	if errors.Is(err, errClientGone) {
		x.code = clientGone
		return
	}
	x.code, x.note.class = e.Code, e.Class
	x.logFailure(e)
}

// relayBody is the body of a plaintext object: exactly left bytes of the store's answer.
type relayBody struct {
	src    io.ReadCloser
	left   int64
	length int64
	err    error
	report func(error)
}

// Read passes bytes on and fails when the store ends early.
func (b *relayBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.src.Read(p)
	b.left -= int64(n)
	if err != nil && b.left > 0 {
		b.err = fmt.Errorf("%w: %w", errRelayShort, err)
		if n == 0 {
			return 0, b.err
		}
	}
	return n, nil
}

var errRelayShort = fmt.Errorf("%w: body ended early", upstream.ErrUnavailable)

// Close ends the exchange with the store.
func (b *relayBody) Close() error {
	if b.src == nil {
		return nil
	}
	if b.left == 0 {
		_, _ = b.src.Read(make([]byte, 1)) // the end gives the connection back
	}
	err := b.src.Close()
	b.src = nil
	if b.report != nil {
		failure := b.err
		if failure == nil && b.left > 0 {
			failure = errClientGone
		}
		b.report(failure)
	}
	return err
}

func (b *relayBody) onEnd(f func(error)) { b.report = f }
func (b *relayBody) remaining() int64    { return b.left }

// answerRefusal passes on what the store said instead of sending an object: 304 as an answer, everything else as an error.
func (x *exchange) answerRefusal(resp *upstream.Response) error {
	if resp.Status != 304 {
		return x.storeError(resp)
	}
	defer resp.Body.Close()
	resp.Header = slices.DeleteFunc(resp.Header, func(f upstream.Field) bool { return f.Name != "etag" && !in304(f.Name) })
	x.respond(304, resp)
	switch sent := x.head.Joined("if-none-match"); {
	case sent != "" && !own(sent):
		x.set("etag", sent)
	case !x.bucket.rule.AllowPlaintext && resp.Get("etag") != "":
		x.set("etag", etag.ToClient(resp.Get("etag")))
	}
	return nil
}

// browserHeaders are the store's CORS rules in an answer. What s3veil then refuses by itself, for a range or a list of ETags say,
// comes with them, since a script cannot read it otherwise.
func browserHeaders(fields []upstream.Field) (kept []upstream.Field) {
	for _, f := range fields {
		if refusalHeaders[f.Name] && (f.Name == "vary" || strings.HasPrefix(f.Name, "access-control-")) {
			kept = append(kept, upstream.Field{Name: f.Name, Value: forClient(f.Name, f.Value)})
		}
	}
	return kept
}

// storeErrorLimit bounds how much of a store's error document is read.
const storeErrorLimit = 64 << 10

// storeError turns an error answer of the store into the client's: code and message pass, names are s3veil's.
func (x *exchange) storeError(resp *upstream.Response) error {
	defer resp.Body.Close()
	for _, f := range resp.Header {
		if refusalHeaders[f.Name] {
			f.Value = forClient(f.Name, f.Value)
			x.refusal = append(x.refusal, f)
		}
	}
	if resp.Status < 400 { // as an answer to the client it would be taken for success
		return fmt.Errorf("%w: unexpected status %d", upstream.ErrUnavailable, resp.Status)
	}
	doc, err := io.ReadAll(io.LimitReader(resp.Body, storeErrorLimit))
	if err != nil {
		return fmt.Errorf("%w: error document: %w", upstream.ErrUnavailable, err)
	}
	return saidBy(resp, doc, x.req.Bucket)
}

// saidBy is the client's form of an error answer, with the store's own words as its cause.
func saidBy(resp *upstream.Response, doc []byte, bucket string) s3err.Error {
	e, named := fromStore(resp.Status, doc, bucket)
	said := &storeSaid{store: resp.Store, op: resp.Op, status: resp.Status, foreign: !named && len(doc) > 0}
	if named {
		said.code = e.Code
	}
	return e.With(said)
}

// storeSaid is the cause of an error that is the store's own: the log then says whose it is, and which of the requests to the store
// it answers.
type storeSaid struct {
	store, op string
	status    int
	code      string // of its document
	foreign   bool   // there was a document, and none of S3: a balancer's, say
}

func (e *storeSaid) Error() string {
	text := "the store " + e.store + " answers " + e.op + " with " + strconv.Itoa(e.status) + ifNotEmpty(" ", e.code)
	if e.foreign {
		text += " and a document that is not S3's: something in front of it?"
	}
	return text
}

// unanswered names store and request where a request had no answer. What went wrong with the client's body passes as it is.
func unanswered(store, op string, err error) error {
	if errors.Is(err, upstream.ErrUnavailable) || errors.Is(err, upstream.ErrBusy) {
		return fmt.Errorf("%s at the store %s: %w", op, store, err)
	}
	return err
}

// fromStore is the client's form of a store's error. An answer without a document (HEAD) has the code that S3 gives its
// status. named reports that the document has one.
func fromStore(status int, doc []byte, bucket string) (e s3err.Error, named bool) {
	if e, named = s3xml.ParseError(doc, bucket); !named {
		var ok bool
		if e, ok = bodyless[status]; !ok {
			e = s3err.InternalError
			if status < 500 {
				e.Code, e.Message = "BadRequest", "The store refused the request."
			}
		}
	}
	if known, ok := s3err.Lookup(e.Code); ok && e.Message == "" { // some stores name the code alone
		e.Message = known.Message
	}
	e.Status = status
	return e, named
}

// bodyless are the errors that a store's answer to HEAD can only name by status.
var bodyless = map[int]s3err.Error{
	301: s3err.PermanentRedirect, 400: s3err.BadRequest, 403: s3err.AccessDenied, 404: s3err.NoSuchKey, 405: s3err.MethodNotAllowed,
	409: s3err.OperationAborted, 411: s3err.MissingContentLength, 412: s3err.PreconditionFailed, 416: s3err.InvalidRange,
	501: s3err.NotImplemented, 503: s3err.ServiceUnavailable,
}

// refusalHeaders come back with errors: what a reader needs to know of a delete marker, of a redirect, of the store's CORS rules.
var refusalHeaders = map[string]bool{
	"x-amz-delete-marker": true, "x-amz-version-id": true, "last-modified": true, "allow": true, "x-amz-bucket-region": true,
	// Without them a script cannot read the error.
	"access-control-allow-origin": true, "access-control-allow-credentials": true, "access-control-allow-methods": true,
	"access-control-expose-headers": true, "vary": true,
}
