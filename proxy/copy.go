package proxy

import (
	"maps"
	"strings"

	"s3veil/crypto/envelope"
	"s3veil/crypto/size"
	"s3veil/proxy/etag"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3op"
	"s3veil/proxy/s3xml"
	"s3veil/proxy/sse"
	"s3veil/proxy/upstream"
	"s3veil/sigv4/checksum"
)

// maxCopy is the largest source of one CopyObject, in plaintext bytes (S3 API, CopyObject).
const maxCopy = 5 << 30

// copySource is the source of a copy, authorised as a read and opened by one HEAD.
type copySource struct {
	b       bucket
	name    s3op.CopySource
	o       *object
	version string             // of the source, for the answer
	sum     *envelope.Checksum // computed for this copy, nil otherwise
}

// openSource authorises and opens the source under the copy conditions of the request.
func (x *exchange) openSource() (*copySource, error) {
	name, err := s3op.ParseCopySource(x.head.get("x-amz-copy-source"))
	if err != nil {
		return nil, err
	}
	s := &copySource{name: name}
	done := x.note.reads(name)
	defer func() { done(s.version) }()
	if s.b, err = x.otherBucket(name.Bucket, name.Key); err != nil {
		return nil, err
	}
	req := &upstream.Request{Op: "HeadObject", Method: "HEAD", Bucket: s.b.name, Key: name.Key, Query: s.query(), Header: x.sourceConditions(), Idempotent: true}
	resp, err := x.callOn(s.b.store.data, req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch resp.Status {
	case 200:
	case 304:
		return nil, s3err.PreconditionFailed
	default:
		return nil, x.whichMissing(&s.b, sourceError(x.storeError(resp), name.VersionID))
	}
	s.version = resp.Get("x-amz-version-id")
	s.o, err = x.openObject(&s.b, name.Key, resp, x.sourceCustomer)
	return s, err
}

// sourceError names what a HEAD without a body could not.
func sourceError(err error, version string) error {
	e := s3err.From(err)
	switch {
	case e.Status == 400 && version != "":
		return errVersion(version)
	case e.Status == 404 && version != "":
		return s3err.NoSuchVersion.With(err)
	case e.Status == 404 && e.Code != s3err.NoSuchBucket.Code:
		return s3err.NoSuchKey.With(err)
	case e.Status == 405:
		return s3err.Request("The source of a copy request may not specifically refer to a delete marker by version id.").With(err)
	}
	return err
}

func (s *copySource) query() []upstream.Param {
	if s.name.VersionID == "" {
		return nil
	}
	return []upstream.Param{{Name: "versionId", Value: s.name.VersionID}}
}

// sourceConditions are the x-amz-copy-source-if-* headers as conditions of a HEAD: its 304 is a copy's 412. The expected
// owner of the source is one of them.
func (x *exchange) sourceConditions() []upstream.Field {
	var out []upstream.Field
	for _, name := range []string{"if-match", "if-none-match", "if-modified-since", "if-unmodified-since"} {
		if v := x.head.get("x-amz-copy-source-" + name); v != "" {
			if strings.HasSuffix(name, "match") {
				v = etag.FromClient(v)
			}
			out = append(out, upstream.Field{Name: name, Value: v})
		}
	}
	return append(out, x.sourceOwner()...)
}

// copyObject answers CopyObject: by resealing the envelope where the DEK stays under the keys that protect it, else by
// streaming re-encryption (FORMAT.md 10).
func (x *exchange) copyObject() error {
	if err := x.chooseEncryption(); err != nil {
		return err
	}
	if err := x.discardBody(); err != nil {
		return err
	}
	sum, err := x.checkCopyHeaders()
	if err != nil {
		return err
	}
	src, err := x.openSource()
	if err != nil {
		return err
	}
	if src.o.content > maxCopy {
		return s3err.Request("The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
	}
	fields, err := x.copiedFields(src)
	if err != nil {
		return err
	}
	if x.changesNothing(src) {
		return s3err.Request("This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	reseal := x.mayReseal(src)
	extra := x.copyHeaders(reseal)
	return x.slow(func() (*slowAnswer, error) {
		defer src.o.forget()
		if err := x.addSum(src, sum); err != nil {
			return nil, err
		}
		if reseal {
			return x.resealCopy(src, fields, extra)
		}
		return x.streamCopy(src, fields, extra)
	})
}

// checkCopyHeaders refuses what S3 refuses before it looks at the source, and returns the checksum that is asked for.
func (x *exchange) checkCopyHeaders() (checksum.Algorithm, error) {
	switch d := x.head.get("x-amz-tagging-directive"); d {
	case "", "COPY", "REPLACE":
	default:
		return 0, s3err.Argument("Unknown tagging directive.", "x-amz-tagging-directive", d)
	}
	if x.head.get("x-amz-metadata-directive") != "REPLACE" { // not taken over, but measured
		own := x.forwarded(func(name string) bool { return strings.HasPrefix(name, metaPrefix) })
		if err := fitsMetadata(own, 0); err != nil {
			return 0, err
		}
	}
	return x.wantedSum()
}

// copyHeaders are the further headers of the target. The tagging directive means something to a server-side copy only.
func (x *exchange) copyHeaders(reseal bool) []upstream.Field {
	var out []upstream.Field
	for _, f := range append(x.sideHeaders(), x.storeSSEOf(&x.bucket)...) {
		if strings.HasPrefix(f.Name, "x-amz-copy-source") || (!reseal && f.Name == "x-amz-tagging-directive") {
			continue
		}
		out = append(out, f)
	}
	return out
}

// copiedFields are the target's content headers and user metadata by the metadata directive.
func (x *exchange) copiedFields(src *copySource) ([]upstream.Field, error) {
	switch d := x.head.get("x-amz-metadata-directive"); d {
	case "REPLACE":
		return x.objectFields()
	case "", "COPY":
	default:
		return nil, s3err.Argument("Unknown metadata directive.", "x-amz-metadata-directive", d)
	}
	var out []upstream.Field
	for _, f := range src.o.header {
		if strings.HasPrefix(f.Name, metaPrefix+envelope.Prefix) {
			continue
		}
		if contentHeaders[f.Name] || strings.HasPrefix(f.Name, metaPrefix) {
			out = append(out, f)
		}
	}
	return withContentType(out), nil
}

// changesNothing is S3's rule for copies onto themselves, decided here because s3veil always replaces.
func (x *exchange) changesNothing(src *copySource) bool {
	if src.b.visible != x.bucket.visible || src.name.Key != x.req.Key || src.name.VersionID != "" {
		return false
	}
	if x.head.get("x-amz-metadata-directive") == "REPLACE" {
		return false
	}
	return !x.head.has("x-amz-storage-class") && !x.head.has("x-amz-checksum-algorithm") && !x.head.has("x-amz-website-redirect-location") &&
		!x.namesEncryption() && !src.o.plaintext()
}

// mayReseal reports whether the DEK may be shared with the target: one realm, one kid, one context, one store, and no
// customer's key on either side.
func (x *exchange) mayReseal(src *copySource) bool {
	return !src.o.plaintext() && src.b.store == x.bucket.store && src.b.realm == x.bucket.realm &&
		src.o.head.KID != envelope.CustomerKID && src.o.head.KID == x.writeKID() && maps.Equal(src.o.head.Pairs, x.choice.Context) &&
		src.o.head.Suite == x.suite() && !src.o.head.Padded && !x.bucket.rule.Padding
}

// resealCopy lets the store copy the body and gives the target an envelope of its own around the same DEK.
func (x *exchange) resealCopy(src *copySource, fields, extra []upstream.Field) (*slowAnswer, error) {
	a := x.resealed(src.o.attrs)
	defer a.Zero()
	key, err := x.writeKey(&x.bucket)
	if err != nil {
		return nil, err
	}
	defer key.Release()
	key.Charge(src.o.content)
	kind := envelope.SinglePut
	if src.o.manifest != nil {
		kind = envelope.Multipart
	}
	if fields, err = x.bucket.hideMetadata(a, fields); err != nil {
		return nil, err
	}
	h := x.newHeader(&x.bucket, kind, key)
	sealed, err := sealObject(h, key.Bound, x.bucket.location(x.req.Key), a, fields)
	if err != nil {
		return nil, err
	}
	tags, err := x.carriedTags(src)
	if err != nil {
		return nil, err
	}
	if src.o.manifest != nil {
		m := *src.o.manifest
		m.Provisional = false
		if err := x.saveManifest(&x.bucket, x.req.Key, &m, a, h.Binding); err != nil {
			return nil, err
		}
	}
	req := &upstream.Request{Op: "CopyObject", Method: "PUT", Key: x.req.Key, Timeout: longTimeout}
	req.Header = append(append(req.Header, fields...), extra...)
	req.Header = append(req.Header, upstream.Field{Name: entryName, Value: sealed.Text()},
		upstream.Field{Name: "x-amz-copy-source", Value: storeSource(src)},
		upstream.Field{Name: "x-amz-copy-source-if-match", Value: src.o.etag},
		upstream.Field{Name: "x-amz-metadata-directive", Value: "REPLACE"})
	resp, err := x.call(req)
	if err != nil {
		return nil, err
	}
	if resp.Status != 200 {
		return nil, x.storeError(resp)
	}
	defer resp.Body.Close()
	doc, err := readDocument(resp.Body)
	if err != nil {
		return nil, err
	}
	result, err := s3xml.ParseResult(doc, "CopyObjectResult", x.req.Bucket)
	if err != nil {
		return nil, err
	}
	if err := x.ensureTags(tags, resp.Get("x-amz-version-id")); err != nil {
		return nil, err
	}
	return x.copied(src, resp, a, s3xml.Copied{ETag: result.ETag, LastModified: result.LastModified}), nil
}

// resealed returns attributes for a new envelope around the same body.
func (x *exchange) resealed(old *envelope.Attributes) *envelope.Attributes {
	a := *old
	a.ObjectID = envelope.NewObjectID()
	a.Created = x.s.now().Unix()
	a.Asked = x.choice.Asked()
	a.Extra = old.Carried()
	return &a
}

func storeSource(src *copySource) string {
	s := src.b.name + "/" + s3op.EscapePath(src.name.Key)
	if src.name.VersionID != "" {
		s += "?versionId=" + src.name.VersionID
	}
	return s
}

// copied is the answer to a copy.
func (x *exchange) copied(src *copySource, resp *upstream.Response, a *envelope.Attributes, result s3xml.Copied) *slowAnswer {
	result.ETag = etag.ToClient(etag.Quote(result.ETag))
	o := &object{attrs: a, manifest: src.o.manifest, table: src.o.table}
	result.Checksums, result.ChecksumType = o.checksumElement()
	return &slowAnswer{doc: func(started bool) []byte { return s3xml.AppendCopyResult(nil, result, started) }, head: func() {
		x.respond(200, resp)
		if src.version != "" {
			x.set("x-amz-copy-source-version-id", src.version)
		}
		x.setMadeSSE(sse.Made)
	}}
}

// streamCopy reads, decrypts, encrypts under a DEK of its own and writes. Both connections are taken at once or not at all.
func (x *exchange) streamCopy(src *copySource, fields, extra []upstream.Field) (*slowAnswer, error) {
	release, err := x.pair(&src.b)
	if err != nil {
		return nil, err
	}
	defer release()
	if extra, err = x.withSourceTags(src, extra); err != nil {
		return nil, err
	}
	body, err := x.readSource(src, 0, src.o.content-1)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	a := x.newAttributes()
	defer a.Zero()
	a.Checksum = src.sum
	if src.o.attrs != nil {
		a.ContentMD5 = src.o.attrs.ContentMD5
		a.Checksum = wholeSum(src.o)
	}
	w := &write{x: x, b: &x.bucket, key: x.req.Key, src: body, fields: fields, extra: extra, attrs: a, op: "PutObject"}
	resp, err := w.run()
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	src.o.manifest = nil // the copy is one stream
	return x.copied(src, resp, a, s3xml.Copied{ETag: resp.Get("etag"), LastModified: x.timestamp()}), nil
}

// wholeSum is a checksum that is valid for the body as one stream.
func wholeSum(o *object) *envelope.Checksum {
	if o.manifest != nil {
		if o.manifest.Composite {
			return nil
		}
		return o.manifest.Checksum
	}
	return o.attrs.Checksum
}

// pair reserves the connections of a streamed copy.
func (x *exchange) pair(src *bucket) (release func(), err error) {
	if src.store != x.bucket.store {
		return func() {}, nil // two pools: each request holds one connection of each
	}
	ctx, free, err := x.bucket.store.data.Pair(x.context())
	if err != nil {
		return nil, err
	}
	x.paired = ctx
	return func() { x.paired = nil; free() }, nil
}

// readSource opens the plaintext bytes a..b of a source, pinned to what its HEAD showed. b < a is the empty range.
func (x *exchange) readSource(src *copySource, a, b int64) (streamedSource, error) {
	o := src.o
	if b < a && o.foreign == nil {
		return &emptySource{}, nil
	}
	from, to := a, b
	var segments []size.Segment
	var err error
	if o.foreign != nil {
		from, to = 0, o.stored-1
	} else if !o.plaintext() {
		if from, to, segments, err = o.table.Range(a, o.through(a, b)); err != nil {
			return nil, err
		}
	}
	req := &upstream.Request{Op: "GetObject", Method: "GET", Bucket: src.b.name, Key: src.name.Key, Query: src.query(), Idempotent: true,
		Header: []upstream.Field{{Name: "if-match", Value: o.etag}}}
	if from != 0 || to != o.stored-1 {
		req.Header = append(req.Header, upstream.Field{Name: "range", Value: formatRange(from, to)})
	}
	resp, err := x.callOn(src.b.store.data, req)
	if err != nil {
		return nil, err
	}
	if resp.Status >= 300 {
		return nil, x.storeError(resp)
	}
	w := window{a: a, b: b, from: from, to: to, whole: from == 0 && to == o.stored-1}
	if entry, err := classify(resp.Header); err != nil || entry != o.entry || !w.covers(resp, o) {
		resp.Body.Close()
		if err != nil {
			return nil, err
		}
		return nil, errExchanged
	}
	if o.foreign != nil {
		body, err := x.openForeignBody(o, resp.Body, a, b, true)
		if err != nil {
			resp.Body.Close()
			return nil, err
		}
		return body, nil
	}
	if o.plaintext() {
		return &relayBody{src: resp.Body, left: b - a + 1, length: b - a + 1}, nil
	}
	body, err := x.s.newOpenedBody(resp.Body, o.head.Suite, &o.attrs.DEK, segments)
	if err != nil {
		return nil, err
	}
	return o.withoutPadding(body, b-a+1), nil
}

// streamedSource is a source that holds a connection.
type streamedSource interface {
	source
	Close() error
}

// emptySource is the source of an empty object.
type emptySource struct{ eofReader }

func (*emptySource) Len() int64    { return 0 }
func (*emptySource) Verify() error { return nil }
func (*emptySource) Close() error  { return nil }

// Len and Verify make a relayed plaintext body a source.
func (b *relayBody) Len() int64 { return b.length }

// Verify reports whether all of it has been read.
func (b *relayBody) Verify() error {
	if b.err == nil && b.left > 0 {
		return errRelayShort
	}
	return b.err
}
