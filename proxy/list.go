package proxy

import (
	"fmt"
	"io"
	"sync"

	"s3veil/crypto/envelope"
	"s3veil/proxy/byterange"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3xml"
	"s3veil/proxy/upstream"
	"s3veil/sigv4/checksum"
)

// listObjects answers ListObjects, ListObjectsV2 and ListObjectVersions: plaintext sizes, the reserved prefix hidden and the
// page filled up from what follows.
func (x *exchange) listObjects() error {
	if err := x.discardBody(); err != nil {
		return err
	}
	query := x.passQuery()
	page, resp, err := x.listPage(query)
	if err != nil {
		return err
	}
	for fills := 0; page.Hidden > 0 && page.Truncated && fills < maxFillPages; fills++ {
		x.documents.keep()
		if err := x.fillPage(page, query); err != nil {
			return err
		}
	}
	if r := x.bucket.rule; r.AllowPlaintext || r.Foreign != nil || r.ListExact {
		if err := x.measure(page.Entries); err != nil {
			return err
		}
	}
	x.respond(200, resp)
	return x.xml(200, page.Append(nil, x.req.Bucket))
}

// maxFillPages bounds the pages that make up for hidden entries. One does, since it begins behind the reserved prefix; more are for
// what another spelling hides. Of a store that goes on hiding the client gets a short page, with the markers of where it ends.
const maxFillPages = 100

// fillPage makes up for the hidden entries of a page by what follows it. A store that goes on from where it was, or from before,
// would do so for ever.
func (x *exchange) fillPage(page *s3xml.List, query []upstream.Param) error {
	from, version := max(page.Last, s3xml.AfterReserved), ""
	if from == page.Last && x.req.Op == "ListObjectVersions" {
		version = page.NextVersion // of a key that may have more
	}
	next, _, err := x.listPage(after(query, string(x.req.Op), from, version, page.Hidden))
	if err != nil {
		return err
	}
	if next.Last < from && next.Last != "" || next.Last == from && (version == "" || next.Hidden > 0) {
		return fmt.Errorf("%w: listing does not advance", upstream.ErrUnavailable)
	}
	page.Hidden = 0
	page.Extend(next)
	return nil
}

// listPage reads one page of the store.
func (x *exchange) listPage(query []upstream.Param) (*s3xml.List, *upstream.Response, error) {
	resp, err := x.call(&upstream.Request{Op: string(x.req.Op), Method: "GET", Query: query, Header: x.sideHeaders(), Idempotent: true})
	if err != nil {
		return nil, nil, err
	}
	doc, err := x.okDocument(resp)
	if err != nil {
		return nil, nil, err
	}
	page, err := s3xml.ParseList(doc)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", upstream.ErrUnavailable, err)
	}
	return page, resp, nil
}

// after turns the query of a page into that of the one which makes up for hidden entries: it starts after a key, or a version of
// it, of s3veil's choice and asks for as many entries as are missing.
func after(query []upstream.Param, op, last, version string, missing int) []upstream.Param {
	name := "marker"
	switch op {
	case "ListObjectsV2":
		name = "start-after"
	case "ListObjectVersions":
		name = "key-marker"
	}
	out := []upstream.Param{{Name: name, Value: last}, {Name: "max-keys", Value: itoa(int64(missing))}}
	if version != "" {
		out = append(out, upstream.Param{Name: "version-id-marker", Value: version})
	}
	for _, p := range query {
		switch p.Name {
		case "marker", "start-after", "key-marker", "version-id-marker", "continuation-token", "max-keys":
		default:
			out = append(out, p)
		}
	}
	return out
}

// measure tells encrypted from plaintext entries of a bucket that may hold both, by HEAD behind a cache whose key names one
// immutable state of an object.
func (x *exchange) measure(entries []s3xml.Entry) error {
	q := x.questions()
	var once sync.Once
	var failed error
	for i := range entries {
		e := &entries[i]
		if e.Stored < 0 {
			continue
		}
		key := sizeKey{store: x.bucket.store.name, bucket: x.bucket.name, key: e.Key, etag: e.ETag + e.VersionID}
		if known, ok := x.s.caches.sizes.Get(key); x.cached("sizes", ok) {
			known.apply(e)
			continue
		}
		q.ask(func(one *exchange) error {
			size, err := one.measureOne(e)
			if err != nil {
				return err
			}
			if !size.denied {
				x.s.caches.sizes.Add(key, size)
			}
			size.apply(e)
			return nil
		}, func(err error) { once.Do(func() { failed = err }) })
	}
	q.answered()
	return failed
}

func (l listedSize) apply(e *s3xml.Entry) {
	e.ChecksumAlgorithm, e.ChecksumType = l.algorithm, l.kind
	switch {
	case l.known:
		e.Size = l.content
	case !l.sealed:
		e.Plaintext, e.Size = true, e.Stored
	}
}

