package proxy

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"time"

	"s3veil/crypto/manifest"
	"s3veil/crypto/size"
	"s3veil/crypto/stream"
	"s3veil/proxy/etag"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3op"
	"s3veil/proxy/s3xml"
	"s3veil/proxy/sse"
	"s3veil/proxy/upstream"
)

// The bounds of a Complete: 10,000 parts in its document, and how long a store may take to put them together.
const (
	maxCompleteXML = 4 << 20
	longTimeout    = 30 * time.Minute
)

// completion is a CompleteMultipartUpload under way (FORMAT.md 9.3).
type completion struct {
	x      *exchange
	u      *upload
	client []s3xml.CompletedPart // the client's list
	parts  []s3xml.UploadedPart  // the store's, in the client's order
	notes  partNotes             // of those parts, in state-object mode
	m      *manifest.Manifest
	extra  []upstream.Field // conditions and other headers for the store
	said   promise
	again  *manifest.Origin // of a Complete whose state object is gone: what the object in place has to come from
}

// completeMultipartUpload writes the manifest, completes at the store, and makes sure that the object that became visible
// is the one the manifest describes.
func (x *exchange) completeMultipartUpload() error {
	if err := x.readCustomerKey(); err != nil {
		return err
	}
	doc, err := x.readAll(maxCompleteXML, s3err.MalformedXML)
	if err != nil {
		return err
	}
	list, malformed := s3xml.ParseComplete(doc)
	if malformed != nil { // an upload that does not exist comes first
		if _, _, err := x.parseUpload(); err != nil {
			return err
		}
		return malformed
	}
	c := &completion{x: x, client: list, extra: x.sideHeaders()}
	c.u, err = x.openUpload(true)
	if errors.Is(err, errNoState) {
		err = c.mayHaveSucceeded()
	}
	if err != nil {
		return err
	}
	if c.said, err = x.promiseOf(len(list)); err != nil {
		c.forget()
		return err
	}
	return x.slow(func() (*slowAnswer, error) {
		defer c.forget()
		if c.again != nil {
			return c.repeated()
		}
		return c.run()
	})
}

func (c *completion) run() (*slowAnswer, error) {
	gone, err := c.findParts()
	if err != nil {
		return nil, err
	}
	if gone {
		return c.repeated()
	}
	if err := c.buildManifest(); err != nil {
		return nil, err
	}
	if err := c.x.saveManifest(&c.x.bucket, c.x.req.Key, c.m, c.u.attrs, c.u.head.Binding); err != nil {
		return nil, err
	}
	resp, result, err := c.complete()
	if err != nil {
		if isGone(err) && !(c.x.head.Has("if-match") && s3err.From(err).Code == s3err.NoSuchKey.Code) {
			return c.repeated()
		}
		return nil, err
	}
	return c.settle(resp, result)
}

// isGone reports whether the store knows the upload no longer; some stores call that NoSuchKey.
func isGone(err error) bool {
	e := s3err.From(err)
	return e.Code == s3err.NoSuchUpload.Code || e.Code == s3err.NoSuchKey.Code
}

// findParts pages through the store's parts and picks those that the client lists.
func (c *completion) findParts() (gone bool, err error) {
	stored, err := c.x.allParts(c.u.id)
	if err != nil {
		if isGone(err) {
			return true, nil
		}
		return false, err
	}
	byNumber := make(map[int]*s3xml.UploadedPart, len(stored))
	for i := range stored {
		byNumber[stored[i].Number] = &stored[i]
	}
	for _, want := range c.client {
		have := byNumber[want.Number]
		if have == nil || bare(etag.FromClient(want.ETag)) != bare(have.ETag) {
			return false, s3err.Part(c.u.clientID, want.Number, want.ETag)
		}
		c.parts = append(c.parts, *have)
	}
	c.notes, err = c.x.readNotes(c.u, c.parts)
	return false, err
}

// maxPartPages bounds the pages of ListParts that are followed: those of S3 have 1,000 of at most 10,000 parts.
const maxPartPages = 1000

// allParts reads every page of ListParts.
func (x *exchange) allParts(id string) ([]s3xml.UploadedPart, error) {
	var all []s3xml.UploadedPart
	marker := 0
	for range maxPartPages {
		query := uploadQuery(id, upstream.Param{Name: "max-parts", Value: "1000"})
		if marker > 0 {
			query = append(query, upstream.Param{Name: "part-number-marker", Value: strconv.Itoa(marker)})
		}
		page, err := x.partPage(query)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Parts...)
		if !page.Truncated || len(all) > size.MaxParts {
			return all, nil
		}
		if page.Next <= marker {
			return nil, fmt.Errorf("%w: part listing does not advance", upstream.ErrUnavailable)
		}
		marker = page.Next
	}
	return nil, fmt.Errorf("%w: more than %d pages of parts", upstream.ErrUnavailable, maxPartPages)
}

