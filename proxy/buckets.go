package proxy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"s3veil/proxy/s3err"
	"s3veil/proxy/s3op"
	"s3veil/proxy/s3xml"
	"s3veil/proxy/upstream"
)

// listBuckets joins the buckets of all upstreams under their client-visible names, shows those on which the client has any
// action, and pages itself.
func (x *exchange) listBuckets() error {
	if err := x.discardBody(); err != nil {
		return err
	}
	var all s3xml.BucketList
	stores, err := x.stores()
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(stores)) {
		if err := x.addBuckets(stores[name], &all); err != nil {
			return err
		}
	}
	slices.SortFunc(all.Buckets, func(a, b s3xml.Bucket) int { return strings.Compare(a.Name, b.Name) })
	if err := x.pageBuckets(&all); err != nil {
		return err
	}
	x.respond(200, nil)
	return x.xml(200, all.Append(nil))
}

// addBuckets reads every page of one store.
func (x *exchange) addBuckets(o *store, all *s3xml.BucketList) error {
	token := ""
	for range maxBucketPages {
		req := &upstream.Request{Op: "ListBuckets", Method: "GET", Idempotent: true}
		if token != "" {
			req.Query = []upstream.Param{{Name: "continuation-token", Value: token}}
		}
		resp, err := x.callOn(o.data, req)
		if err != nil {
			return err
		}
		doc, err := x.okDocument(resp)
		if err != nil {
			return err
		}
		page, err := s3xml.ParseBuckets(doc)
		if err != nil {
			return err
		}
		if all.OwnerID == "" {
			all.OwnerID, all.OwnerName = page.OwnerID, page.OwnerName
		}
		for _, b := range page.Buckets {
			if name, ok := x.st.visibleName(o, b.Name); ok && x.client.SeesBucket(name) {
				b.Name = name
				all.Buckets = append(all.Buckets, b)
			}
		}
		if page.Next == "" || page.Next == token {
			return nil
		}
		token = page.Next
		x.documents.keep() // all pages are held until the last
	}
	return fmt.Errorf("%w: more than %d pages of buckets", upstream.ErrUnavailable, maxBucketPages)
}

// maxBucketPages bounds what is asked of one store: S3's pages have 10,000 buckets.
const maxBucketPages = 1000

// pageBuckets applies prefix, bucket-region, continuation-token and max-buckets. The token is the last name of the page.
func (x *exchange) pageBuckets(all *s3xml.BucketList) error {
	prefix, _ := x.req.Get("prefix")
	region, byRegion := x.req.Get("bucket-region")
	after, _ := x.req.Get("continuation-token")
	limit := 10000
	if v, ok := x.req.Get("max-buckets"); ok {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > limit {
			return s3err.Argument("Argument max-buckets must be an integer between 1 and 10000.", "max-buckets", v)
		}
		limit = n
	}
	kept := all.Buckets[:0]
	for _, b := range all.Buckets {
		if strings.HasPrefix(b.Name, prefix) && b.Name > after && (!byRegion || b.Region == region) {
			kept = append(kept, b)
		}
	}
	all.Prefix, all.Next = prefix, ""
	if len(kept) > limit {
		kept = kept[:limit]
		all.Next = kept[limit-1].Name
	}
	all.Buckets = kept
	return nil
}

// deleteBucket deletes a bucket that its client sees empty: what s3veil keeps in it is swept and the deletion tried again.
func (x *exchange) deleteBucket() error {
	if err := x.discardBody(); err != nil {
		return err
	}
	err := x.tryDeleteBucket()
	if err == nil {
		return x.forgetBucket()
	}
	if s3err.From(err).Code != s3err.BucketNotEmpty.Code || x.bucket.reserved != x.bucket.name {
		return err
	}
	notEmpty := err
	if x.st.keepsForOthers(&x.bucket) {
		return notEmpty
	}
	if swept, err := x.sweepReserved(); err != nil || !swept {
		if err != nil {
			return err
		}
		return notEmpty
	}
	x.refusal = nil
	if err := x.tryDeleteBucket(); err != nil {
		return err
	}
	return x.forgetBucket()
}

// forgetBucket ends the settings of a bucket that is gone: those in a bucket of their own are removed, so that a new bucket
// of this name begins without any.
func (x *exchange) forgetBucket() error {
	if x.bucket.rule.NoBucketEncryption || x.bucket.reserved == x.bucket.name {
		x.forgetDefault()
		return nil
	}
	return x.dropDefault()
}

func (x *exchange) tryDeleteBucket() error {
	resp, err := x.call(&upstream.Request{Op: "DeleteBucket", Method: "DELETE", Header: x.sideHeaders(), Idempotent: true})
	if err != nil {
		return err
	}
	if resp.Status >= 300 {
		return x.storeError(resp)
	}
	defer resp.Body.Close()
	x.respond(204, resp)
	return nil
}

// keepsForOthers reports whether a bucket is the reserved bucket of other ones: what lies there belongs to their objects.
func (st *state) keepsForOthers(b *bucket) bool {
	for i := range st.settings.Buckets {
		r := &st.settings.Buckets[i]
		if r == b.rule && !strings.ContainsAny(r.Name, "*?") {
			continue
		}
		if r.ReservedBucket == b.name && orDefault(r.Upstream, "default") == b.store.base.name {
			return true
		}
	}
	return false
}

// sweepReserved removes every version under the reserved prefix when the bucket holds nothing else. Open uploads end first,
// as they do with their bucket on S3.
func (x *exchange) sweepReserved() (bool, error) {
	if only, err := x.onlyReserved(); err != nil || !only {
		return false, err
	}
	if err := x.abortUploads(); err != nil {
		return false, err
	}
	return x.removeReserved()
}

