package proxy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"s3veil/crypto/envelope"
	"s3veil/crypto/manifest"
	"s3veil/crypto/size"
	"s3veil/crypto/stream"
	"s3veil/keycache"
	"s3veil/proxy/byterange"
	"s3veil/proxy/etag"
	"s3veil/proxy/metrics"
	"s3veil/proxy/s3err"
	"s3veil/proxy/sse"
	"s3veil/proxy/upstream"
)

// metaPrefix starts user metadata headers; entryName is the header that carries the envelope.
const (
	metaPrefix = "x-amz-meta-"
	entryName  = metaPrefix + envelope.MetadataName
)

// lengthError is the class of stored lengths and ranges other than the sealed ones.
func lengthError(format string, args ...any) error {
	return s3err.Integrity(s3err.ClassLength, fmt.Errorf(format, args...))
}

func ambiguous(format string, args ...any) error {
	return s3err.Integrity(s3err.ClassAmbiguous, fmt.Errorf(format, args...))
}

// errExchanged reports two answers of one request that carry different envelopes: the store has mixed two objects.
var errExchanged = s3err.Integrity(s3err.ClassAmbiguous, errors.New("answers of one request carry different envelopes"))

// object is what one answer of the store says about an object, its envelope opened.
type object struct {
	remembered bool // the manifest came from the cache
	key        string
	etag       string // the store's
	stored     int64  // stored bytes of the whole object
	entry      string // the s3veil entry; empty for plaintext
	header     []upstream.Field

	sealed   *envelope.Sealed
	head     envelope.Header
	attrs    *envelope.Attributes
	print    keycache.Fingerprint
	table    *size.Table
	manifest *manifest.Manifest // multipart objects only
	content  int64              // plaintext bytes
	foreign  *foreignObject     // an object of the S3 Encryption Client, which has no envelope
}

// plaintext reports whether the object has no envelope.
func (o *object) plaintext() bool { return o.sealed == nil }

// forget overwrites the DEK. Bodies that decrypt have a copy of their own.
func (o *object) forget() {
	if o != nil && o.attrs != nil {
		o.attrs.Zero()
	}
	if o != nil && o.foreign != nil {
		o.foreign.key.Zero()
	}
}

// clientETag is the ETag as clients see it: a plaintext object keeps its own (FORMAT.md 11).
func (o *object) clientETag() string {
	if o.plaintext() && o.foreign == nil {
		return o.etag
	}
	return etag.ToClient(o.etag)
}

// openObject classifies an answer of the store and opens its envelope and manifest, in the order of FORMAT.md 5.7. The
// length check covers the whole object, ranged answers included. customer is the client's own key for it, nil for none.
func (x *exchange) openObject(b *bucket, key string, resp *upstream.Response, customer *sse.CustomerKey) (_ *object, err error) {
	o := &object{key: key, etag: resp.Get("etag"), header: resp.Header}
	defer func() {
		if err != nil {
			o.forget()
		}
	}()
	if o.stored, err = storedLength(resp); err != nil {
		return nil, err
	}
	if o.entry, err = classify(resp.Header); err != nil {
		return nil, err
	}
	if o.entry == "" && b.rule.Foreign != nil {
		if err := x.openForeign(b, o); err != nil {
			return nil, err
		}
		switch {
		case o.foreign != nil && customer != nil:
			return nil, sse.ErrNotApplicable
		case o.foreign != nil:
			return o, nil
		}
	}
	if o.entry == "" {
		if !b.rule.AllowPlaintext {
			return nil, s3err.ObjectNotEncrypted
		}
		if customer != nil {
			return nil, sse.ErrNotApplicable
		}
		o.content = o.stored
		x.s.metrics.Foreign(metrics.FormatPlaintext)
		return o, nil
	}
	if err := x.openEnvelope(b, o, customer); err != nil {
		return nil, err
	}
	if err := x.findTable(b, o); err != nil {
		return nil, err
	}
	if age := b.rule.MaxAge; age > 0 && x.s.now().Unix()-o.attrs.Created > int64(age.Seconds()) {
		return nil, s3err.Integrity(s3err.ClassMetadata, errors.New("object is older than the bucket's max_age"))
	}
	if err := x.checkMetadata(b, o); err != nil {
		return nil, err
	}
	return o, o.revealMetadata()
}

// storedLength is the size of the whole stored object: the total of Content-Range, or Content-Length.
func storedLength(resp *upstream.Response) (int64, error) {
	if resp.Status == 206 {
		cr, ok := byterange.ParseContent(resp.Get("content-range"))
		if !ok || (resp.ContentLength >= 0 && cr.To-cr.From+1 != resp.ContentLength) {
			return 0, lengthError("content-range %q", resp.Get("content-range"))
		}
		return cr.Total, nil
	}
	if resp.ContentLength < 0 {
		return 0, lengthError("the store declared none")
	}
	return resp.ContentLength, nil
}

