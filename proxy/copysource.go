package proxy

import (
	"strings"

	"s3veil/crypto/envelope"
	"s3veil/crypto/size"
	"s3veil/proxy/byterange"
	"s3veil/proxy/etag"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3op"
	"s3veil/proxy/upstream"
)

// copySource is the source of a copy, authorised as a read and opened by one HEAD.
type copySource struct {
	b       bucket
	name    s3op.CopySource
	o       *object
	version string             // of the source, for the answer
	sum     *envelope.Checksum // computed for this copy, nil otherwise
}

// openSource authorises and opens the source under the copy conditions of the request. A client that may not write the target
// hears of that, whatever there is to say of the source.
func (x *exchange) openSource() (*copySource, error) {
	s, asked, err := x.askSource()
	if err != nil && asked {
		return nil, x.targetFirst(err)
	}
	return s, err
}

// askSource reports beside the source whether the store has been asked about it.
func (x *exchange) askSource() (_ *copySource, asked bool, err error) {
	name, err := s3op.ParseCopySource(x.head.Get("x-amz-copy-source"))
	if err != nil {
		return nil, false, err
	}
	s := &copySource{name: name}
	done := x.note.reads(name)
	defer func() { done(s.version) }()
	if s.b, err = x.otherBucket(name.Bucket, name.Key); err != nil {
		return nil, false, err
	}
	req := &upstream.Request{Op: "HeadObject", Method: "HEAD", Bucket: s.b.name, Key: name.Key, Query: s.query(), Header: x.sourceConditions(), Idempotent: true}
	resp, err := x.callOn(s.b.store.data, req)
	if err != nil {
		return nil, false, err
	}
	defer resp.Body.Close()
	switch resp.Status {
	case 200:
	case 304:
		return nil, true, s3err.PreconditionFailed
	default:
		return nil, true, x.missingSource(&s.b, sourceError(x.storeError(resp), name.VersionID))
	}
	s.version = resp.Get("x-amz-version-id")
	if s.o, err = x.openObject(&s.b, name.Key, resp, x.sourceCustomer); err != nil {
		return nil, s3err.From(err).Status < 500, err
	}
	return s, true, nil
}

// missingSource tells a bucket that is missing from a key: a HEAD has no document.
func (x *exchange) missingSource(b *bucket, err error) error {
	if e := s3err.From(err); e.Status != 404 || e.Code == s3err.NoSuchBucket.Code {
		return err
	}
	return x.noBucket(b, err)
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
		if v := x.head.Get("x-amz-copy-source-" + name); v != "" {
			if strings.HasSuffix(name, "match") {
				v = etag.FromClient(v)
			}
			out = append(out, upstream.Field{Name: name, Value: v})
		}
	}
	return append(out, x.sourceOwner()...)
}

// storeSource is the x-amz-copy-source of a copy within the store.
func storeSource(src *copySource) string {
	s := src.b.name + "/" + s3op.EscapePath(src.name.Key)
	if src.name.VersionID != "" {
		s += "?versionId=" + src.name.VersionID
	}
	return s
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
		req.Header = append(req.Header, upstream.Field{Name: "range", Value: byterange.Format(from, to)})
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
	body, err := x.newOpenedBody(resp.Body, o.head.Suite, &o.attrs.DEK, segments)
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
