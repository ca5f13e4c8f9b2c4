package proxy

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"s3veil/crypto/envelope"
	"s3veil/crypto/setting"
	"s3veil/proxy/head"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3op"
	"s3veil/proxy/sse"
	"s3veil/proxy/upstream"
	"s3veil/sigv4"
)

// How long a bucket's default encryption is believed, and from when on the next one to ask has it read again while it is
// still served. A change at another replica is seen everywhere after defaultAge.
const (
	defaultAge     = 5 * time.Second
	defaultRefresh = 2 * time.Second
)

// settingTime is how long the reading of a setting may take: all writes of a bucket wait for one.
const settingTime = 10 * time.Second

// bucketDefaults remembers the buckets' default encryption. What the store does not answer is never guessed.
type bucketDefaults struct {
	patience time.Duration

	mu      sync.Mutex // guards what follows; the cache has a lock of its own
	flights map[defaultName]*defaultFlight
}

// defaultName names a setting: a store of one generation of settings, the bucket that holds it, the bound name of the bucket
// that it is for, its realm. Where clients' own credentials go to the store, each asks for itself: what the store denies to
// one says nothing about another.
type defaultName struct {
	store                *store
	bucket, bound, realm string
	client               string
}

// knownDefault is a setting as it was at a time. value is nil without one, entry is the envelope that it came in.
type knownDefault struct {
	value *setting.Encryption
	entry string
	at    time.Time
}

// defaultFlight is one question to the store that any number of requests wait for.
type defaultFlight struct {
	done  chan struct{}
	found knownDefault
	err   error
}

// defaultEncryption is the bucket's own default encryption (PutBucketEncryption). When the store or the KMS does not answer,
// or what it has does not open, that is an error: an object under the wrong key would be worse than none.
func (x *exchange) defaultEncryption() (sse.Default, error) {
	if x.bucket.rule.NoBucketEncryption {
		return sse.Default{}, nil
	}
	known, err := x.knownDefault()
	if err != nil {
		return sse.Default{}, fmt.Errorf("default encryption of bucket %s: %w", x.bucket.visible, err)
	}
	if known == nil {
		return sse.Default{}, nil
	}
	d := sse.Default{Type: sse.S3, KeyName: known.KeyName, BucketKey: known.BucketKey, BlockCustomer: known.BlockCustomer}
	if known.Type == setting.KMS {
		d.Type = sse.KMS
	}
	return d, nil
}

// knownDefault finds the setting in the cache, or waits for the store.
func (x *exchange) knownDefault() (*setting.Encryption, error) {
	name := x.defaultName()
	known, found := x.s.caches.defaults.Get(name)
	age := x.s.now().Sub(known.at)
	if x.cached("defaults", found && age < defaultAge) {
		if age >= defaultRefresh {
			x.fetchDefault(name, known)
		}
		return known.value, nil
	}
	f := x.fetchDefault(name, known)
	<-f.done
	return f.found.value, f.err
}

// defaultName is the name of the bucket's setting.
func (x *exchange) defaultName() defaultName {
	b := &x.bucket
	name := defaultName{store: b.store, bucket: b.reserved, bound: b.bound, realm: b.realm}
	if x.signs != nil && !b.store.own {
		name.client = x.client.name
	}
	return name
}

// fetchDefault joins or starts the reading of a setting. It outlives the exchange. known is what was there before.
func (x *exchange) fetchDefault(name defaultName, known knownDefault) *defaultFlight {
	d := &x.s.defaults
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.flights[name]; f != nil {
		return f
	}
	f := &defaultFlight{done: make(chan struct{})}
	if d.flights == nil {
		d.flights = map[defaultName]*defaultFlight{}
	}
	name = defaultName{name.store, strings.Clone(name.bucket), strings.Clone(name.bound), strings.Clone(name.realm), name.client}
	d.flights[name] = f
	reader := x.forSettings()
	go func() {
		defer close(f.done)
		ctx, cancel := context.WithTimeout(reader.context(), d.patience)
		defer cancel()
		reader.paired = ctx
		at := x.s.now()
		f.err = reader.guard(func() (err error) {
			f.found, err = reader.loadDefault(known)
			return err
		})
		f.found.at = at
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.flights[name] != f {
			return // changed meanwhile by this replica
		}
		delete(d.flights, name)
		if f.err == nil {
			reader.s.caches.defaults.Add(name, f.found)
		}
	}()
	return f
}

// forgetDefault makes the next request ask the store, also where one is asking already.
func (x *exchange) forgetDefault() {
	name := x.defaultName()
	d := &x.s.defaults
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.flights, name)
	x.s.caches.defaults.Remove(name)
}

// forSettings returns an exchange without a client's connection, for what s3veil itself keeps in the bucket: sealed and
// bound to its own name whatever the bucket's rule accepts of objects.
func (x *exchange) forSettings() *exchange {
	b, rule := x.bucket, *x.bucket.rule
	rule.AllowPlaintext, rule.Metadata = false, MetadataIgnore // no header of it is used
	rule.BindingRead = []envelope.Binding{envelope.BindKey}
	b.rule = &rule
	b.visible, b.name, b.reserved = strings.Clone(b.visible), strings.Clone(b.name), strings.Clone(b.reserved)
	b.realm, b.bound = strings.Clone(b.realm), strings.Clone(b.bound)
	var payer head.Head // the one thing that a read of s3veil's own needs of the request
	if v := x.head.Get("x-amz-request-payer"); v != "" {
		payer.Fields = []sigv4.Field{{Name: "x-amz-request-payer", Value: strings.Clone(v)}}
	}
	return &exchange{s: x.s, st: x.st, id: x.id, start: x.start, client: x.client, signs: x.signs, bucket: b, head: payer, recording: x.recording,
		req: s3op.Request{Op: s3op.GetBucketEncryption, Info: s3op.Table[s3op.GetBucketEncryption], Bucket: b.visible}}
}

