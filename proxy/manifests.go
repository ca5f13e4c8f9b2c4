package proxy

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"

	"s3veil/crypto/envelope"
	"s3veil/crypto/manifest"
	"s3veil/proxy/s3err"
	"s3veil/proxy/upstream"
)

// loadManifest finds the manifest that fits an opened multipart envelope (FORMAT.md 9.5): under its first name, else the
// one under a second name that fits.
func (x *exchange) loadManifest(b *bucket, o *object) (*manifest.Manifest, error) {
	id := o.attrs.ObjectID
	if m, ok := x.s.caches.manifests.Get(id); x.cached("manifests", ok && m.Table.Stored() == o.stored) {
		o.remembered = true
		return m, nil
	}
	m, first, err := x.readManifest(b, o, manifest.Name(id))
	if err != nil && !isManifestError(err) {
		return nil, err
	}
	if m == nil {
		if m, err = x.secondManifest(b, o, first, err); err != nil {
			return nil, err
		}
	}
	x.s.caches.manifests.Add(id, m)
	return m, nil
}

// readManifest reads one stored manifest. A nil manifest without an error is absent, provisional, or does not fit;
// present tells whether anything was there.
func (x *exchange) readManifest(b *bucket, o *object, name string) (m *manifest.Manifest, present bool, err error) {
	raw, err := x.readReserved(b, name)
	if raw == nil || err != nil {
		return nil, false, err
	}
	m, err = manifest.Open(raw, o.attrs.ManifestKey(), o.attrs.ObjectID, o.head.Binding, b.location(o.key))
	switch {
	case err != nil:
		return nil, true, err
	case m.Provisional:
		return nil, false, nil
	case m.Table.Stored() != o.stored:
		return nil, true, nil
	}
	return m, true, nil
}

// secondManifest looks through the second names. present and cause are what the first name gave.
func (x *exchange) secondManifest(b *bucket, o *object, present bool, cause error) (*manifest.Manifest, error) {
	names, err := x.listReserved(b, manifest.SecondPrefix(o.attrs.ObjectID))
	if err != nil {
		return nil, err
	}
	var found *manifest.Manifest
	for _, name := range names {
		m, here, err := x.readManifest(b, o, name)
		if err != nil && !isManifestError(err) {
			return nil, err
		}
		if err != nil {
			cause = err
		}
		present = present || here
		if m == nil {
			continue
		}
		if found != nil && manifest.TableDigest(found.Table) != manifest.TableDigest(m.Table) {
			return nil, fmt.Errorf("%w: several manifests fit", manifest.ErrManifest)
		}
		found = m
	}
	switch {
	case found != nil:
		return found, nil
	case cause != nil:
		return nil, cause
	case present:
		return nil, fmt.Errorf("%w: none fits the stored length %d", manifest.ErrManifest, o.stored)
	}
	return nil, s3err.ObjectManifestMissing
}

func isManifestError(err error) bool {
	return errors.Is(err, manifest.ErrManifest) || errors.Is(err, manifest.ErrMalformed) || errors.Is(err, manifest.ErrUnsupported)
}

// saveManifest seals and writes a manifest under its first name, or under its second one where the first is taken by another
// part table or the store does not honour If-None-Match (FORMAT.md 9.3 step 3). It never replaces one.
func (x *exchange) saveManifest(b *bucket, key string, m *manifest.Manifest, a *envelope.Attributes, binding envelope.Binding) error {
	raw, err := manifest.Seal(m, a.ManifestKey(), a.ObjectID, binding, b.location(key))
	if err != nil {
		return err
	}
	hint := manifest.EncodeHint(b.bound, key)
	first, second := manifest.Name(a.ObjectID), manifest.SecondName(a.ObjectID, manifest.TableDigest(m.Table))
	known := b.store.exclusive.Load()
	learned := known == exclusiveUnknown
	if learned {
		if known, err = x.learnExclusive(b, second, raw, hint); err != nil {
			return err
		}
	}
	if known == exclusiveIgnored {
		if !learned {
			_, err = x.writeReserved(b, second, raw, hint, false)
		}
		return err
	}
	taken, err := x.writeReserved(b, first, raw, hint, true)
	if err != nil {
		return err
	}
	if !taken {
		if learned {
			_ = x.deleteReserved(b, second) // a copy of the first name, which nothing needs
		}
		return nil
	}
	old, err := x.readReserved(b, first)
	if err != nil {
		return err
	}
	if x.holdsTable(b, key, old, m, a, binding) {
		return nil
	}
	_, err = x.writeReserved(b, second, raw, hint, false)
	return err
}

