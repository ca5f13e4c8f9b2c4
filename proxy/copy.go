package proxy

import (
	"maps"
	"strings"

	"s3veil/crypto/envelope"
	"s3veil/crypto/manifest"
	"s3veil/proxy/etag"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3xml"
	"s3veil/proxy/sse"
	"s3veil/proxy/upstream"
	"s3veil/sigv4"
	"s3veil/sigv4/checksum"
)

// maxCopy is the largest source of one CopyObject, in plaintext bytes (S3 API, CopyObject).
const maxCopy = 5 << 30

// errAnonymousCopy is S3's answer to a copy without a signature, whatever is open to everybody (API reference, CopyObject and
// UploadPartCopy: "must be authenticated and signed").
var errAnonymousCopy = s3err.AccessDenied.Say("Anonymous users cannot copy objects. Please authenticate.")

// copyObject answers CopyObject: by resealing the envelope where the DEK stays under the keys that protect it, else by
// streaming re-encryption (FORMAT.md 10).
func (x *exchange) copyObject() error {
	if x.auth.Kind == sigv4.Anonymous {
		return errAnonymousCopy
	}
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
	fields, err := x.checkCopy(src)
	if err != nil {
		src.o.forget()
		return err
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

// checkCopy refuses what cannot be copied as it is, and returns the target's fields.
func (x *exchange) checkCopy(src *copySource) ([]upstream.Field, error) {
	if src.o.content > maxCopy {
		return nil, s3err.Request("The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
	}
	fields, err := x.copiedFields(src)
	if err == nil && x.changesNothing(src) {
		err = s3err.Request("This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	return fields, err
}

// checkCopyHeaders refuses what S3 refuses before it looks at the source, and returns the checksum that is asked for.
func (x *exchange) checkCopyHeaders() (checksum.Algorithm, error) {
	switch d := x.head.Get("x-amz-tagging-directive"); d {
	case "", "COPY", "REPLACE":
	default:
		return 0, s3err.Argument("Unknown tagging directive.", "x-amz-tagging-directive", d)
	}
	if x.head.Get("x-amz-metadata-directive") != "REPLACE" { // not taken over, but measured
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
	switch d := x.head.Get("x-amz-metadata-directive"); d {
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
	if x.head.Get("x-amz-metadata-directive") == "REPLACE" {
		return false
	}
	return !x.head.Has("x-amz-storage-class") && !x.head.Has("x-amz-checksum-algorithm") && !x.head.Has("x-amz-website-redirect-location") &&
		!x.namesEncryption() && !src.o.plaintext()
}

// mayReseal reports whether the DEK may be shared with the target: one realm, one kid, one context, one store, and no
// customer's key on either side. At least one store decodes a copy source before it looks for the version in it, and would copy
// the key in front of what only looks like one: such sources are read by their path.
func (x *exchange) mayReseal(src *copySource) bool {
	return !src.o.plaintext() && !strings.Contains(src.name.Key, "?versionId=") && src.b.store == x.bucket.store && src.b.realm == x.bucket.realm &&
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
	save := func() error { return x.copyManifest(src, a, h.Binding) }
	if err := save(); err != nil {
		return nil, err
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
	doc, err := x.okDocument(resp)
	if err != nil {
		return nil, err
	}
	result, err := s3xml.ParseResult(doc, "CopyObjectResult", x.req.Bucket)
	if err != nil {
		return nil, err
	}
	if err := x.ensureManifest(src, a, save); err != nil {
		return nil, err
	}
	if err := x.ensureTags(tags, resp.Get("x-amz-version-id")); err != nil {
		return nil, err
	}
	return x.copied(src, resp, a, s3xml.Copied{ETag: result.ETag, LastModified: result.LastModified}), nil
}

// copyManifest writes the source's part table as the target's; single streams have none.
func (x *exchange) copyManifest(src *copySource, a *envelope.Attributes, binding envelope.Binding) error {
	if src.o.manifest == nil {
		return nil
	}
	m := *src.o.manifest
	m.Provisional = false
	m.SetOrigin(nil) // of the source's upload
	return x.saveManifest(&x.bucket, x.req.Key, &m, a, binding)
}

// ensureManifest makes sure of the target's manifest once the store has copied, which takes minutes: to a DeleteBucket in
// between it was nobody's, since no open upload shows that an object is to come.
func (x *exchange) ensureManifest(src *copySource, a *envelope.Attributes, save func() error) error {
	if src.o.manifest == nil {
		return nil
	}
	raw, err := x.readReserved(&x.bucket, manifest.Name(a.ObjectID))
	if err != nil || raw != nil {
		return err
	}
	return save()
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
