package s3xml

import (
	"strconv"
	"strings"

	"s3veil/crypto/size"
	"s3veil/proxy/s3err"
)

// The limits of documents that clients send (docs/CONFIGURATION.md).
const (
	MaxComplete = 4 << 20 // bytes of CompleteMultipartUpload
	MaxDelete   = 2 << 20 // bytes of Delete
	MaxOther    = 1 << 20 // bytes of any other document
	MaxKeys     = 1000    // objects of one Delete
)

// ChecksumText is a checksum element: Name as in "ChecksumCRC32C", Value as it stands there.
type ChecksumText struct{ Name, Value string }

// checksumNames are the checksum elements of a part. Source: CompletedPart in the S3 API reference.
var checksumNames = map[string]bool{
	"ChecksumCRC32": true, "ChecksumCRC32C": true, "ChecksumCRC64NVME": true, "ChecksumMD5": true, "ChecksumSHA1": true,
	"ChecksumSHA256": true, "ChecksumSHA512": true, "ChecksumXXHASH64": true, "ChecksumXXHASH3": true, "ChecksumXXHASH128": true,
}

// CompletedPart is a part in CompleteMultipartUpload. ETag is the client's form.
type CompletedPart struct {
	Number    int
	ETag      string
	Checksums []ChecksumText
}

// ParseComplete parses CompleteMultipartUpload: 1–10,000 parts, numbers in 1–10,000 and strictly ascending. Errors are
// s3err values.
func ParseComplete(body []byte) ([]CompletedPart, error) {
	d, err := parse(body, limits{bytes: MaxComplete, elements: 1 + size.MaxParts*8, strict: true})
	if err != nil {
		return nil, s3err.MalformedXML.With(err)
	}
	if !d.is(0, "CompleteMultipartUpload") || d.el[0].child < 0 {
		return nil, s3err.MalformedXML
	}
	var parts []CompletedPart
	for i := d.el[0].child; i >= 0; i = d.el[i].next {
		if !d.is(i, "Part") || len(parts) == size.MaxParts {
			return nil, s3err.MalformedXML
		}
		p, err := completedPart(d, i)
		if err != nil {
			return nil, err
		}
		if n := len(parts); n > 0 && parts[n-1].Number >= p.Number {
			return nil, s3err.InvalidPartOrder
		}
		parts = append(parts, p)
	}
	return parts, nil
}

func completedPart(d *doc, i int32) (CompletedPart, error) {
	var p CompletedPart
	var seen fields
	for c := d.el[i].child; c >= 0; c = d.el[c].next {
		name, value := d.name(c), d.text(c)
		if !seen.add(name) || d.el[c].child >= 0 {
			return p, s3err.MalformedXML
		}
		switch {
		case name == "ETag":
			p.ETag = strings.TrimSpace(value)
		case name == "PartNumber":
			n, err := strconv.Atoi(strings.TrimSpace(value))
			switch {
			case err != nil:
				return p, s3err.MalformedXML.With(err)
			case n < 1:
				return p, s3err.Argument("PartNumber must be >= 1", "PartNumber", strconv.Itoa(n))
			case n > size.MaxParts:
				return p, s3err.Argument("Part number must be an integer between 1 and 10000, inclusive.", "partNumber", strconv.Itoa(n))
			}
			p.Number = n
		case checksumNames[name]:
			p.Checksums = append(p.Checksums, ChecksumText{name, strings.TrimSpace(value)})
		case strings.HasPrefix(name, "Checksum"):
			return p, s3err.Unimplemented(name)
		default:
			return p, s3err.MalformedXML
		}
	}
	if p.Number == 0 || p.ETag == "" {
		return p, s3err.MalformedXML
	}
	return p, nil
}

// DeleteEntry is one object of a Delete. ETag is the client's form; empty strings are absent elements.
type DeleteEntry struct {
	Key, VersionID               string
	ETag, Size, LastModifiedTime string // conditions
}

// ParseDelete parses the body of DeleteObjects: at most 1,000 objects; whether none is too few, the store says. Keys are not checked beyond being there, each one gets an
// answer of its own. Errors are s3err values.
func ParseDelete(body []byte) (entries []DeleteEntry, quiet bool, err error) {
	d, err := parse(body, limits{bytes: MaxDelete, elements: 2 + MaxKeys*6, strict: true})
	if err != nil {
		return nil, false, s3err.MalformedXML.With(err)
	}
	if !d.is(0, "Delete") {
		return nil, false, s3err.MalformedXML
	}
	for i := d.el[0].child; i >= 0; i = d.el[i].next {
		switch {
		case d.is(i, "Quiet") && d.el[i].child < 0:
			quiet = strings.EqualFold(strings.TrimSpace(d.text(i)), "true")
		case d.is(i, "Object") && len(entries) < MaxKeys:
			e, ok := deleteEntry(d, i)
			if !ok {
				return nil, false, s3err.MalformedXML
			}
			entries = append(entries, e)
		default:
			return nil, false, s3err.MalformedXML
		}
	}
	return entries, quiet, nil
}

// deleteEntry refuses elements it does not know, because one may be a condition, and conditions without a value: left out, they
// would be none.
func deleteEntry(d *doc, i int32) (DeleteEntry, bool) {
	var e DeleteEntry
	var seen fields
	for c := d.el[i].child; c >= 0; c = d.el[c].next {
		name, value := d.name(c), strings.TrimSpace(d.text(c))
		if !seen.add(name) || d.el[c].child >= 0 {
			return e, false
		}
		switch name {
		case "Key":
			e.Key = d.text(c)
			continue
		case "VersionId":
			e.VersionID = value
			continue
		case "ETag":
			e.ETag = value
		case "Size":
			e.Size = value
		case "LastModifiedTime":
			e.LastModifiedTime = value
		default:
			return e, false
		}
		if value == "" {
			return e, false
		}
	}
	return e, e.Key != ""
}

// fields remembers the few names of one element, to refuse repeated ones.
type fields struct {
	names [16]string
	n     int
}

func (f *fields) add(name string) bool {
	for _, s := range f.names[:f.n] {
		if s == name {
			return false
		}
	}
	if f.n == len(f.names) {
		return false
	}
	f.names[f.n] = name
	f.n++
	return true
}

// AppendComplete writes CompleteMultipartUpload for the store; ETags are the store's, checksums are the store's own, over the ciphertext.
func AppendComplete(dst []byte, parts []CompletedPart) []byte {
	dst = open(dst, "CompleteMultipartUpload")
	for i := range parts {
		dst = start(dst, "Part")
		dst = leaf(dst, "ETag", parts[i].ETag)
		dst = number(dst, "PartNumber", int64(parts[i].Number))
		dst = end(checksums(dst, parts[i].Checksums), "Part")
	}
	return end(dst, "CompleteMultipartUpload")
}

// AppendDelete writes Delete for the store; ETags and sizes are the store's.
func AppendDelete(dst []byte, entries []DeleteEntry, quiet bool) []byte {
	dst = open(dst, "Delete")
	for i := range entries {
		e := &entries[i]
		dst = start(start(dst, "Object"), "Key")
		dst = end(appendText(dst, e.Key, true), "Key")
		dst = optional(dst, "VersionId", e.VersionID)
		dst = optional(dst, "ETag", e.ETag)
		dst = optional(dst, "LastModifiedTime", e.LastModifiedTime)
		dst = optional(dst, "Size", e.Size)
		dst = end(dst, "Object")
	}
	if quiet {
		dst = boolean(dst, "Quiet", true)
	}
	return end(dst, "Delete")
}
