package proxy

import (
	"errors"
	"fmt"
	"strconv"

	"s3veil/crypto/size"
	"s3veil/crypto/stream"
	"s3veil/proxy/byterange"
	"s3veil/proxy/s3err"
	"s3veil/proxy/upstream"
)

// read is what a GET or HEAD asks for.
type read struct {
	cond   conditions
	rng    byterange.Range
	header string // the Range header as sent
	part   int    // partNumber, 0 for none
	pin    string // store's ETag that a second request must still find
	query  []upstream.Param
}

func (x *exchange) newRead() (*read, error) {
	if err := x.readEncryption(); err != nil {
		return nil, err
	}
	r := &read{header: x.head.Get("range"), rng: byterange.Parse(x.head.Get("range")), cond: readConditions(&x.head)}
	if v, ok := x.req.Get("versionId"); ok {
		r.query = append(r.query, upstream.Param{Name: "versionId", Value: v})
	}
	if v, ok := x.req.Get("partNumber"); ok {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > size.MaxParts {
			return nil, s3err.Argument("Part number must be an integer between 1 and 10000, inclusive.", "partNumber", v)
		}
		if r.rng.Set {
			return nil, s3err.Request("Cannot specify both Range header and partNumber query parameter")
		}
		r.part = n
	}
	return r, nil
}

// getObject answers GetObject. The common cases cost one request to the store: its answer carries body and envelope.
func (x *exchange) getObject() error {
	r, err := x.newRead()
	if err != nil {
		return err
	}
	if err := x.discardBody(); err != nil {
		return err
	}
	err = x.getOnce(r)
	if errors.Is(err, errStaleTable) {
		r.pin = ""
		err = x.getOnce(r)
	}
	return err
}

// errStaleTable marks a failure under a part table from the cache, which has been dropped: another replica may have put the
// winner's in its place since (FORMAT.md 9.5).
var errStaleTable = errors.New("part table was remembered")

func (x *exchange) getOnce(r *read) error {
	guess, ok := r.rng.Stored()
	if !ok || r.part > 0 {
		return x.getKnown(r)
	}
	resp, err := x.fetch(r, "GET", guess)
	if err != nil {
		return err
	}
	switch resp.Status {
	case 200, 206:
	case 416:
		resp.Body.Close()
		return x.getKnown(r)
	default:
		return x.answerRefusal(resp)
	}
	if (resp.Status == 206) != (guess != "") {
		resp.Body.Close()
		return lengthError("status %d for range %q", resp.Status, guess)
	}
	o, err := x.openObject(&x.bucket, x.req.Key, resp, x.customer)
	if err != nil {
		resp.Body.Close()
		return err
	}
	defer o.forget()
	return x.deliver(r, o, resp)
}

// getKnown answers a GET whose stored range depends on the object's size or parts: HEAD first.
func (x *exchange) getKnown(r *read) error {
	o, err := x.stat(r)
	if o == nil || err != nil {
		return err
	}
	defer o.forget()
	return x.deliver(r, o, nil)
}

// stat asks HEAD for the object. A nil object without an error means that the answer (304, 412) has been given.
func (x *exchange) stat(r *read) (*object, error) {
	resp, err := x.fetch(r, "HEAD", "")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.Status != 200 {
		return nil, x.whichMissing(&x.bucket, x.answerRefusal(resp))
	}
	return x.openObject(&x.bucket, x.req.Key, resp, x.customer)
}

// fetch sends a GET or HEAD with the client's conditions, or pinned to an ETag.
func (x *exchange) fetch(r *read, method, stored string) (*upstream.Response, error) {
	req := &upstream.Request{Op: string(x.req.Op), Method: method, Key: x.req.Key, Query: r.query, Idempotent: true}
	if stored != "" {
		req.Header = append(req.Header, upstream.Field{Name: "range", Value: stored})
	}
	if r.pin != "" {
		req.Header = append(req.Header, upstream.Field{Name: "if-match", Value: r.pin})
	} else {
		req.Header = append(req.Header, r.cond.forward()...)
	}
	req.Header = append(req.Header, x.forwarded(isReadHeader)...)
	resp, err := x.call(req)
	if err == nil {
		x.refusal = browserHeaders(resp.Header)
	}
	return resp, err
}

// isReadHeader names the request headers that go up with a GET or HEAD beside range and conditions.
func isReadHeader(name string) bool {
	return name == "x-amz-expected-bucket-owner" || name == "x-amz-request-payer" || name == "origin"
}

