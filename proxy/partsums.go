package proxy

import (
	"bytes"
	"fmt"
	"strings"

	"s3veil/crypto/envelope"
	"s3veil/crypto/partnote"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3xml"
	"s3veil/sigv4/checksum"
)

// withNotes holds the checksums in the client's list against the notes of the parts and returns the list with those that it
// leaves out and may. Parts without a note stay as they are.
func (c *completion) withNotes(declared checksum.Algorithm, full bool) ([]s3xml.CompletedPart, error) {
	if len(c.notes) == 0 {
		return c.client, nil
	}
	list := make([]s3xml.CompletedPart, len(c.client))
	for i, p := range c.client {
		if n := c.notes[p.Number]; n != nil {
			if err := c.matchesNote(p, n, declared); err != nil {
				return nil, err
			}
			if full && len(p.Checksums) == 0 && n.Sum != nil && n.Sum.Algorithm == byte(declared) {
				p.Checksums = []s3xml.ChecksumText{checksumText(n.Sum)}
			}
		}
		list[i] = p
	}
	return list, nil
}

// matchesNote compares the checksum of a listed part, if it has one, with what was uploaded.
func (c *completion) matchesNote(p s3xml.CompletedPart, n *partnote.Note, declared checksum.Algorithm) error {
	if len(p.Checksums) == 0 {
		return nil
	}
	a, value, err := partSum(p)
	if err != nil {
		return err
	}
	known := n.Sum
	if declared == checksum.None && a == checksum.CRC64NVME && n.Default != nil {
		known = &envelope.Checksum{Algorithm: byte(a), Value: n.Default}
	}
	switch {
	case known == nil:
		return s3err.Part(c.u.clientID, p.Number, p.ETag)
	case known.Algorithm != byte(a):
		return s3err.BadDigest.Say(fmt.Sprintf("The %s you specified for part %d did not match what we received.", strings.ToLower(a.String()), p.Number))
	case !bytes.Equal(known.Value, value):
		return s3err.Part(c.u.clientID, p.Number, p.ETag)
	}
	return nil
}

// defaultSums are the CRC64NVME of all listed parts of an upload without a declared algorithm, nil where one is not known.
func (c *completion) defaultSums() [][]byte {
	if c.u.attrs.Declared != nil || !c.x.keepsNotes(c.u) {
		return nil
	}
	values := make([][]byte, 0, len(c.client))
	for _, p := range c.client {
		n := c.notes[p.Number]
		switch {
		case n == nil:
			return nil
		case n.Default != nil:
			values = append(values, n.Default)
		case n.Sum != nil && n.Sum.Algorithm == byte(checksum.CRC64NVME):
			values = append(values, n.Sum.Value)
		default:
			return nil
		}
	}
	return values
}

// keepDefault keeps the CRC64NVME that S3 gives every object. What the head says of the object is no promise here: S3 looks at
// it only where an algorithm was declared.
func (c *completion) keepDefault(values [][]byte) error {
	value, _, err := c.objectSum(checksum.CRC64NVME, values, true)
	if err != nil {
		return err
	}
	if c.said.algorithm == checksum.CRC64NVME && !bytes.Equal(c.said.value, value) {
		c.x.s.log.Warn("a Complete names a checksum that its object does not have, which is ignored as on S3", "request_id", c.x.id, "bucket", c.x.bucket.visible, "key", c.x.req.Key)
	}
	c.m.Checksum = &envelope.Checksum{Algorithm: byte(checksum.CRC64NVME), Value: value}
	return nil
}
