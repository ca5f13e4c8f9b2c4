package proxy

import (
	"fmt"

	"s3veil/proxy/policy"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3op"
	"s3veil/sigv4"
)

// authenticate verifies the signature. POST forms carry theirs in the form, which their handler verifies by verifyForm; a
// second one in header or query has no place there.
func (x *exchange) authenticate() error {
	hostBucket := ""
	if x.req.VirtualHost {
		hostBucket = x.req.Bucket
	}
	auth, err := x.verifier().Verify(x.head.Request(hostBucket))
	if err != nil {
		return err
	}
	if x.req.Op == opPostObject {
		if auth.Kind != sigv4.Anonymous {
			return s3err.InvalidArgument.Say("POST forms are authenticated by their fields alone.")
		}
		return nil
	}
	return x.accept(auth)
}

// accept makes the holder of a verified signature the principal of the exchange.
func (x *exchange) accept(auth *sigv4.Verified) error {
	x.auth = auth
	if auth.Kind == sigv4.Anonymous {
		if x.overrides() {
			return errAnonymousOverride
		}
		x.client = x.st.anonymous
	} else {
		x.client = x.st.clients[auth.AccessKey]
		if auth.Unverified {
			x.client = x.st.clients[x.st.forward.Client]
		}
	}
	if x.client == nil {
		return s3err.AccessDenied.With(fmt.Errorf("no client for %q", auth.AccessKey))
	}
	x.signs = x.st.signing(x.client)
	if !x.client.AllowedFrom(x.source) {
		return s3err.AccessDenied.With(fmt.Errorf("client %s may not come from %s", x.client.name, x.source))
	}
	return nil
}

// checkClaim refuses a request without a body that claims to have one with an impossible digest. Where there is a body, its
// reader does that.
func (x *exchange) checkClaim() error {
	if x.auth == nil {
		return nil
	}
	if n, err := x.head.AnnouncedLength(); err != nil || n != 0 {
		return nil
	}
	return x.auth.CheckNothing()
}

// authorise holds the operation against the client's rules and finds the rule of the bucket. POST forms are authorised
// when their key is known.
func (x *exchange) authorise() error {
	if x.req.Op == opPostObject && x.auth == nil {
		return x.findBucket()
	}
	if x.req.Bucket == "" {
		return nil
	}
	if !x.allowed() {
		return s3err.AccessDenied.With(fmt.Errorf("client %s: %s on %s/%s: no rule allows it", x.client.name, x.req.Op, x.req.Bucket, x.req.Key))
	}
	if s3op.Reserved(x.req.Key) {
		return s3err.AccessDenied.With(errReserved)
	}
	if x.req.Bypass && !x.client.Allowed(s3op.Admin, x.req.Bucket, x.req.Key) {
		return s3err.AccessDenied.With(fmt.Errorf("client %s may not bypass governance retention", x.client.name))
	}
	return x.findBucket()
}

func (x *exchange) allowed() bool {
	if x.req.Info.Class == s3op.Open {
		return true
	}
	if x.req.Op == opDeleteObjects {
		return x.client.SeesBucket(x.req.Bucket) // every key is held against the rules by the handler
	}
	if isListing[x.req.Op] {
		prefix, _ := x.req.Get("prefix")
		return x.client.AllowedList(x.req.Bucket, prefix)
	}
	return x.client.Allowed(x.req.Info.Class, x.req.Bucket, x.req.Key)
}

// isListing names the operations whose prefix parameter decides.
var isListing = map[s3op.Op]bool{
	"ListObjects": true, "ListObjectsV2": true, "ListObjectVersions": true, "ListMultipartUploads": true,
}

var errReserved = fmt.Errorf("key lies under the reserved prefix")

// findBucket resolves the bucket's rule and its demands.
func (x *exchange) findBucket() error {
	b, err := x.ruled(x.req.Bucket)
	if err != nil {
		return err
	}
	x.bucket = b
	if b.rule.RequireTLS && !x.tls {
		return s3err.AccessDenied.With(fmt.Errorf("bucket %s demands TLS", b.visible))
	}
	return nil
}

// ruled is the rule of a bucket, with the store that the request goes to.
func (x *exchange) ruled(name string) (bucket, error) {
	b, err := x.st.bucket(name)
	if err == nil {
		b.store, err = x.storeOf(b.store)
	}
	if err == nil && b.store.data.Keeps(b.name) {
		return bucket{}, s3err.InvalidBucketName.Field("BucketName", name).With(fmt.Errorf("%q may be the store's administration", b.name))
	}
	return b, err
}

// otherBucket resolves and authorises the source of a copy: it is a read.
func (x *exchange) otherBucket(name, key string) (bucket, error) {
	if !x.client.Allowed(s3op.Read, name, key) {
		return bucket{}, s3err.AccessDenied.With(fmt.Errorf("client %s may not read %s/%s", x.client.name, name, key))
	}
	if s3op.Reserved(key) {
		return bucket{}, s3err.AccessDenied.With(errReserved)
	}
	b, err := x.ruled(name)
	if err == nil && b.rule.RequireTLS && !x.tls {
		err = s3err.AccessDenied.With(fmt.Errorf("bucket %s demands TLS", b.visible))
	}
	return b, err
}

// visibleName is the client-visible name of a store's bucket, false where no rule maps onto it.
func (st *state) visibleName(o *store, storeName string) (string, bool) {
	for i := range st.settings.Buckets {
		r := &st.settings.Buckets[i]
		if orDefault(r.Upstream, "default") != o.base.name {
			continue
		}
		target := orDefault(r.StoreName, r.Name)
		if r.StoreName == "" && !policy.Match(r.Name, storeName) {
			continue
		}
		name, ok := storeName, true
		if r.StoreName != "" {
			name, ok = policy.UnmapName(r.Name, target, storeName)
		}
		if !ok {
			continue
		}
		if b, err := st.bucket(name); err == nil && b.store == o.base && b.name == storeName {
			return name, true
		}
	}
	return "", false
}
