package proxy

import (
	"bytes"
	"slices"

	"s3veil/crypto/envelope"
	"s3veil/crypto/manifest"
	"s3veil/proxy/etag"
)

// origin names an upload and this list. In state-object mode the manifest keeps it: once the state is gone, a Complete that is
// repeated has nothing else to be known by (FORMAT.md 9.9).
func (c *completion) origin(upload [32]byte) *manifest.Origin {
	numbers, tags := make([]int, len(c.client)), make([]string, len(c.client))
	for i, p := range c.client {
		numbers[i], tags[i] = p.Number, bare(etag.FromClient(p.ETag))
	}
	return &manifest.Origin{Upload: upload, List: manifest.ListDigest(numbers, tags)}
}

// mayHaveSucceeded makes this the repetition of a Complete whose state object is gone.
func (c *completion) mayHaveSucceeded() error {
	text, _ := c.x.req.Get("uploadId")
	id, err := envelope.ParseUploadID(text)
	if err != nil {
		return err
	}
	c.u = &upload{clientID: text, state: envelope.StateNameOf(id.State)}
	c.again = c.origin(id.State)
	return nil
}

// adopt takes the upload's secrets from the object in place, whose envelope has opened: that it is this upload's, one of its
// manifests has to say.
func (c *completion) adopt(o *object) {
	if o.attrs == nil || o.head.Kind == envelope.SinglePut {
		return
	}
	own := *o.attrs
	c.u.attrs, c.u.head = &own, o.head
}

// sameSums reports whether two manifests of one part table say the same about checksums and origin.
func sameSums(a, b *manifest.Manifest) bool {
	same := func(x, y envelope.Checksum) bool { return x.Algorithm == y.Algorithm && bytes.Equal(x.Value, y.Value) }
	one, two := a.Origin(), b.Origin()
	return (a.Checksum == nil) == (b.Checksum == nil) && (a.Checksum == nil || same(*a.Checksum, *b.Checksum)) && a.Composite == b.Composite &&
		slices.EqualFunc(a.PartChecksums, b.PartChecksums, same) && (one == nil) == (two == nil) && (one == nil || *one == *two)
}

// knowsMore reports whether a manifest of this very list has a checksum that this Complete cannot know any more: notes of parts end
// with the first Complete of several at a time.
func (c *completion) knowsMore(m *manifest.Manifest) bool {
	theirs, own := m.Origin(), c.m.Origin()
	return theirs != nil && own != nil && *theirs == *own && m.Checksum != nil && c.m.Checksum == nil
}

// forget zeroes the upload's secrets, where it has got any.
func (c *completion) forget() {
	if c.u.attrs != nil {
		c.u.attrs.Zero()
	}
}