// headListed asks for the headers of a listed object. Of a version that the list has named and HEAD does not find, its first byte
// is asked for: versitygw answers 404 to HEAD of the versions under a null one.
func (x *exchange) headListed(e *s3xml.Entry) (*upstream.Response, error) {
	req := &upstream.Request{Op: "HeadObject", Method: "HEAD", Bucket: x.bucket.name, Key: e.Key, Idempotent: true}
	if e.VersionID != "" {
		req.Query = []upstream.Param{{Name: "versionId", Value: e.VersionID}}
	}
	x.accompany(req)
	resp, err := x.ask(x.context(), x.bucket.store.data, req)
	if err != nil || resp.Status != 404 || e.VersionID == "" {
		return resp, err
	}
	resp.Body.Close()
	req.Op, req.Method = "GetObject", "GET"
	if e.Stored > 0 { // no range of an empty object can be satisfied
		req.Header = append(req.Header, upstream.Field{Name: "range", Value: byterange.Format(0, 0)})
	}
	if resp, err = x.ask(x.context(), x.bucket.store.data, req); err == nil && resp.ContentLength == 1 {
		if _, err = io.Copy(io.Discard, resp.Body); err != nil { // read, so that the connection lives on
			resp.Body.Close()
		}
	}
	return resp, err
}

// measureOne asks whether a listed object carries an envelope. An object that has gone meanwhile keeps its estimate.
func (x *exchange) measureOne(e *s3xml.Entry) (listedSize, error) {
	resp, err := x.headListed(e)
	if err != nil {
		return listedSize{}, err
	}
	defer resp.Body.Close()
	switch {
	case resp.Status == 404:
		return listedSize{sealed: true}, nil
	case resp.Status >= 400 && (resp.Status < 500 || resp.Status == 501) && !x.bucket.rule.AllowPlaintext && x.bucket.rule.Foreign == nil:
		// Whoever may list need not be able to read, and not every store that lists versions has them.
		return listedSize{sealed: true, denied: true}, nil
	case resp.Status != 200 && resp.Status != 206:
		return listedSize{}, fmt.Errorf("%w: HEAD of a listed object answers %d", upstream.ErrUnavailable, resp.Status)
	}
	entry := resp.Get(entryName)
	switch {
	case entry == "" && x.bucket.rule.Foreign != nil:
		return x.measureForeign(e, resp)
	case entry != "" && x.bucket.rule.ListExact:
		return x.measureSealed(e, resp, entry), nil
	}
	return listedSize{sealed: entry != ""}, nil
}

// measureSealed looks into the part table of a multipart object, or the length of a padded one, whose size arithmetic bounds only
// (FORMAT.md 8.4, 8.5), and at the checksum that an object keeps. What cannot be opened, for want of a customer's key say, keeps
// that bound and shows none.
func (x *exchange) measureSealed(e *s3xml.Entry, resp *upstream.Response, entry string) listedSize {
	found := listedSize{sealed: true}
	sealed, err := envelope.ParseText(entry)
	if err != nil {
		return found
	}
	o, err := x.openObject(&x.bucket, e.Key, resp, nil)
	if err != nil {
		return found
	}
	defer o.forget()
	if !isExact(sealed.Header()) {
		found.known, found.content = true, o.content
	}
	if header, _, kind, ok := o.checksum(); ok {
		a, _ := checksum.FromHeader(header)
		found.algorithm, found.kind = a.String(), kind
	}
	return found
}

// listMultipartUploads answers ListMultipartUploads. The store knows only its own upload ids; what the client gets serves
// Abort and ListParts, and in state-object mode everything.
func (x *exchange) listMultipartUploads() error {
	if err := x.discardBody(); err != nil {
		return err
	}
	query := x.passQuery()
	// Without a key marker S3 ignores that of the upload.
	after, _ := x.req.Get("key-marker")
	if marker, ok := x.req.Get("upload-id-marker"); ok && marker != "" && after != "" {
		id, err := x.markerID(marker)
		if err != nil {
			return err
		}
		query = append(query, upstream.Param{Name: "upload-id-marker", Value: id})
	}
	resp, err := x.call(&upstream.Request{Op: string(x.req.Op), Method: "GET", Query: query, Header: x.sideHeaders(), Idempotent: true})
	if err != nil {
		return err
	}
	doc, err := x.okDocument(resp)
	if err != nil {
		return err
	}
	return x.answerUploads(resp, doc)
}

// answerUploads rewrites a page of uploads: ids in the client's form, the probes of s3veil hidden.
func (x *exchange) answerUploads(resp *upstream.Response, doc []byte) error {
	page, err := s3xml.ParseUploads(doc)
	if err != nil {
		return fmt.Errorf("%w: %w", upstream.ErrUnavailable, err)
	}
	form := envelope.ListedID
	if x.bucket.rule.UploadID == UploadIDState {
		form = envelope.StateID
		x.describeUploads(page.Uploads)
	}
	marker, _ := x.req.Get("upload-id-marker")
	x.respond(200, resp)
	return x.xml(200, page.Append(nil, x.req.Bucket, marker, form))
}

// markerID returns the store's upload id of a marker in any form.
func (x *exchange) markerID(marker string) (string, error) {
	parsed, err := envelope.ParseUploadID(marker)
	if err != nil {
		return "", s3err.Argument("Invalid uploadId marker", "upload-id-marker", marker)
	}
	switch parsed.Form {
	case envelope.FormListed:
		return parsed.Upstream, checkUpload(parsed.Upstream)
	case envelope.FormToken:
		return parsed.Token.UpstreamID, checkUpload(parsed.Token.UpstreamID)
	}
	raw, err := x.readReserved(&x.bucket, envelope.StateNameOf(parsed.State))
	if err != nil {
		return "", err
	}
	tokens, err := envelope.ParseStateToken(parsed.State, raw)
	if err != nil {
		return "", s3err.Argument("Invalid uploadId marker", "upload-id-marker", marker)
	}
	return tokens.Token.UpstreamID, checkUpload(tokens.Token.UpstreamID)
}
