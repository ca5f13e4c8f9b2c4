package s3xml

import (
	"fmt"
	"strconv"
	"strings"

	"s3veil/crypto/size"
	"s3veil/proxy/etag"
	"s3veil/proxy/s3op"
)

// UploadedPart is one part in a ListParts answer.
type UploadedPart struct {
	Number int
	Stored int64  // stored bytes
	Size   int64  // plaintext bytes shown: dec(Stored), or est(Stored) where Valid is false
	Valid  bool   // Stored is the size of a stream (FORMAT.md 8.1)
	ETag   string // the store's, with its quotes
	// Checksums are the store's, over the ciphertext: what CompleteMultipartUpload has to repeat. Clients never see them.
	Checksums []ChecksumText
	// Shown are the checksums that the client's document gets in their place.
	Shown []ChecksumText

	at int32
}

// PartList is a page of ListParts.
type PartList struct {
	Parts     []UploadedPart
	Truncated bool
	Next      int // NextPartNumberMarker
	// StorageClass of the upload.
	StorageClass string
	// NamesChecksum: the store writes the upload's checksum algorithm, be it none.
	NamesChecksum bool

	d *doc
}

// ParseParts parses a page of ListParts. Failures wrap ErrSyntax.
func ParseParts(page []byte) (*PartList, error) {
	d, err := parseRoot(page, "ListPartsResult")
	if err != nil {
		return nil, err
	}
	l := &PartList{d: d}
	for i := d.el[0].child; i >= 0; i = d.el[i].next {
		switch d.name(i) {
		case "Part":
			p := UploadedPart{at: i, ETag: d.childText(i, "ETag")}
			p.Checksums = storeChecksums(d, i)
			var err1, err2 error
			p.Number, err1 = strconv.Atoi(d.childText(i, "PartNumber"))
			p.Stored, err2 = strconv.ParseInt(d.childText(i, "Size"), 10, 64)
			if err1 != nil || err2 != nil || p.Stored < 0 {
				return nil, fmt.Errorf("%w: part without number or size", ErrSyntax)
			}
			plain, err := size.Dec(p.Stored)
			if p.Size, p.Valid = plain, err == nil; !p.Valid {
				p.Size = size.Est(p.Stored)
			}
			l.Parts = append(l.Parts, p)
		case "IsTruncated":
			l.Truncated = d.text(i) == "true"
		case "NextPartNumberMarker":
			l.Next, _ = strconv.Atoi(d.text(i)) // absent or empty on a last page
		case "StorageClass":
			l.StorageClass = d.text(i)
		case "ChecksumAlgorithm":
			l.NamesChecksum = true
		}
	}
	return l, nil
}

// Names are what the client calls bucket, key and upload.
type Names struct{ Bucket, Key, UploadID string }

// Append writes the document for the client. algorithm and checksumType are what the client declared at Create ("CRC32C",
// "FULL_OBJECT"), empty where it declared nothing; checksums of parts, which are over ciphertext, make room for those Shown.
func (l *PartList) Append(dst []byte, n Names, algorithm, checksumType string) []byte {
	c := &copier{d: l.d, dst: dst}
	parts := l.Parts
	for i := l.d.el[0].child; i >= 0; i = l.d.el[i].next {
		switch name := l.d.name(i); name {
		case "Bucket":
			c.set(i, n.Bucket)
		case "Key":
			c.set(i, n.Key)
		case "UploadId":
			c.set(i, n.UploadID)
		case "ChecksumAlgorithm", "ChecksumType":
			c.drop(i)
		case "Part":
			if len(parts) > 0 && parts[0].at == i {
				parts[0].copy(c)
				parts = parts[1:]
			} else {
				c.drop(i)
			}
		}
	}
	c.upTo(l.d.el[0].innerEnd)
	c.dst = optional(c.dst, "ChecksumAlgorithm", algorithm)
	c.dst = optional(c.dst, "ChecksumType", checksumType)
	return c.rest()
}

func (p *UploadedPart) copy(c *copier) {
	for i := c.d.el[p.at].child; i >= 0; i = c.d.el[i].next {
		switch name := c.d.name(i); {
		case name == "Size":
			c.setInt(i, p.Size)
		case name == "ETag":
			c.set(i, etag.ToClient(p.ETag))
		case strings.HasPrefix(name, "Checksum"):
			c.drop(i)
		}
	}
	c.upTo(c.d.el[p.at].innerEnd)
	for _, s := range p.Shown {
		c.dst = leaf(c.dst, s.Name, s.Value)
	}
}

