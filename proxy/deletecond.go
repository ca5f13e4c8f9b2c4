package proxy

import (
	"errors"
	"strconv"

	"s3veil/crypto/envelope"
	"s3veil/crypto/size"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3xml"
	"s3veil/proxy/upstream"
)

// ifMatchSize is a condition of DeleteObject on the size, which a client knows as that of the plaintext.
const ifMatchSize = "x-amz-if-match-size"

// errSealedSize answers a condition on a size that only the customer's key tells; no DELETE carries one.
var errSealedSize = s3err.NotImplemented.Say("The size of this object cannot be compared without the customer's key that it is encrypted with.")

// deleteObject passes, with a condition on the size turned into the store's.
func (x *exchange) deleteObject() error {
	header := x.sideHeaders()
	if x.head.Has(ifMatchSize) {
		version, _ := x.req.Get("versionId")
		c, err := x.storedSize(x.req.Key, version, x.head.Joined(ifMatchSize))
		if err != nil {
			return err
		}
		header = c.headers(header)
	}
	return x.passWith(header)
}

// sizeCondition is a condition on a plaintext's size in the store's terms. Objects of one stored size can have several plaintext
// sizes (parts, padding, plaintext), so the object that was looked at is pinned by its ETag; a version needs no pin, but for the
// null one, which the next write replaces.
type sizeCondition struct{ size, pin string }

// headers adds the condition to those of a DELETE. The object's own ETag takes the place of no condition and of "any".
func (c sizeCondition) headers(h []upstream.Field) []upstream.Field {
	out := []upstream.Field{{Name: ifMatchSize, Value: c.size}}
	for _, f := range h {
		if f.Name == "if-match" && c.pin != "" && f.Value == "*" {
			continue
		}
		if f.Name == "if-match" {
			c.pin = ""
		}
		out = append(out, f)
	}
	if c.pin != "" {
		out = append(out, upstream.Field{Name: "if-match", Value: c.pin})
	}
	return out
}

// storedSize holds a condition on the size against the object's plaintext: PreconditionFailed, or what the store has to
// find when it deletes. Of what HEAD does not find the store decides, as of an object written since: the size is that of one stream.
func (x *exchange) storedSize(key, version, condition string) (sizeCondition, error) {
	want, err := strconv.ParseInt(condition, 10, 64)
	if err != nil || want < 0 {
		return sizeCondition{}, s3err.Argument("The size to match must be a number of bytes.", ifMatchSize, condition)
	}
	req := &upstream.Request{Op: "HeadObject", Method: "HEAD", Bucket: x.bucket.name, Key: key, Idempotent: true,
		Header: x.forwarded(func(name string) bool { return name == "x-amz-expected-bucket-owner" })}
	if version != "" {
		req.Query = []upstream.Param{{Name: "versionId", Value: version}}
	}
	x.accompany(req)
	resp, err := x.ask(x.context(), x.bucket.store.data, req)
	if err != nil {
		return sizeCondition{}, err
	}
	defer resp.Body.Close()
	switch resp.Status {
	case 200:
	case 400, 404, 405: // a version that is none, a delete marker
		if size.CheckStream(want) == nil {
			want = size.Enc(want)
		}
		return sizeCondition{size: itoa(want)}, nil
	default:
		return sizeCondition{}, saidBy(resp, nil, x.req.Bucket)
	}
	plain, err := x.plainSize(key, resp)
	switch {
	case err != nil:
		return sizeCondition{}, err
	case plain != want:
		return sizeCondition{}, s3err.PreconditionFailed
	}
	c := sizeCondition{size: itoa(resp.ContentLength)}
	if version == "" || version == "null" {
		c.pin = resp.Get("etag")
	}
	return c, nil
}

// plainSize is an object's size as a HEAD of the client's tells it.
func (x *exchange) plainSize(key string, resp *upstream.Response) (int64, error) {
	stored, err := storedLength(resp)
	if err != nil {
		return 0, err
	}
	entry, err := classify(resp.Header)
	if err != nil {
		return 0, err
	}
	if entry != "" {
		sealed, err := envelope.ParseText(entry)
		if err != nil {
			return 0, err
		}
		switch h := sealed.Header(); {
		case isExact(h):
			return size.Dec(stored)
		case h.KID == envelope.CustomerKID:
			return 0, errSealedSize
		}
	} else if x.bucket.rule.Foreign == nil {
		return stored, nil
	}
	o, err := x.openObject(&x.bucket, key, resp, nil)
	switch {
	case entry == "" && errors.Is(err, s3err.ObjectNotEncrypted):
		return stored, nil
	case err != nil:
		return 0, err
	}
	defer o.forget()
	return o.content, nil
}

// storedSizes turns the conditions on sizes of a DeleteObjects into the store's, and tells which entries do not meet theirs.
func (x *exchange) storedSizes(entries []s3xml.DeleteEntry) (met []s3xml.DeleteEntry, refused []s3xml.DeleteError) {
	q := x.questions()
	failed := make([]error, len(entries))
	for i := range entries {
		e := &entries[i]
		if e.Size == "" {
			continue
		}
		q.ask(func(one *exchange) error {
			c, err := one.storedSize(e.Key, e.VersionID, e.Size)
			if err != nil {
				return err
			}
			e.Size = c.size
			if c.pin != "" && (e.ETag == "" || e.ETag == "*") {
				e.ETag = c.pin
			}
			return nil
		}, func(err error) { failed[i] = err })
	}
	q.answered()
	for i, e := range entries {
		if failed[i] != nil {
			refused = append(refused, s3xml.Refused(e, s3err.From(failed[i])))
			continue
		}
		met = append(met, e)
	}
	return met, refused
}
