package proxy

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"

	"s3veil/crypto/envelope"
	"s3veil/proxy/s3err"
)

// sealCompletion seals what a Complete without the customer's key needs, under the bucket's own key: the manifest's secret
// and a digest by which the object is known. It opens nothing else.
func (x *exchange) sealCompletion(upstreamID string, a *envelope.Attributes, entry string) (string, error) {
	kid := x.st.settings.Families[x.bucket.rule.Key][0]
	asking := x.keyStep("key write", kid)
	key, err := x.s.keys.ForWriting(asking.in(x.context()), x.client.name, kid, x.bucket.realm, nil)
	asking.end(err)
	if err != nil {
		return "", err
	}
	defer key.Release()
	digest := envelope.EntryDigest(entry)
	own := &envelope.Attributes{DEK: *a.Manifest, ObjectID: a.ObjectID, Declared: a.Declared, Entry: &digest}
	defer own.Zero()
	h := envelope.Header{Suite: x.suite(), Kind: envelope.Token, Binding: x.bucket.rule.BindingWrite, KID: key.KID, Wrapped: key.Wrapped}
	sealed, err := envelope.Seal(h, key.Bound, x.bucket.location(x.req.Key), own)
	if err != nil {
		return "", err
	}
	return envelope.SealToken(upstreamID, sealed, &own.DEK, x.bucket.location(x.req.Key)), nil
}

// openEnvelope opens the envelope of the object in place. Without the customer's key it is known by its entry, which nobody
// who does not have the upload's token can have made; all that can be read of it then is the manifest.
func (c *completion) openEnvelope(o *object) error {
	if !c.u.keyless {
		return c.x.openEnvelope(&c.x.bucket, o, c.x.customer)
	}
	if envelope.EntryDigest(o.entry) != *c.u.attrs.Entry {
		return s3err.NoSuchUpload.With(errors.New("the object in place is another one"))
	}
	sealed, err := envelope.ParseText(o.entry)
	if err != nil {
		return err
	}
	own := *c.u.attrs
	o.sealed, o.head, o.attrs = sealed, sealed.Header(), &own
	return nil
}

// storeETag is the ETag that a store gives an object of these parts where ETags are MD5; no ETag equals it elsewhere.
func (c *completion) storeETag() string {
	all := md5.New()
	for _, p := range c.parts {
		sum, err := hex.DecodeString(bare(p.ETag))
		if err != nil {
			return "unknown"
		}
		all.Write(sum)
	}
	return fmt.Sprintf("%x-%d", all.Sum(nil), len(c.parts))
}
