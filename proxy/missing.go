package proxy

import (
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3op"
	"s3veil/proxy/upstream"
)

// whichMissing names what is missing when that is known to be the key or the upload only because nobody has said otherwise:
// a HEAD has no document, and an upload id that does not open has not been to the store. S3 answers NoSuchBucket first.
func (x *exchange) whichMissing(b *bucket, err error) error {
	e := s3err.From(err)
	if version, ok := x.req.Get("versionId"); ok && e.Status == 400 && e.Code == s3err.BadRequest.Code {
		return errVersion(version)
	}
	if e.Status != 404 || e.Code == s3err.NoSuchBucket.Code || x.head.Method == "HEAD" {
		return err
	}
	return x.bucketFirst(b, err)
}

// errVersion is a version id that the store refuses to a HEAD, which has no words for it.
func errVersion(id string) error {
	return s3err.Argument("Invalid version id specified", "versionId", id)
}

// bucketFirst is NoSuchBucket where the bucket does not exist, err otherwise.
func (x *exchange) bucketFirst(b *bucket, err error) error {
	if probe, ok := noUploads[x.req.Op]; ok {
		return x.uploadFirst(b, probe, err)
	}
	return x.noBucket(b, err)
}

// noBucket is NoSuchBucket where HEAD says that there is none, err otherwise.
func (x *exchange) noBucket(b *bucket, err error) error {
	resp, failed := x.callOn(b.store.data, &upstream.Request{Op: "HeadBucket", Method: "HEAD", Bucket: b.name, Idempotent: true})
	if failed != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.Status == 404 {
		x.refusal = nil
		return s3err.NoSuchBucket.With(err)
	}
	return err
}

// targetFirst names what the store has against the target of a copy whose source cannot be had, err where it has nothing: S3
// looks at the rights to both before it looks at either. An empty part of an upload that does not exist asks for the right to
// write and has no effect; good copies do without the question.
func (x *exchange) targetFirst(err error) error {
	source := x.refusal
	x.refusal = nil
	if said := x.uploadFirst(&x.bucket, noUploads["UploadPart"], nil); said != nil {
		return said
	}
	x.refusal = source
	return err
}

// noUploads are requests for an upload that does not exist, which have no effect: their method, query and document.
var noUploads = map[s3op.Op]struct{ method, part, doc string }{
	"ListParts":            {method: "GET"},
	"AbortMultipartUpload": {method: "DELETE"},
	"UploadPart":           {method: "PUT", part: "1"},
	"UploadPartCopy":       {method: "PUT", part: "1"}, // of no source: an empty part
	"CompleteMultipartUpload": {method: "POST", doc: "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>" +
		"<ETag>d41d8cd98f00b204e9800998ecf8427e</ETag></Part></CompleteMultipartUpload>"},
}

// noUpload is an upload id that no store gives out.
const noUpload = "s3veil-none"

// uploadFirst asks the store about an upload that does not exist: it says what comes before that, such as AccessDenied.
func (x *exchange) uploadFirst(b *bucket, probe struct{ method, part, doc string }, err error) error {
	req := &upstream.Request{Op: string(x.req.Op), Method: probe.method, Bucket: b.name, Key: x.req.Key, Query: uploadQuery(noUpload),
		Header: x.forwarded(isReadHeader), Idempotent: true}
	if probe.part != "" {
		req.Query = uploadQuery(noUpload, upstream.Param{Name: "partNumber", Value: probe.part})
	}
	if probe.doc != "" {
		req.Body = upstream.Bytes(probe.doc)
	}
	resp, failed := x.callOn(b.store.data, req)
	if failed != nil {
		return err
	}
	if resp.Status != 403 && resp.Status != 404 {
		resp.Body.Close()
		return err
	}
	said := x.storeError(resp)
	switch s3err.From(said).Code {
	case s3err.AccessDenied.Code, s3err.NoSuchBucket.Code:
		return said
	}
	x.refusal = nil
	return err
}
