package proxy

import (
	"crypto/sha256"
	"errors"

	"s3veil/crypto/manifest"
	"s3veil/crypto/size"
	"s3veil/proxy/etag"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3xml"
	"s3veil/proxy/upstream"
)

// repeated answers a Complete whose upload is gone: when the object in place is what this list describes, an earlier
// attempt has succeeded at the store, and this one goes on at step 5 of FORMAT.md 9.3, which that one may not have reached.
func (c *completion) repeated() (*slowAnswer, error) {
	head, err := c.x.call(&upstream.Request{Op: "HeadObject", Method: "HEAD", Key: c.x.req.Key, Idempotent: true})
	if err != nil {
		return nil, err
	}
	if head.Status != 200 {
		return nil, c.x.whichMissing(&c.x.bucket, lost(c.x.storeError(head)))
	}
	defer head.Body.Close()
	o := &object{key: c.x.req.Key, etag: head.Get("etag"), stored: head.ContentLength}
	defer o.forget()
	if o.entry, err = classify(head.Header); err == nil && o.entry != "" {
		err = c.openEnvelope(o)
	}
	if err != nil {
		return nil, lost(err)
	}
	if c.again != nil {
		c.adopt(o)
	}
	if o.attrs == nil || c.u.attrs == nil || o.attrs.ObjectID != c.u.attrs.ObjectID {
		return nil, s3err.NoSuchUpload.With(errors.New("the object in place is another one"))
	}
	if c.m, err = c.winner(o); err != nil {
		return nil, err
	}
	return c.settle(head, s3xml.Result{ETag: o.etag})
}

// lost is NoSuchUpload, unless the cause may pass: that would make the client give up an upload that may have succeeded.
func lost(cause error) error {
	if s3err.From(cause).Status >= 500 {
		return cause
	}
	return s3err.NoSuchUpload.With(cause)
}

// winner is the manifest of the object in place, if this list is its own. Part numbers and the stored length are not enough:
// lists of one upload may share both, so it has to prove itself against every other manifest of that length.
func (c *completion) winner(o *object) (*manifest.Manifest, error) {
	all, err := c.fitting(o)
	if err != nil {
		return nil, err
	}
	for _, p := range c.client {
		c.parts = append(c.parts, s3xml.UploadedPart{Number: p.Number, ETag: etag.FromClient(p.ETag)}) // for storeETag
	}
	for i, m := range all {
		if !c.lists(m.Table) || c.again != nil && (m.Origin() == nil || *m.Origin() != *c.again) {
			continue
		}
		c.m = m
		won := true
		for j := 0; won && j < len(all); j++ {
			if j == i {
				continue
			}
			if won, err = c.proves(o, all[j].Table); err != nil {
				return nil, err
			}
		}
		if won {
			return c.withOwnSums(m, o)
		}
	}
	return nil, s3err.NoSuchUpload.With(errors.New("the object in place has no manifest of this list"))
}

// withOwnSums gives the manifest of the object in place the checksums of this list. Of one part table there is one manifest under
// each name, and an attempt that failed before may have left it, for other parts of these sizes.
func (c *completion) withOwnSums(m *manifest.Manifest, o *object) (*manifest.Manifest, error) {
	if c.again != nil {
		return m, nil // its origin is this list
	}
	own, old := *m, m.Origin()
	own.Checksum, own.Composite, own.PartChecksums = nil, false, nil
	var this *manifest.Origin
	if c.u.state != "" {
		if this = c.origin(sha256.Sum256([]byte(c.u.id))); old != nil && *old == *this {
			return m, nil
		}
		var err error
		if c.notes, err = c.x.readNotes(c.u, c.parts); err != nil {
			return nil, err
		}
	}
	c.m = &own
	if err := c.checkSums(); err != nil {
		return nil, err
	}
	same := sameSums(m, &own)
	if same && old == nil {
		return m, nil
	}
	if (!same || own.Checksum == nil) && bare(o.etag) != c.storeETag() {
		return nil, s3err.NoSuchUpload.With(errors.New("the object in place may be of other parts of these sizes"))
	}
	own.SetOrigin(this)
	return &own, nil
}

// fitting reads the manifests of this upload whose length is that of the object in place, provisional ones too, one of each
// part table.
func (c *completion) fitting(o *object) ([]*manifest.Manifest, error) {
	b, id := &c.x.bucket, c.u.attrs.ObjectID
	names, err := c.x.listReserved(b, manifest.SecondPrefix(id))
	if err != nil {
		return nil, err
	}
	var all []*manifest.Manifest
	at := map[[16]byte]int{}
	for _, name := range append([]string{manifest.Name(id)}, names...) {
		raw, err := c.x.readReserved(b, name)
		if err != nil {
			return nil, err
		}
		m, err := manifest.Open(raw, c.u.attrs.ManifestKey(), id, o.head.Binding, b.location(c.x.req.Key))
		if err != nil || m.Table.Stored() != o.stored {
			continue // it describes no such object
		}
		i, known := at[manifest.TableDigest(m.Table)]
		switch {
		case !known:
			at[manifest.TableDigest(m.Table)] = len(all)
			all = append(all, m)
		case all[i].Provisional:
			all[i] = m
		}
	}
	return all, nil
}

// lists reports whether the client's list names exactly the parts of a table.
func (c *completion) lists(t *size.Table) bool {
	if t.Len() != len(c.client) {
		return false
	}
	for i, p := range c.client {
		if t.Part(i).Number != p.Number {
			return false
		}
	}
	return true
}