// UploadList is a page of ListMultipartUploads.
type UploadList struct {
	Uploads   []Upload
	Hidden    int // reserved keys and common prefixes left out
	Truncated bool
	// NextKey and NextUpload are the store's markers, decoded; empty on a last page.
	NextKey, NextUpload string

	d *doc
}

// Upload is one visible upload of a listing, Key decoded, UploadID the store's.
type Upload struct {
	Key, UploadID string
	// ChecksumAlgorithm and ChecksumType are shown to the client where they are not empty; the store's own never are.
	ChecksumAlgorithm, ChecksumType string

	at int32
}

// ParseUploads parses a page of ListMultipartUploads. Failures wrap ErrSyntax.
func ParseUploads(page []byte) (*UploadList, error) {
	d, err := parseRoot(page, "ListMultipartUploadsResult")
	if err != nil {
		return nil, err
	}
	encoded := d.childText(0, "EncodingType") == "url"
	l := &UploadList{d: d}
	for i := d.el[0].child; i >= 0; i = d.el[i].next {
		switch d.name(i) {
		case "Upload":
			u := Upload{Key: decodeKey(d.childText(i, "Key"), encoded), UploadID: d.childText(i, "UploadId"), at: i}
			if s3op.Reserved(u.Key) {
				l.Hidden++
			} else {
				l.Uploads = append(l.Uploads, u)
			}
		case "CommonPrefixes":
			if s3op.Reserved(decodeKey(d.childText(i, "Prefix"), encoded)) {
				l.Hidden++
			}
		case "IsTruncated":
			l.Truncated = d.text(i) == "true"
		case "NextKeyMarker":
			l.NextKey = decodeKey(d.text(i), encoded)
		case "NextUploadIdMarker":
			l.NextUpload = d.text(i)
		}
	}
	return l, nil
}

// Append writes the document for the client. id maps the store's upload ids to the client's form (FORMAT.md 9.1); marker is
// the upload-id-marker as the client sent it, echoed where the store echoes one. Uploads that were removed from l.Uploads
// are left out.
func (l *UploadList) Append(dst []byte, bucket, marker string, id func(string) string) []byte {
	c := &copier{d: l.d, dst: dst}
	uploads := l.Uploads
	encoded := l.d.childText(0, "EncodingType") == "url"
	for i := l.d.el[0].child; i >= 0; i = l.d.el[i].next {
		switch l.d.name(i) {
		case "Bucket":
			c.set(i, bucket)
		case "UploadIdMarker":
			c.set(i, marker)
		case "NextUploadIdMarker":
			if l.NextUpload != "" {
				c.set(i, id(l.NextUpload))
			}
		case "CommonPrefixes":
			if s3op.Reserved(decodeKey(l.d.childText(i, "Prefix"), encoded)) {
				c.drop(i)
			}
		case "Upload":
			if len(uploads) > 0 && uploads[0].at == i {
				uploads[0].copy(c, id)
				uploads = uploads[1:]
			} else {
				c.drop(i)
			}
		}
	}
	return c.rest()
}

func (u *Upload) copy(c *copier, id func(string) string) {
	for i := c.d.el[u.at].child; i >= 0; i = c.d.el[i].next {
		switch c.d.name(i) {
		case "UploadId":
			c.set(i, id(u.UploadID))
		case "ChecksumAlgorithm", "ChecksumType":
			c.drop(i)
		}
	}
	c.upTo(c.d.el[u.at].innerEnd)
	c.dst = optional(c.dst, "ChecksumAlgorithm", u.ChecksumAlgorithm)
	c.dst = optional(c.dst, "ChecksumType", u.ChecksumType)
}

// parseRoot parses a store's document and checks its root.
func parseRoot(b []byte, root string) (*doc, error) {
	d, err := parse(b, pageLimits)
	if err != nil {
		return nil, err
	}
	if !d.is(0, root) || d.el[0].inner == d.el[0].end {
		return nil, fmt.Errorf("%w: root %q, not %q", ErrSyntax, d.name(0), root)
	}
	return d, nil
}

// storeChecksums reads the checksum elements of a part.
func storeChecksums(d *doc, part int32) []ChecksumText {
	var out []ChecksumText
	for i := d.el[part].child; i >= 0; i = d.el[i].next {
		if name := d.name(i); strings.HasPrefix(name, "Checksum") && name != "ChecksumType" && name != "ChecksumAlgorithm" {
			out = append(out, ChecksumText{name, d.text(i)})
		}
	}
	return out
}
