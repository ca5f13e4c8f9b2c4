package proxy

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"s3veil/proxy/s3err"
	"s3veil/proxy/s3op"
	"s3veil/proxy/upstream"
	"s3veil/sigv4"
)

// The largest documents that pass: settings, and answers of the store.
const (
	maxSettings = 1 << 20
	maxAnswer   = 8 << 20
)

// pass forwards an operation re-signed. Bodies are setting documents: read whole, verified, and sent with digests of
// s3veil's own.
func (x *exchange) pass() error { return x.passWith(x.sideHeaders()) }

// passWith is pass with headers of the caller's.
func (x *exchange) passWith(header []upstream.Field) error { return x.passEdited(header, nil) }

// passEdited is pass with headers of the caller's and a document that edit has changed; nil is none.
func (x *exchange) passEdited(header []upstream.Field, edit func(doc []byte) ([]byte, error)) error {
	req := &upstream.Request{Op: string(x.req.Op), Method: x.head.Method, Key: x.req.Key, Header: header, Query: x.passQuery()}
	doc, sent, err := x.document()
	if err != nil {
		return err
	}
	contentType := x.head.Get("content-type")
	if edit != nil {
		edited, err := edit(doc)
		if err != nil {
			return err
		}
		if len(doc) == 0 && len(edited) > 0 {
			contentType = orDefault(contentType, "application/xml")
		}
		doc, sent = edited, len(edited) > 0 || sent && len(doc) == 0
	}
	if sent {
		sum := md5.Sum(doc)
		req.Body = upstream.Bytes(doc)
		req.Header = append(req.Header, upstream.Field{Name: "content-md5", Value: base64.StdEncoding.EncodeToString(sum[:])})
		if contentType != "" {
			req.Header = append(req.Header, upstream.Field{Name: "content-type", Value: contentType})
		}
	}
	req.Idempotent = x.head.Method == "GET" || x.head.Method == "HEAD" || x.head.Method == "PUT"
	resp, err := x.call(req)
	if err != nil {
		return err
	}
	if resp.Status < 300 {
		x.warnOfRisk(doc)
	}
	return x.relayAnswer(resp)
}

// document is the setting document of a request that passes, and whether there is one: it may be empty.
func (x *exchange) document() (doc []byte, sent bool, err error) {
	n, err := x.head.AnnouncedLength()
	if err != nil {
		return nil, false, s3err.InvalidRequest.With(err)
	}
	if n == 0 && !x.promisesDocument() {
		if x.body == nil {
			_, err = x.openBody()
		}
		return nil, false, err
	}
	if x.auth != nil && x.auth.Payload.Chunked() {
		return nil, false, s3err.Request("The value of x-amz-content-sha256 header is invalid.")
	}
	doc, err = x.readAll(maxSettings, s3err.MaxMessageLengthExceeded)
	return doc, err == nil, err
}

// promisesDocument reports whether a write without a body says what its body is: SDKs do so when the caller left a setting
// out, and the store's answer to that is the one that matters.
func (x *exchange) promisesDocument() bool {
	if x.head.Method != "PUT" && x.head.Method != "POST" {
		return false
	}
	return x.head.Has("content-md5") || len(x.checksumHeaders()) > 0 || (x.auth != nil && x.auth.Payload == sigv4.PayloadHash && x.auth.Hash != sha256.Sum256(nil))
}

// passQuery keeps the sub-resource and the parameters that the operation table lets through.
func (x *exchange) passQuery() []upstream.Param {
	var out []upstream.Param
	for _, p := range x.req.Forward() {
		out = append(out, upstream.Param{Name: p.Name, Value: p.Value, Bare: !p.HasValue})
	}
	return out
}

// relayAnswer passes a small answer of the store on.
func (x *exchange) relayAnswer(resp *upstream.Response) error {
	if resp.Status >= 300 {
		return x.storeError(resp)
	}
	defer resp.Body.Close()
	doc, err := x.readDocument(resp)
	if err != nil {
		return err
	}
	x.respond(resp.Status, resp)
	if resp.Get("x-amz-bucket-arn") != "" {
		x.set("x-amz-bucket-arn", "arn:aws:s3:::"+x.req.Bucket)
	}
	if ct := resp.Get("content-type"); ct != "" && len(doc) > 0 {
		x.ctx.Response.Header.SetContentType(ct)
	}
	if x.head.Method == "HEAD" {
		x.ctx.Response.SkipBody = true
		x.ctx.Response.Header.SetContentLength(0)
		return nil
	}
	x.sendDocument(doc)
	return nil
}

// admitPreflight lets a CORS preflight through to the store, unsigned: the store's rules answer (OPTIONS has no credentials).
func (x *exchange) admitPreflight(router *s3op.Router) error {
	var err error
	if x.req, err = router.Route(x.head.Method, x.head.Host, x.head.Path, x.head.Query, x.head.Get); err != nil {
		return err
	}
	return x.findBucket()
}

// preflight answers OPTIONS.
func (x *exchange) preflight() error {
	req := &upstream.Request{Op: "OPTIONS", Method: "OPTIONS", Key: x.req.Key, Unsigned: true, Idempotent: true,
		Header: x.forwarded(func(name string) bool {
			return name == "origin" || strings.HasPrefix(name, "access-control-request-")
		})}
	if err := x.discardBody(); err != nil {
		return err
	}
	resp, err := x.call(req)
	if err != nil {
		return err
	}
	return x.relayAnswer(resp)
}
