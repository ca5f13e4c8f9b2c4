package proxy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"s3veil/crypto/envelope"
	"s3veil/crypto/manifest"
	"s3veil/crypto/size"
	"s3veil/proxy/etag"
	"s3veil/proxy/s3err"
	"s3veil/proxy/upstream"
)

// Rebuilt is a part table that was found without a manifest. It proves that every byte of the body belongs to the object and
// stands where it was written, but not that no whole part is missing (FORMAT.md 9.6): the operator decides.
type Rebuilt struct {
	Inspection
	Table *size.Table
	// StoreParts is the number of parts that the store's ETag tells, 0 for none. Copies have the parts of their own making
	// there, and empty parts are not found, so that a difference is a warning.
	StoreParts int

	x *exchange
	o *object
}

// The reasons for which there is nothing to repair.
var (
	ErrIntact       = errors.New("proxy: the object reads: it has a manifest that fits, or needs none")
	ErrUnrepairable = errors.New("proxy: the object is not one that a manifest could help")
)

// FindParts authenticates the whole body of a multipart object whose manifest is missing or does not fit, and returns the
// part table. Nothing is written. Besides ErrIntact and ErrUnrepairable, errors are those of the store, the KMS and
// manifest.Walk.
func (s *Server) FindParts(ctx context.Context, bucket, key, version string) (*Rebuilt, error) {
	x, err := s.operator(ctx, bucket, key, version)
	if err != nil {
		return nil, err
	}
	i, o, err := x.inspect()
	switch {
	case err != nil:
		return nil, err
	case i.Format == "plaintext" || o != nil && o.table != nil:
		return nil, ErrIntact
	case o == nil || o.attrs == nil || o.head.Kind == envelope.SinglePut:
		return nil, fmt.Errorf("%w: %s", ErrUnrepairable, strings.Join(i.Problems, "; "))
	}
	r := &Rebuilt{Inspection: *i, StoreParts: storeParts(o.etag), x: x, o: o}
	if r.Table, err = x.walk(&x.bucket, o); err != nil {
		return nil, err
	}
	return r, nil
}

// walk reads the whole body, pinned to the object and version that o describes, and finds its parts. It takes a
// connection of the second pool, because one of the first may be held meanwhile.
func (x *exchange) walk(b *bucket, o *object) (*size.Table, error) {
	release, err := x.s.memory.Reserve(x.context(), 2*size.Cipher)
	if err != nil {
		return nil, err
	}
	defer release()
	req := &upstream.Request{Op: "GetObject", Method: "GET", Bucket: b.name, Key: o.key, Idempotent: true}
	for _, f := range o.header {
		if f.Name == "x-amz-version-id" {
			req.Query = []upstream.Param{{Name: "versionId", Value: f.Value}}
		}
	}
	if o.etag != "" {
		req.Header = []upstream.Field{{Name: "if-match", Value: o.etag}}
	}
	resp, err := x.callOn(b.store.control, req)
	if err != nil {
		return nil, err
	}
	if resp.Status != 200 {
		return nil, x.storeError(resp)
	}
	defer resp.Body.Close()
	entry, err := classify(resp.Header)
	if err != nil {
		return nil, err
	}
	if entry != o.entry {
		return nil, errExchanged
	}
	if resp.ContentLength != o.stored {
		return nil, lengthError("%d stored, %d in the answer", o.stored, resp.ContentLength)
	}
	return manifest.Walk(resp.Body, o.stored, o.head.Suite, &o.attrs.DEK)
}

// degraded finds the part table of an object without any manifest by a walk, where the bucket's policy accepts that no
// whole part can be proved to be there (FORMAT.md 9.5, 9.6): it is logged, counted and audited every time.
func (x *exchange) degraded(b *bucket, o *object) (*manifest.Manifest, error) {
	table, known := x.s.caches.walked.Get(o.attrs.ObjectID)
	if !x.cached("walks", known && table.Stored() == o.stored) {
		var err error
		if table, err = x.walk(b, o); err != nil {
			return nil, err
		}
		x.s.caches.walked.Add(o.attrs.ObjectID, table)
	}
	x.note.degraded = true
	x.damaged(s3err.ClassManifestMissing)
	x.s.log.Warn("manifest is missing, parts found by a walk", "request_id", x.id, "bucket", b.visible, "key", o.key, "parts", table.Len())
	return &manifest.Manifest{Table: table}, nil
}

// storeParts reads the number of parts out of a multipart ETag, "…-12".
func storeParts(tag string) int {
	bare := etag.Bare(tag)
	dash := strings.LastIndexByte(bare, '-')
	if dash < 0 {
		return 0
	}
	n, err := strconv.Atoi(bare[dash+1:])
	if err != nil || n < 1 || n > size.MaxParts {
		return 0
	}
	return n
}

// Write stores the manifest, marked as rebuilt, and reads it back as every reader will. It replaces no manifest under the
// first name: whatever is there stays as evidence, and the new one takes its second name. It returns the name.
func (r *Rebuilt) Write() (name string, err error) {
	x, o, b := r.x, r.o, &r.x.bucket
	m := &manifest.Manifest{Table: r.Table, Repaired: x.s.now().Unix()}
	raw, err := manifest.Seal(m, o.attrs.ManifestKey(), o.attrs.ObjectID, o.head.Binding, b.location(o.key))
	if err != nil {
		return "", err
	}
	hint := manifest.EncodeHint(b.bound, o.key)
	name = manifest.Name(o.attrs.ObjectID)
	there, err := x.readReserved(b, name)
	if err != nil {
		return "", err
	}
	taken := there != nil
	if !taken {
		if taken, err = x.writeReserved(b, name, raw, hint, true); err != nil {
			return "", err
		}
	}
	if taken {
		name = manifest.SecondName(o.attrs.ObjectID, manifest.TableDigest(r.Table))
		if _, err := x.writeReserved(b, name, raw, hint, false); err != nil {
			return "", err
		}
	}
	if err := x.findTable(b, o); err != nil {
		return "", fmt.Errorf("%s has been written, but the object still does not read: %w", name, err)
	}
	x.s.log.Warn("manifest rebuilt", "request_id", x.id, "bucket", b.visible, "key", o.key, "version_id", r.VersionID,
		"object_id", r.Sealed.ObjectID, "kid", o.head.KID, "parts", r.Table.Len(), "store_parts", r.StoreParts, "name", name)
	return name, nil
}