// classify returns the s3veil entry of an answer, "" for plaintext (FORMAT.md 5.2). Foreign formats are plaintext to a
// bucket that does not read them; two foreign signals at once are refused.
func classify(fields []upstream.Field) (string, error) {
	entry, entries, foreign := "", 0, 0
	for i := range fields {
		if !strings.HasPrefix(fields[i].Name, metaPrefix) {
			continue
		}
		switch fields[i].Name[len(metaPrefix):] {
		case envelope.MetadataName:
			entry = fields[i].Value
			entries++
		case "x-amz-key", "x-amz-key-v2", "x-amz-3":
			foreign++
		}
	}
	switch {
	case entries > 1:
		return "", ambiguous("%d s3veil entries", entries)
	case entries == 1 && entry == "":
		return "", ambiguous("empty s3veil entry")
	case entries == 0 && foreign > 1:
		return "", ambiguous("%d foreign signals", foreign)
	}
	return entry, nil
}

// openEnvelope parses, checks against the configuration, and opens. A customer's key is held against the object before any
// key is used: one for an object without, and none for an object with one, are mistakes of the request (FORMAT.md 4.5).
func (x *exchange) openEnvelope(b *bucket, o *object, customer *sse.CustomerKey) error {
	sealed, err := envelope.ParseText(o.entry)
	if err != nil {
		return err
	}
	o.sealed, o.head = sealed, sealed.Header()
	if err := matchesCustomer(&o.head, customer); err != nil {
		return err
	}
	kind := envelope.SinglePut
	if o.head.Kind != envelope.SinglePut {
		kind = envelope.Multipart
	}
	key, err := x.readKey(b, &o.head, customer)
	if err != nil {
		return customerError(err, &o.head, sse.ErrWrongKey)
	}
	defer key.Release()
	o.print = key.Print
	if o.attrs, err = sealed.Open(key.Bound, b.location(o.key), kind); err != nil {
		return customerError(err, &o.head, sse.ErrWrongKey)
	}
	x.note.sse = sse.StateOf(o.head.KID, o.attrs.Asked, customer, announced(b), x.st.names).Type
	return nil
}

// readKey checks an envelope's clear fields against the bucket's rule, then fetches its intermediate key: what the
// configuration does not allow never reaches the KMS.
func (x *exchange) readKey(b *bucket, h *envelope.Header, customer *sse.CustomerKey) (keycache.Key, error) {
	switch {
	case !x.st.suites[h.Suite]:
		return keycache.Key{}, fmt.Errorf("%w: suite %d is not accepted", envelope.ErrUnsupported, h.Suite)
	case !b.binds(h.Binding):
		return keycache.Key{}, fmt.Errorf("%w: binding level %d is not accepted", envelope.ErrUnsupported, h.Binding)
	case h.KID == envelope.CustomerKID:
		return x.openCustomerKey(b, h, customer)
	case !b.kids[h.KID]:
		return keycache.Key{}, x.aboutKey(h.KID, x.st.notListed(h.KID))
	}
	asking := x.keyStep("key read", h.KID)
	key, err := x.s.keys.ForReading(asking.in(x.context()), x.client.name, h.KID, h.Wrapped, b.realm, h.Pairs)
	asking.end(err)
	if err == nil {
		x.note.key(h.KID, key.Print)
	}
	return key, x.aboutKey(h.KID, err)
}

// findTable finds the part table and compares it with the stored length.
func (x *exchange) findTable(b *bucket, o *object) error {
	if o.head.Kind == envelope.SinglePut {
		o.content = o.attrs.Length
		o.table = size.Single(o.content)
		if o.head.Padded {
			o.table = size.Single(size.Pad(o.content))
		}
		if o.table.Stored() != o.stored {
			return lengthError("%d stored, %d sealed", o.stored, o.table.Stored())
		}
		return nil
	}
	m, err := x.loadManifest(b, o)
	if b.rule.Degraded && !x.strict && errors.Is(err, s3err.ObjectManifestMissing) {
		m, err = x.degraded(b, o)
	}
	if err != nil {
		return err
	}
	o.manifest, o.table, o.content = m, m.Table, m.Table.Plain()
	return nil
}

// checkMetadata compares the metadata MAC under the bucket's policy (FORMAT.md 6.2).
func (x *exchange) checkMetadata(b *bucket, o *object) error {
	if b.rule.Metadata == MetadataIgnore {
		return nil
	}
	err := envelope.CheckMetadata(o.attrs, shown(o.attrs, o.header))
	if err == nil || b.rule.Metadata == MetadataFail {
		return err
	}
	x.note.metadata = true
	x.damaged(s3err.ClassMetadata)
	x.s.log.Warn("metadata differs from what was written", "request_id", x.id, "bucket", b.visible, "key", o.key)
	return nil
}

// covered turns headers into the form in which the metadata MAC takes them.
func covered(fields []upstream.Field) []envelope.Field {
	out := make([]envelope.Field, 0, 8)
	for _, f := range fields {
		if contentHeaders[f.Name] || strings.HasPrefix(f.Name, metaPrefix) {
			out = append(out, envelope.Field(f))
		}
	}
	return out
}

// suite of new objects.
func (x *exchange) suite() stream.Suite { return x.st.settings.Write }

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
