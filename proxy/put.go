package proxy

import (
	"encoding/base64"
	"errors"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
	"s3veil/crypto/size"
	"s3veil/keycache"
	"s3veil/proxy/etag"
	"s3veil/proxy/s3err"
	"s3veil/proxy/sse"
	"s3veil/proxy/upstream"
	"s3veil/sigv4"
)

var errReservedMetadata = errors.New("metadata names that start with s3veil are reserved")

// maxPut is the largest plaintext of one PUT or part: a store that caps them at 5 GiB measures the ciphertext.
const maxPut = 5366088928

// newAttributes draws the keys of a new object.
func (x *exchange) newAttributes() *envelope.Attributes {
	return &envelope.Attributes{DEK: envelope.NewDEK(), ObjectID: envelope.NewObjectID(), Created: x.s.now().Unix(), Asked: x.choice.Asked()}
}

// newHeader is the clear part of a new envelope.
func (x *exchange) newHeader(b *bucket, kind envelope.Kind, key keycache.Key) envelope.Header {
	return envelope.Header{Suite: x.suite(), Kind: kind, Binding: b.rule.BindingWrite, KID: key.KID, Wrapped: key.Wrapped,
		Pairs: x.choice.Context}
}

// putObject answers PutObject.
func (x *exchange) putObject() error {
	if err := x.chooseEncryption(); err != nil {
		return err
	}
	payload, err := x.openPayload()
	if err != nil {
		return err
	}
	fields, err := x.objectFields()
	if err != nil {
		return err
	}
	w := &write{x: x, b: &x.bucket, key: x.req.Key, src: payload, fields: fields, attrs: x.newAttributes(), md5: x.head.Get("content-md5")}
	defer w.attrs.Zero()
	w.extra = append(x.sideHeaders(), x.storeSSEOf(&x.bucket)...)
	w.sums = payload.Checksums
	resp, err := w.run()
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	x.respond(200, resp)
	x.set("etag", etag.ToClient(resp.Get("etag")))
	x.setSums(payload.Checksums())
	x.setMadeSSE(sse.Made)
	if resp.Get("x-amz-object-size") != "" { // some stores tell the size, theirs
		x.set("x-amz-object-size", itoa(w.attrs.Length))
	}
	return nil
}

// write is one single-stream object on its way to the store: PutObject, POST forms and streamed copies.
type write struct {
	x      *exchange
	b      *bucket
	key    string
	src    source
	fields []upstream.Field // content headers and user metadata
	extra  []upstream.Field // further headers for the store
	attrs  *envelope.Attributes
	md5    string             // base64 Content-MD5 of the client
	sums   func() []sigv4.Sum // verified checksums; those of trailers only after Verify
	op     string
}

// run seals and sends. The answer has status 200; refusals of the store are errors.
func (w *write) run() (*upstream.Response, error) {
	n := w.src.Len()
	if n > maxPut {
		return nil, s3err.TooLarge(n, maxPut)
	}
	w.x.note.in = n
	w.attrs.Length = n
	w.keepMD5()
	req := &upstream.Request{Op: orDefault(w.op, "PutObject"), Method: "PUT", Bucket: w.b.name, Key: w.key}
	if w.b.rule.Padding {
		if size.Pad(n) > size.MaxStream {
			return nil, s3err.TooLarge(n, maxPut)
		}
		w.src = newPaddedSource(w.src)
	}
	if w.src.Len() <= w.x.s.limits.HeldBody {
		return w.runHeld(req)
	}
	w.keepSum()
	if err := w.seal(req); err != nil {
		return nil, err
	}
	body, err := w.x.newSealedBody(w.src, w.x.suite(), &w.attrs.DEK, 0)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	req.Body = body
	return w.send(req)
}

// runHeld verifies a small body before the request to the store starts: trailing checksums can be kept then, and the body
// can be sent again.
func (w *write) runHeld(req *upstream.Request) (*upstream.Response, error) {
	plain, release, err := w.x.s.readHeld(w.src)
	if err != nil {
		return nil, err
	}
	defer release()
	w.keepSum()
	if err := w.seal(req); err != nil {
		return nil, err
	}
	sealing := w.x.step("seal")
	body, err := sealBytes(plain, w.x.suite(), &w.attrs.DEK, 0)
	sealing.end(err)
	if err != nil {
		return nil, err
	}
	req.Body = body
	req.Idempotent = !w.conditional()
	return w.send(req)
}

// conditional writes are not repeated: the second attempt would meet the first one's object and answer 412.
func (w *write) conditional() bool {
	for i := range w.extra {
		if w.extra[i].Name == "if-none-match" || w.extra[i].Name == "if-match" {
			return true
		}
	}
	return false
}

func (w *write) keepMD5() {
	if sum, err := base64.StdEncoding.DecodeString(w.md5); err == nil && len(sum) == 16 {
		w.attrs.ContentMD5 = (*[16]byte)(sum)
	}
}

func (w *write) keepSum() {
	if w.sums == nil {
		return
	}
	if sums := w.sums(); len(sums) > 0 {
		w.attrs.Checksum = &envelope.Checksum{Algorithm: byte(sums[0].Algorithm), Value: sums[0].Value}
	}
}

// seal makes the envelope and completes the request's headers.
func (w *write) seal(req *upstream.Request) error {
	key, err := w.x.writeKey(w.b)
	if err != nil {
		return err
	}
	defer key.Release()
	key.Charge(w.attrs.Length)
	if w.fields, err = w.b.hideMetadata(w.attrs, w.fields); err != nil {
		return err
	}
	h := w.x.newHeader(w.b, envelope.SinglePut, key)
	h.Padded = w.b.rule.Padding
	sealed, err := sealObject(h, key.Bound, w.b.location(w.key), w.attrs, w.fields)
	if err != nil {
		return err
	}
	req.Header = append(append(req.Header, w.fields...), w.extra...)
	req.Header = append(req.Header, upstream.Field{Name: entryName, Value: sealed.Text()})
	return nil
}

// sealObject computes the metadata MAC, checks the 2 KB limit and seals an envelope.
func sealObject(h envelope.Header, bound *kms.Key32, loc envelope.Location, a *envelope.Attributes, fields []upstream.Field) (*envelope.Sealed, error) {
	a.MetaMAC = envelope.MetadataMAC(&a.DEK, covered(fields))
	if err := fitsMetadata(fields, envelope.TextLen(h, a)); err != nil {
		return nil, err
	}
	return envelope.Seal(h, bound, loc, a)
}

func (w *write) send(req *upstream.Request) (*upstream.Response, error) {
	resp, err := w.x.call(req)
	if err != nil {
		return nil, err
	}
	if resp.Status != 200 {
		return nil, w.x.storeError(resp)
	}
	return resp, nil
}