// onlyReserved reports whether the bucket holds versions under the reserved prefix and no others. Keys in front of the prefix
// are on the first page; those behind it are looked for apart, since the prefix may fill pages and without manifests objects
// cannot be read.
func (x *exchange) onlyReserved() (bool, error) {
	keys, _, err := x.rawVersions("")
	if err != nil || len(keys) == 0 || slices.ContainsFunc(keys, func(k rawKey) bool { return !s3op.Reserved(k.Key) }) {
		return false, err
	}
	behind, more, err := x.rawVersions(s3xml.AfterReserved)
	return err == nil && !more && len(behind) == 0, err
}

// removeReserved removes page after page, and stops at the first key that is another. A manifest is older than the object that
// it belongs to, and its upload older still: once it has been listed, it is nobody's only if after that no upload is open, and
// after that no object is there. So each page is asked for first, then uploads, then keys.
func (x *exchange) removeReserved() (bool, error) {
	for range 10000 { // pages
		keys, more, err := x.rawVersions("")
		if err != nil {
			return false, err
		}
		if len(keys) == 0 {
			return true, nil
		}
		if slices.ContainsFunc(keys, func(k rawKey) bool { return !s3op.Reserved(k.Key) }) {
			return false, nil
		}
		if free, err := x.nothingElse(); err != nil || !free {
			return false, err
		}
		if free, err := x.removeKeys(keys); err != nil || !free {
			return false, err
		}
		if !more {
			return true, nil
		}
	}
	return false, errors.New("reserved prefix does not get empty")
}

// nothingElse reports whether no upload of the bucket is open and no key of it lies outside the reserved prefix.
func (x *exchange) nothingElse() (bool, error) {
	if open, err := x.openUploads(); err != nil || len(open) > 0 {
		return false, err
	}
	return x.onlyReserved()
}

// abortUploads ends the open uploads of a bucket, page by page until there are none.
func (x *exchange) abortUploads() error {
	for range 10000 { // pages
		open, err := x.openUploads()
		if err != nil || len(open) == 0 {
			return err
		}
		for _, u := range open {
			resp, err := x.call(&upstream.Request{Op: "AbortMultipartUpload", Method: "DELETE", Key: u.Key, Query: uploadQuery(u.UploadID), Idempotent: true})
			if err != nil {
				return err
			}
			if resp.Status >= 300 && resp.Status != 404 {
				return fmt.Errorf("sweep: %w", x.storeError(resp))
			}
			if err := resp.Body.Close(); err != nil {
				return err
			}
		}
	}
	return errors.New("uploads do not end")
}

// openUploads is the first page of open uploads but s3veil's own.
func (x *exchange) openUploads() ([]s3xml.Upload, error) {
	resp, err := x.call(&upstream.Request{Op: "ListMultipartUploads", Method: "GET", Idempotent: true, Query: []upstream.Param{{Name: "uploads", Bare: true}}})
	if err != nil {
		return nil, err
	}
	doc, err := x.okDocument(resp)
	if err != nil {
		return nil, err
	}
	page, err := s3xml.ParseUploads(doc)
	if err != nil {
		return nil, err
	}
	return page.Uploads, nil
}

// rawVersions reads the first page of the bucket's versions behind a key, as the store has them. Stores without versioning
// list their objects.
func (x *exchange) rawVersions(after string) ([]rawKey, bool, error) {
	versions, objects := []upstream.Param{{Name: "versions", Bare: true}}, []upstream.Param(nil)
	if after != "" {
		versions = append(versions, upstream.Param{Name: "key-marker", Value: after})
		objects = append(objects, upstream.Param{Name: "marker", Value: after})
	}
	resp, err := x.call(&upstream.Request{Op: "ListObjectVersions", Method: "GET", Idempotent: true, Query: versions})
	if err != nil {
		return nil, false, err
	}
	if resp.Status == 501 {
		resp.Body.Close()
		if resp, err = x.call(&upstream.Request{Op: "ListObjects", Method: "GET", Idempotent: true, Query: objects}); err != nil {
			return nil, false, err
		}
	}
	doc, err := x.okDocument(resp)
	if err != nil {
		return nil, false, err
	}
	return parseRawKeys(doc)
}

func (x *exchange) deleteRaw(k rawKey) error {
	req := &upstream.Request{Op: "DeleteObject", Method: "DELETE", Key: k.Key, Idempotent: true}
	if k.VersionID != "" {
		req.Query = []upstream.Param{{Name: "versionId", Value: k.VersionID}}
	}
	resp, err := x.call(req)
	if err == nil && resp.Status == 400 && k.VersionID == "null" { // a store without versions that lists them all the same
		resp.Body.Close()
		req.Query = nil
		resp, err = x.call(req)
	}
	if err != nil {
		return err
	}
	if resp.Status >= 300 && resp.Status != 404 {
		return fmt.Errorf("sweep: %w", x.storeError(resp))
	}
	return resp.Body.Close()
}

// createBucket passes and tells the client's own name of the new bucket.
func (x *exchange) createBucket() error {
	if err := x.passEdited(x.sideHeaders(), x.relocation()); err != nil {
		return err
	}
	x.set("location", "/"+x.req.Bucket)
	return nil
}

// relocation turns the region that a client signs for into the store's, nil where they are one: whoever asks for it asks for here,
// whatever the store calls that. Other regions are the store's to judge; so are all of them on AWS, where buckets would lie
// elsewhere than was asked for.
func (x *exchange) relocation() func(doc []byte) ([]byte, error) {
	here, there := x.auth.Region, orDefault(x.bucket.store.region, "us-east-1")
	if here == "" || here == there || there == "auto" || x.bucket.store.data.AWS() {
		return nil
	}
	return func(doc []byte) ([]byte, error) { return s3xml.Relocate(doc, here, there), nil }
}
