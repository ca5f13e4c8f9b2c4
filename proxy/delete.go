package proxy

import (
	"crypto/md5"
	"encoding/base64"

	"s3veil/proxy/etag"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3op"
	"s3veil/proxy/s3xml"
	"s3veil/proxy/upstream"
)

// deleteObjects answers DeleteObjects: every key is held against the reserved prefix and the client's rules; those that are
// refused come back as errors of their own, the others go up in a document of s3veil's.
func (x *exchange) deleteObjects() error {
	doc, err := x.readAll(s3xml.MaxDelete, s3err.MalformedXML)
	if err != nil {
		return err
	}
	entries, quiet, err := s3xml.ParseDelete(doc)
	if err != nil {
		return err
	}
	var refused []s3xml.DeleteError
	allowed := entries[:0]
	for _, e := range entries {
		if why, ok := x.mayDelete(&e); !ok {
			refused = append(refused, s3xml.Refused(e, why))
			continue
		}
		e.ETag = etag.FromClient(e.ETag)
		allowed = append(allowed, e)
	}
	allowed, unmet := x.storedSizes(allowed)
	refused = append(refused, unmet...)
	result := s3xml.DeleteResult{}
	var resp *upstream.Response
	if len(allowed) > 0 || len(entries) == 0 {
		if resp, result, err = x.forwardDelete(allowed); err != nil {
			return err
		}
	}
	x.note.deleted(result, refused)
	if quiet {
		result.Deleted = nil
	}
	result.Errors = append(result.Errors, refused...)
	x.respond(200, resp)
	return x.xml(200, result.Append(nil))
}

// mayDelete decides about one entry.
func (x *exchange) mayDelete(e *s3xml.DeleteEntry) (s3err.Error, bool) {
	if err := s3op.CheckKey(e.Key); err != nil { // those of targets and copy sources have been through the router
		return s3err.From(err), false
	}
	switch {
	case s3op.IsBucket(e.Key):
		return s3err.AccessDenied, false
	case !s3op.CheckID(e.VersionID):
		return s3err.NoSuchVersion, false
	case s3op.Reserved(e.Key), !x.client.Allowed(s3op.Delete, x.req.Bucket, e.Key):
		return s3err.AccessDenied, false
	case x.req.Bypass && !x.client.Allowed(s3op.Admin, x.req.Bucket, e.Key):
		return s3err.AccessDenied, false
	}
	return s3err.Error{}, true
}

// forwardDelete asks for every key's outcome, quiet or not: the audit log has a line for each.
func (x *exchange) forwardDelete(entries []s3xml.DeleteEntry) (*upstream.Response, s3xml.DeleteResult, error) {
	body := s3xml.AppendDelete(nil, entries, false)
	sum := md5.Sum(body)
	req := &upstream.Request{Op: "DeleteObjects", Method: "POST", Query: []upstream.Param{{Name: "delete", Bare: true}}, Body: upstream.Bytes(body), Idempotent: true,
		Header: append(x.sideHeaders(), upstream.Field{Name: "content-md5", Value: base64.StdEncoding.EncodeToString(sum[:])},
			upstream.Field{Name: "content-type", Value: "application/xml"})}
	resp, err := x.call(req)
	if err != nil {
		return nil, s3xml.DeleteResult{}, err
	}
	doc, err := x.okDocument(resp)
	if err != nil {
		return nil, s3xml.DeleteResult{}, err
	}
	result, err := s3xml.ParseDeleteResult(doc)
	return resp, result, err
}