// holdsTable reports whether stored bytes are a manifest of this object with the same part table.
func (x *exchange) holdsTable(b *bucket, key string, raw []byte, m *manifest.Manifest, a *envelope.Attributes, binding envelope.Binding) bool {
	if raw == nil {
		return false
	}
	have, err := manifest.Open(raw, a.ManifestKey(), a.ObjectID, binding, b.location(key))
	return err == nil && manifest.TableDigest(have.Table) == manifest.TableDigest(m.Table)
}

// What is known of a store's If-None-Match on PUT.
const (
	exclusiveUnknown int32 = iota
	exclusiveHonoured
	exclusiveIgnored
)

// learnExclusive finds out, once per store and process, whether the condition is honoured, by writing twice to a name that
// can hold nothing else: under the first name the condition, ignored, would replace the manifest of another Complete. The
// manifest stands under name when it returns.
func (x *exchange) learnExclusive(b *bucket, name string, raw []byte, hint string) (int32, error) {
	for range 2 {
		taken, err := x.writeReserved(b, name, raw, hint, true)
		if err != nil {
			return exclusiveUnknown, err
		}
		if taken {
			b.store.exclusive.Store(exclusiveHonoured)
			return exclusiveHonoured, nil
		}
	}
	b.store.exclusive.Store(exclusiveIgnored)
	return exclusiveIgnored, nil
}

// readReserved reads a small object under the reserved prefix, nil when there is none.
func (x *exchange) readReserved(b *bucket, name string) ([]byte, error) {
	resp, err := x.callOwn(b, &upstream.Request{Op: "GetObject", Method: "GET", Bucket: b.reserved, Key: name, Idempotent: true})
	if err != nil {
		return nil, err
	}
	return x.reservedBody(resp, name)
}

// reservedBody reads the answer to a request for a small object under the reserved prefix.
func (x *exchange) reservedBody(resp *upstream.Response, name string) ([]byte, error) {
	defer resp.Body.Close()
	switch {
	case resp.Status == 404:
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, storeErrorLimit))
		return nil, nil
	case resp.Status != 200:
		return nil, fmt.Errorf("reserved object %s: %w", name, x.storeError(resp))
	case resp.ContentLength < 0 || resp.ContentLength > manifest.MaxSize:
		return nil, fmt.Errorf("%w: %s has %d bytes", manifest.ErrMalformed, name, resp.ContentLength)
	}
	release, err := x.s.memory.Reserve(backgroundContext, resp.ContentLength)
	if err != nil {
		return nil, err
	}
	defer release()
	raw := make([]byte, resp.ContentLength)
	if _, err := io.ReadFull(resp.Body, raw); err != nil {
		return nil, fmt.Errorf("%w: reserved object %s: %w", upstream.ErrUnavailable, name, err)
	}
	_, _ = resp.Body.Read(make([]byte, 1)) // the end gives the connection back
	return raw, nil
}

// writeReserved writes a small object under the reserved prefix. With exclusive, taken reports that the name is in use.
func (x *exchange) writeReserved(b *bucket, name string, raw []byte, hint string, exclusive bool) (taken bool, err error) {
	resp, err := x.callOn(b.store.control, x.reservedWrite(b, name, raw, hint, exclusive))
	if err != nil {
		return false, err
	}
	if exclusive && (resp.Status == 412 || resp.Status == 409) {
		resp.Body.Close()
		return true, nil
	}
	return false, x.written(resp, name)
}

// writeState writes what is kept of an upload that the store has begun.
func (x *exchange) writeState(b *bucket, name string, raw []byte, more ...upstream.Field) error {
	req := x.reservedWrite(b, name, raw, "", false)
	req.Header = append(req.Header, more...)
	resp, err := x.callOwn(b, req)
	if err != nil {
		return err
	}
	return x.written(resp, name)
}