// loadDefault reads the setting of the bucket. One that is still sealed in the envelope of known is known: neither the KMS
// nor the body is needed.
func (x *exchange) loadDefault(known knownDefault) (knownDefault, error) {
	name := setting.Name(x.bucket.bound)
	resp, err := x.callOwn(&x.bucket, &upstream.Request{Op: "GetObject", Method: "GET", Bucket: x.bucket.reserved, Key: name, Idempotent: true})
	if err != nil {
		return knownDefault{}, err
	}
	defer resp.Body.Close()
	switch {
	case resp.Status == 404:
		// Without its reserved bucket nobody knows what was set. A data bucket that is not there has no default either.
		if err := x.storeError(resp); x.bucket.reserved != x.bucket.name && s3err.From(err).Code == s3err.NoSuchBucket.Code {
			return knownDefault{}, fmt.Errorf("%w: the bucket %s that holds settings is missing", upstream.ErrUnavailable, x.bucket.reserved)
		}
		return knownDefault{}, nil
	case resp.Status != 200:
		return knownDefault{}, x.storeError(resp)
	}
	if entry, err := classify(resp.Header); err == nil && entry != "" && entry == known.entry {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 2*setting.MaxSize))
		return known, nil
	}
	o, err := x.openObject(&x.bucket, name, resp, nil)
	if err != nil {
		return knownDefault{}, err
	}
	defer o.forget()
	value, err := x.openDefault(o, resp)
	return knownDefault{value: value, entry: o.entry}, err
}

// openDefault reads the body of a setting.
func (x *exchange) openDefault(o *object, resp *upstream.Response) (*setting.Encryption, error) {
	if o.head.Kind != envelope.SinglePut || o.content < 1 || o.content > setting.MaxSize {
		return nil, fmt.Errorf("%w: a setting of %d bytes", envelope.ErrMalformed, o.content)
	}
	_, _, segments, err := o.table.Range(0, o.content-1)
	if err != nil {
		return nil, err
	}
	body, err := x.newOpenedBody(resp.Body, o.head.Suite, &o.attrs.DEK, segments)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	plain := make([]byte, o.content)
	if _, err := io.ReadFull(body, plain); err != nil {
		return nil, err
	}
	return setting.Decode(plain)
}

// saveDefault seals the setting and writes it, under the key that the configuration names for the bucket.
func (x *exchange) saveDefault(e *setting.Encryption) error {
	defer x.forgetDefault() // whatever the store has made of it
	b, name := &x.bucket, setting.Name(x.bucket.bound)
	kid := x.st.settings.Families[b.rule.Key][0]
	asking := x.keyStep("key write", kid)
	key, err := x.s.keys.ForWriting(asking.in(x.context()), x.client.name, kid, b.realm, nil)
	asking.end(err)
	if err != nil {
		return x.aboutKey(kid, err)
	}
	defer key.Release()
	x.note.key(key.KID, key.Print)
	plain := e.Encode()
	a := &envelope.Attributes{DEK: envelope.NewDEK(), ObjectID: envelope.NewObjectID(), Created: x.s.now().Unix(), Length: int64(len(plain))}
	defer a.DEK.Zero()
	fields := []upstream.Field{{Name: "content-type", Value: "application/octet-stream"}}
	h := envelope.Header{Suite: x.suite(), Kind: envelope.SinglePut, Binding: envelope.BindKey, KID: key.KID, Wrapped: key.Wrapped}
	sealed, err := sealObject(h, key.Bound, b.location(name), a, fields)
	if err != nil {
		return err
	}
	body, err := sealBytes(plain, h.Suite, &a.DEK, 0)
	if err != nil {
		return err
	}
	fields = append(append(fields, x.storeSSEOf(b)...), upstream.Field{Name: entryName, Value: sealed.Text()})
	resp, err := x.callOn(b.store.control, &upstream.Request{Op: "PutObject", Method: "PUT", Bucket: b.reserved, Key: name,
		Header: fields, Body: body, Idempotent: true})
	if err != nil {
		return err
	}
	if resp.Status != 200 {
		return x.storeError(resp)
	}
	return resp.Body.Close()
}

// dropDefault removes the setting; a missing one is no error.
func (x *exchange) dropDefault() error {
	defer x.forgetDefault()
	return x.deleteReserved(&x.bucket, setting.Name(x.bucket.bound))
}

// bucketExists asks the store for the bucket, whose settings may lie in another one.
func (x *exchange) bucketExists() error {
	resp, err := x.callOn(x.bucket.store.control, &upstream.Request{Op: "HeadBucket", Method: "HEAD", Bucket: x.bucket.name, Header: x.sideHeaders(), Idempotent: true})
	if err != nil {
		return err
	}
	switch {
	case resp.Status == 404:
		resp.Body.Close()
		return s3err.NoSuchBucket
	case resp.Status >= 300:
		return x.storeError(resp)
	}
	return resp.Body.Close()
}