func (x *exchange) partPage(query []upstream.Param) (*s3xml.PartList, error) {
	req := &upstream.Request{Op: "ListParts", Method: "GET", Key: x.req.Key, Header: x.forwarded(isReadHeader), Query: query, Idempotent: true}
	resp, err := x.call(req)
	if err != nil {
		return nil, err
	}
	if resp.Status == 403 && x.bucket.store.own {
		if resp, err = x.ownParts(req, resp); err != nil {
			return nil, err
		}
	}
	doc, err := x.okDocument(resp)
	if err != nil {
		return nil, err
	}
	return s3xml.ParseParts(doc)
}

// ownParts asks for parts that the store does not list to the client, under s3veil's own credentials: whoever may complete an
// upload need not be able to list it. Whether he may, the store says first, so that nobody else learns of the parts.
func (x *exchange) ownParts(req *upstream.Request, refused *upstream.Response) (*upstream.Response, error) {
	err := x.storeError(refused)
	if x.req.Op != "CompleteMultipartUpload" {
		return nil, err
	}
	said := x.refusal
	x.refusal = nil
	if err := x.uploadFirst(&x.bucket, noUploads[x.req.Op], nil); err != nil {
		return nil, err
	}
	resp, failed := x.callOwn(&x.bucket, req)
	if failed == nil && resp.Status == 403 {
		resp.Body.Close()
		x.refusal = said
		return nil, err
	}
	return resp, failed
}

// buildManifest derives the part table from the stored sizes and checks what the client says about the object.
func (c *completion) buildManifest() error {
	parts := make([]size.Part, len(c.parts))
	for i, p := range c.parts {
		if !p.Valid {
			return lengthError("part %d has %d stored bytes", p.Number, p.Stored)
		}
		if least := c.x.bucket.store.minPart; i < len(c.parts)-1 && p.Size < least {
			return s3err.TooSmall(p.Size, least, p.Number, etag.ToClient(p.ETag))
		}
		parts[i] = size.Part{Number: p.Number, Size: p.Size}
	}
	table, err := size.NewTable(parts)
	if err != nil {
		return err
	}
	if n := c.said.size; n >= 0 && n != table.Plain() {
		return s3err.Request(fmt.Sprintf("The provided 'x-amz-mp-object-size' header value %d does not match what was computed: %d", n, table.Plain()))
	}
	c.m = &manifest.Manifest{Table: table, Provisional: c.x.bucket.rule.RecordNonce}
	if c.u.state != "" {
		c.m.SetOrigin(c.origin(sha256.Sum256([]byte(c.u.id))))
	}
	return c.checkSums()
}

// complete sends the part list to the store.
func (c *completion) complete() (*upstream.Response, s3xml.Result, error) {
	list := make([]s3xml.CompletedPart, len(c.parts))
	for i, p := range c.parts {
		list[i] = s3xml.CompletedPart{Number: p.Number, ETag: p.ETag, Checksums: p.Checksums}
	}
	resp, err := c.x.call(&upstream.Request{Op: "CompleteMultipartUpload", Method: "POST", Key: c.x.req.Key,
		Query: uploadQuery(c.u.id), Header: append(c.extra, upstream.Field{Name: "content-type", Value: "application/xml"}),
		Body: upstream.Bytes(s3xml.AppendComplete(nil, list)), Timeout: longTimeout})
	if err != nil {
		return nil, s3xml.Result{}, err
	}
	doc, err := c.x.okDocument(resp)
	if err != nil {
		return nil, s3xml.Result{}, err
	}
	result, err := s3xml.ParseResult(doc, "CompleteMultipartUploadResult", c.x.req.Bucket)
	return resp, result, err
}

