package proxy

import (
	"errors"
	"strings"

	"s3veil/crypto/envelope"
	"s3veil/keycache"
	"s3veil/proxy/s3err"
	"s3veil/proxy/sse"
)

// encryptionHeader looks up what a request says about encryption, repeated headers joined.
func (x *exchange) encryptionHeader(name string) (string, bool) {
	if !x.head.Has(name) {
		return "", false
	}
	return x.head.Joined(name), true
}

// chooseEncryption reads the headers of a request that makes an object, and decides how it is encrypted.
func (x *exchange) chooseEncryption() error {
	r, err := sse.ParseWrite(x.encryptionHeader, x.tls)
	x.customer = r.Customer
	if err == nil && x.head.Has("x-amz-copy-source") {
		err = x.readSourceKey()
	}
	x.hideCustomerKeys()
	if err != nil {
		return err
	}
	rules := sse.Rules{Key: x.bucket.rule.Key, Keys: x.bucket.rule.Keys, Require: x.bucket.rule.RequireSSE}
	x.choice, err = sse.Choose(r, sse.Default{}, rules, x.st.names)
	if err != nil || r.Type == sse.S3 {
		return err // refused without a question to the store, or nothing left to decide
	}
	d, err := x.defaultEncryption()
	if err != nil {
		return err
	}
	x.choice, err = sse.Choose(r, d, rules, x.st.names)
	return err
}

// namesEncryption reports whether the request itself says how the object is to be encrypted.
func (x *exchange) namesEncryption() bool {
	return x.customer != nil || x.head.Has(sse.HeaderType) || x.head.Has(sse.HeaderBucketKey)
}

// readEncryption reads the headers of a GET or HEAD.
func (x *exchange) readEncryption() error {
	if err := sse.RefuseType(x.encryptionHeader); err != nil {
		return err
	}
	return x.readCustomerKey()
}

// readPartEncryption reads the headers of UploadPart and UploadPartCopy: the type was fixed when the upload was created.
func (x *exchange) readPartEncryption() error {
	if err := sse.RefuseType(x.encryptionHeader); err != nil {
		return err
	}
	if x.head.Has("x-amz-copy-source") {
		if err := x.readSourceKey(); err != nil {
			return err
		}
	}
	return x.readCustomerKey()
}

func (x *exchange) readCustomerKey() (err error) {
	x.customer, err = sse.ParseCustomer(x.encryptionHeader, x.tls)
	x.hideCustomerKeys()
	return err
}

func (x *exchange) readSourceKey() (err error) {
	x.sourceCustomer, err = sse.ParseSource(x.encryptionHeader, x.tls)
	return err
}

// hideCustomerKeys takes the keys out of the request's head, so that nothing behind can pass them on.
func (x *exchange) hideCustomerKeys() {
	for i := range x.head.Fields {
		if sse.Secret(x.head.Fields[i].Name) {
			x.head.Fields[i].Value = ""
		}
	}
}

// forgetCustomerKeys overwrites the client's own keys.
func (x *exchange) forgetCustomerKeys() {
	x.customer.Zero()
	x.sourceCustomer.Zero()
}

// writeKID is the kid that wraps the new object's key.
func (x *exchange) writeKID() string {
	if x.choice.Type == sse.Customer {
		return envelope.CustomerKID
	}
	return x.st.settings.Families[x.choice.KeyID][0] // a bucket's keys are checked when settings are taken over
}

// writeKey returns the intermediate key for the new object.
func (x *exchange) writeKey(b *bucket) (key keycache.Key, err error) {
	asking := x.keyStep("key write", x.writeKID())
	switch kid := x.writeKID(); {
	case x.choice.Type == sse.Customer:
		key = newCustomerKey(x.choice.Customer, b.realm)
	case x.choice.OwnKey:
		key, err = x.s.keys.ForOneObject(asking.in(x.context()), x.client.name, kid, b.realm, x.choice.Context)
	default:
		key, err = x.s.keys.ForWriting(asking.in(x.context()), x.client.name, kid, b.realm, x.choice.Context)
	}
	asking.end(err)
	if err == nil {
		x.note.key(key.KID, key.Print)
		x.note.sse = x.choice.Type
		return key, nil
	}
	return key, x.aboutKey(x.writeKID(), err)
}

// newCustomerKey wraps a fresh intermediate key under a customer's key. It is cached nowhere (FORMAT.md 4.5).
func newCustomerKey(customer *sse.CustomerKey, realm string) keycache.Key {
	wrapped, bound := customer.NewKey(realm)
	return keycache.Key{KID: envelope.CustomerKID, Wrapped: wrapped, Bound: &bound, Release: bound.Zero,
		Print: keycache.FingerprintOf(envelope.CustomerKID, wrapped, realm, nil)}
}

var errCustomerKey = errors.New("the customer's key does not open it")

// openCustomerKey unwraps the intermediate key of an envelope under a customer's key.
func (x *exchange) openCustomerKey(b *bucket, h *envelope.Header, customer *sse.CustomerKey) (keycache.Key, error) {
	print := keycache.FingerprintOf(h.KID, h.Wrapped, b.realm, nil)
	x.note.key(h.KID, print)
	x.note.sse = sse.Customer
	bound, err := customer.OpenKey(h.Wrapped, b.realm)
	if err != nil {
		return keycache.Key{}, errCustomerKey
	}
	return keycache.Key{KID: h.KID, Wrapped: h.Wrapped, Bound: &bound, Print: print, Release: bound.Zero}, nil
}

// matchesCustomer holds the presence of a customer's key against the envelope.
func matchesCustomer(h *envelope.Header, customer *sse.CustomerKey) error {
	switch own := h.KID == envelope.CustomerKID; {
	case own && customer == nil:
		return sse.ErrKeyMissing
	case !own && customer != nil:
		return sse.ErrNotApplicable
	}
	return nil
}

// customerError is wrong in place of an error that a wrong customer's key has caused: it fails at unwrapping or at the
// commitment.
func customerError(err error, h *envelope.Header, wrong s3err.Error) error {
	if h.KID == envelope.CustomerKID && (errors.Is(err, errCustomerKey) || errors.Is(err, envelope.ErrCommitment)) {
		return wrong.With(err)
	}
	return err
}

// announced is what answers say of objects for which nobody asked for anything.
func announced(b *bucket) sse.Type {
	if strings.EqualFold(b.rule.SSE, "none") {
		return sse.None
	}
	return sse.S3
}

func (x *exchange) setSSE(s sse.State, w sse.Where) {
	for _, f := range s.Headers(w) {
		x.set(f.Name, f.Value)
	}
}

// setMadeSSE describes the object that this request has made.
func (x *exchange) setMadeSSE(w sse.Where) {
	x.setSSE(x.choice.State(x.writeKID(), announced(&x.bucket), x.st.names), w)
}

// setObjectSSE describes an object that was read.
func (x *exchange) setObjectSSE(o *object) {
	x.setSSE(sse.StateOf(o.head.KID, o.attrs.Asked, x.customer, announced(&x.bucket), x.st.names), sse.Object)
}

// setUploadSSE describes the object of an upload.
func (x *exchange) setUploadSSE(u *upload, w sse.Where) { x.setSSE(x.uploadState(u), w) }

func (x *exchange) uploadState(u *upload) sse.State {
	return sse.StateOf(u.head.KID, u.attrs.Asked, x.customer, announced(&x.bucket), x.st.names)
}