// deliver answers with the wanted bytes of o. resp may already hold them; otherwise they are fetched, pinned to the
// object that o describes.
func (x *exchange) deliver(r *read, o *object, resp *upstream.Response) error {
	drop := func() {
		if resp != nil {
			resp.Body.Close()
		}
	}
	if done, err := x.decide(r, o); done || err != nil {
		drop()
		return err
	}
	w, err := r.window(o)
	if err != nil {
		drop()
		return err
	}
	if resp == nil || !w.covers(resp, o) {
		drop()
		if resp, err = x.refetch(r, o, w); err != nil {
			return err
		}
	}
	return x.send(o, w, resp)
}

// decide evaluates what s3veil decides itself: lists of ETags and If-Range. done means that the answer has been given.
func (x *exchange) decide(r *read, o *object) (done bool, err error) {
	switch r.cond.evaluate(o.clientETag(), o.etag) {
	case conditionFailed:
		return false, s3err.PreconditionFailed
	case conditionNotModified:
		x.respondObject(304, o)
		return true, nil
	}
	if r.rng.Set && !r.cond.rangeApplies(o) {
		r.rng = byterange.Range{}
	}
	return false, nil
}

// refetch asks for exactly the stored bytes of the window and makes sure that it is still the same object (FORMAT.md 5.7).
func (x *exchange) refetch(r *read, o *object, w window) (*upstream.Response, error) {
	stored := ""
	if !w.whole && w.b >= w.a {
		stored = byterange.Format(w.from, w.to)
	}
	r.pin = o.etag
	resp, err := x.fetch(r, "GET", stored)
	if err != nil {
		return nil, err
	}
	if resp.Status >= 300 {
		if resp.Status == 412 {
			resp.Body.Close()
			return nil, s3err.SlowDown.With(errors.New("object changed between two requests"))
		}
		return nil, x.storeError(resp)
	}
	entry, err := classify(resp.Header)
	if err == nil && entry != o.entry {
		err = errExchanged
	}
	if err == nil && (w.b >= w.a || o.foreign != nil) && !w.covers(resp, o) {
		err = lengthError("content-range %q", resp.Get("content-range"))
	}
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

// send answers with the body. The first package is opened before the head goes out.
func (x *exchange) send(o *object, w window, resp *upstream.Response) error {
	status, n := 200, w.b-w.a+1
	if w.partial {
		status = 206
	}
	if o.foreign != nil {
		return x.sendForeign(o, w, resp, status)
	}
	if o.plaintext() {
		x.respondObject(status, o)
		if err := x.applyOverrides(); err != nil {
			resp.Body.Close()
			return err
		}
		x.setWindow(o, w)
		x.stream(&relayBody{src: resp.Body, left: n}, n)
		return nil
	}
	id := o.attrs.ObjectID
	opened, err := x.newOpenedBody(resp.Body, o.head.Suite, &o.attrs.DEK, w.segments)
	if err != nil {
		if o.remembered && errors.Is(err, stream.ErrStream) {
			x.s.caches.manifests.Remove(o.attrs.ObjectID)
			err = fmt.Errorf("%w: %w", errStaleTable, err)
		}
		return err
	}
	if o.manifest != nil {
		opened.part = partNonces(o.manifest)
	}
	if o.remembered {
		opened.stale = func() { x.s.caches.manifests.Remove(id) }
	}
	body := o.withoutPadding(opened, n)
	if x.bucket.rule.VerifyFull && n > 0 && n <= x.s.limits.HeldBody {
		return x.sendWhole(o, w, body, status)
	}
	x.respondObject(status, o)
	if err := x.applyOverrides(); err != nil {
		body.Close()
		return err
	}
	x.setWindow(o, w)
	x.stream(body, n)
	return nil
}

// headObject answers HeadObject, ranges and part numbers included.
func (x *exchange) headObject() error {
	r, err := x.newRead()
	if err != nil {
		return err
	}
	if err := x.discardBody(); err != nil {
		return err
	}
	o, err := x.stat(r)
	if o == nil || err != nil {
		return err
	}
	defer o.forget()
	if done, err := x.decide(r, o); done || err != nil {
		return err
	}
	w, err := r.window(o)
	if err != nil {
		return err
	}
	status := 200
	if w.partial {
		status = 206
	}
	x.respondObject(status, o)
	if err := x.applyOverrides(); err != nil {
		return err
	}
	x.setWindow(o, w)
	x.ctx.Response.Header.SetContentLength(int(w.b - w.a + 1))
	x.ctx.Response.SkipBody = true
	return nil
}