// settle is step 5 of FORMAT.md 9.3: what has become visible must be the object that this manifest describes.
func (c *completion) settle(resp *upstream.Response, result s3xml.Result) (*slowAnswer, error) {
	head, err := c.x.call(&upstream.Request{Op: "HeadObject", Method: "HEAD", Key: c.x.req.Key, Idempotent: true})
	if err != nil {
		return nil, err
	}
	defer head.Body.Close()
	o := &object{key: c.x.req.Key, etag: head.Get("etag")}
	defer o.forget()
	switch {
	case head.Status == 200:
		o.stored = head.ContentLength
		if o.entry, err = classify(head.Header); err == nil && o.entry != "" {
			err = c.openEnvelope(o)
		}
	case head.Status >= 500:
		err = c.x.storeError(head)
	}
	if err != nil && s3err.From(err).Status >= 500 {
		return nil, err // which of several manifests is the object's is not known yet; the Complete repeated goes on here
	}
	if head.Status != 200 || err != nil || o.attrs == nil || o.attrs.ObjectID != c.u.attrs.ObjectID {
		return c.answer(resp, result.ETag), nil // overwritten since: the store's answer stands
	}
	if o.stored != c.m.Table.Stored() {
		return nil, s3err.NoSuchUpload.With(errors.New("another part list has won"))
	}
	if err := c.secureFirstName(o, result.ETag == "" || bare(result.ETag) == bare(o.etag)); err != nil {
		return nil, err
	}
	if c.m.Provisional {
		if err := c.recordNonces(head.Get("etag")); err != nil {
			return nil, err
		}
	}
	c.x.s.caches.manifests.Add(c.u.attrs.ObjectID, c.m)
	if c.u.state != "" {
		if err := c.x.deleteState(&c.x.bucket, c.u.state); err != nil {
			c.x.s.log.Warn("state object of a completed upload stays", "request_id", c.x.id, "bucket", c.x.bucket.visible, "key", c.x.req.Key, "cause", err.Error())
		}
		c.x.dropNotes(c.u.state)
	}
	if result.ETag == "" { // Ceph RGW 16 leaves it out
		result.ETag = head.Get("etag")
	}
	return c.answer(resp, result.ETag), nil
}

// secureFirstName makes the first manifest name hold the manifest of the object that won. One with the same part table may be
// that of an earlier attempt with other parts of the same sizes: where the store's answer was about the object in place (ours),
// its checksums make room for this list's, unless it is another Complete of this list that has found more of the parts' notes.
func (c *completion) secureFirstName(o *object, ours bool) error {
	b, key := &c.x.bucket, c.x.req.Key
	first := manifest.Name(c.u.attrs.ObjectID)
	raw, err := c.x.readReserved(b, first)
	if err != nil {
		return err
	}
	rival, err := manifest.Open(raw, c.u.attrs.ManifestKey(), c.u.attrs.ObjectID, o.head.Binding, b.location(key))
	switch {
	case err == nil && manifest.TableDigest(rival.Table) == manifest.TableDigest(c.m.Table):
		if !ours || sameSums(rival, c.m) {
			return nil
		}
		if c.knowsMore(rival) {
			c.m = rival
			return nil
		}
	case err == nil && rival.Table.Stored() == o.stored:
		if won, err := c.proves(o, rival.Table); err != nil || !won {
			return cmp.Or(err, error(s3err.NoSuchUpload.With(errors.New("another part list of the same length has won"))))
		}
	}
	sealed, err := manifest.Seal(c.m, c.u.attrs.ManifestKey(), c.u.attrs.ObjectID, o.head.Binding, b.location(key))
	if err != nil {
		return err
	}
	_, err = c.x.writeReserved(b, first, sealed, manifest.EncodeHint(b.bound, key), false)
	return err
}

// proves reports whether the object in place is this list's and not that of a rival of the same length: the last package of
// the first part in which they differ opens under one of them only. ETags would tell only where they are known to be MD5.
func (c *completion) proves(o *object, rival *size.Table) (bool, error) {
	if c.u.keyless {
		return bare(o.etag) == c.storeETag(), nil
	}
	for i := range c.m.Table.Len() {
		p := c.m.Table.Part(i)
		if p.Size == 0 || (i < rival.Len() && rival.Part(i) == p) {
			continue
		}
		last := c.m.Table.Start(i) + p.Size - 1
		o.table = c.m.Table
		body, err := c.x.readSource(&copySource{b: c.x.bucket, name: s3op.CopySource{Key: c.x.req.Key}, o: o}, last, last)
		switch {
		case errors.Is(err, stream.ErrStream):
			return false, nil
		case err != nil:
			return false, err
		}
		return true, body.Close()
	}
	return true, nil // they differ in empty parts, which read the same
}

func (c *completion) answer(resp *upstream.Response, storeETag string) *slowAnswer {
	x := c.x
	created := s3xml.Created{Location: x.location(), Bucket: x.req.Bucket, Key: x.req.Key, ETag: etag.ToClient(storeETag)}
	o := &object{attrs: c.u.attrs, manifest: c.m, table: c.m.Table}
	if c.m.Checksum != nil {
		created.Checksums, created.ChecksumType = o.checksumElement()
	}
	return &slowAnswer{doc: func(started bool) []byte { return s3xml.AppendCompleteResult(nil, created, started) }, head: func() {
		x.respond(200, resp)
		x.setUploadSSE(c.u, sse.Completed)
	}}
}

// location is the URL of the object as the client addresses it.
func (x *exchange) location() string {
	scheme := "http://"
	if x.tls {
		scheme = "https://"
	}
	return scheme + x.head.Host + x.head.Path
}