func (x *exchange) written(resp *upstream.Response, name string) error {
	if resp.Status != 200 {
		return fmt.Errorf("reserved object %s: %w", name, x.storeError(resp))
	}
	return resp.Body.Close()
}

func (x *exchange) reservedWrite(b *bucket, name string, raw []byte, hint string, exclusive bool) *upstream.Request {
	req := &upstream.Request{Op: "PutObject", Method: "PUT", Bucket: b.reserved, Key: name, Body: upstream.Bytes(raw), Idempotent: !exclusive}
	req.Header = append(x.storeSSEOf(b), upstream.Field{Name: "content-type", Value: "application/octet-stream"})
	if hint != "" {
		req.Header = append(req.Header, upstream.Field{Name: metaPrefix + manifest.HintName, Value: hint})
	}
	if exclusive {
		req.Header = append(req.Header, upstream.Field{Name: "if-none-match", Value: "*"})
	}
	return req
}

// deleteState removes the state object of an upload that the store has ended; a missing one is no error.
func (x *exchange) deleteState(b *bucket, name string) error {
	return x.gone(x.callOwn(b, &upstream.Request{Op: "DeleteObject", Method: "DELETE", Bucket: b.reserved, Key: name, Idempotent: true}))
}

// deleteReserved removes an object under the reserved prefix; a missing one is no error.
func (x *exchange) deleteReserved(b *bucket, name string) error {
	return x.gone(x.callOn(b.store.control, &upstream.Request{Op: "DeleteObject", Method: "DELETE", Bucket: b.reserved, Key: name, Idempotent: true}))
}

func (x *exchange) gone(resp *upstream.Response, err error) error {
	if err != nil {
		return err
	}
	if resp.Status >= 300 && resp.Status != 404 {
		return x.storeError(resp)
	}
	return resp.Body.Close()
}

// listReserved returns the keys under a prefix of the reserved prefix, one page: there is a name per Complete that lost.
func (x *exchange) listReserved(b *bucket, prefix string) ([]string, error) {
	resp, err := x.callOwn(b, &upstream.Request{Op: "ListObjectsV2", Method: "GET", Bucket: b.reserved, Idempotent: true,
		Query: []upstream.Param{{Name: "list-type", Value: "2"}, {Name: "prefix", Value: prefix}, {Name: "max-keys", Value: "100"}}})
	if err != nil {
		return nil, err
	}
	if resp.Status != 200 {
		return nil, x.storeError(resp)
	}
	defer resp.Body.Close()
	doc, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("%w: listing: %w", upstream.ErrUnavailable, err)
	}
	return reservedKeys(doc)
}

// storeSSEOf is the header that some stores demand; a client's own never goes up.
func (x *exchange) storeSSEOf(b *bucket) []upstream.Field {
	if b.store.sse == "" {
		return nil
	}
	return []upstream.Field{{Name: "x-amz-server-side-encryption", Value: b.store.sse}}
}

// reservedKeys reads the keys of a listing of the reserved prefix, which s3xml hides from everybody else.
func reservedKeys(doc []byte) ([]string, error) {
	found, _, err := parseRawKeys(doc)
	keys := make([]string, len(found))
	for i := range found {
		keys[i] = found[i].Key
	}
	return keys, err
}

// rawKey is an entry of a listing as the store has it.
type rawKey struct{ Key, VersionID string }

func parseRawKeys(doc []byte) (keys []rawKey, more bool, err error) {
	type entry struct {
		Key       string
		VersionID string `xml:"VersionId"`
	}
	var page struct {
		IsTruncated                     bool
		Contents, Version, DeleteMarker []entry
	}
	if err := xml.Unmarshal(doc, &page); err != nil {
		return nil, false, fmt.Errorf("%w: listing: %w", upstream.ErrUnavailable, err)
	}
	for _, list := range [][]entry{page.Contents, page.Version, page.DeleteMarker} {
		for _, e := range list {
			keys = append(keys, rawKey(e))
		}
	}
	return keys, page.IsTruncated, nil
}
