package s3xml

import (
	"fmt"
	"strconv"

	"s3veil/crypto/size"
	"s3veil/proxy/etag"
	"s3veil/proxy/s3op"
)

// AfterReserved is what a listing starts after to skip the reserved prefix (marker, start-after, key-marker).
const AfterReserved = s3op.ReservedName + "/~"

// MaxPage is the largest page of a listing that is read, in bytes: 1,000 keys of 1,024 bytes, all of them escaped.
const MaxPage = 8 << 20

var pageLimits = limits{bytes: MaxPage, elements: 64 << 10}

// Kind says what an Entry of a listing is.
type Kind byte

// The kinds of entries.
const (
	Object       Kind = iota // Contents
	Version                  // Version
	DeleteMarker             // DeleteMarker
	CommonPrefix             // CommonPrefixes; Key is the prefix
)

// Entry is one visible entry of a listing. What the client sees of it can be changed before Append.
type Entry struct {
	Kind      Kind
	Key       string // decoded, encoding-type=url too
	VersionID string
	ETag      string // the store's, with its quotes
	Stored    int64  // the store's Size in bytes; -1 for none
	Size      int64  // Size shown: size.Est(Stored) unless changed; -1 leaves the store's
	Plaintext bool   // not encrypted: ETag is shown as the store has it
	// ChecksumAlgorithm and ChecksumType are those of the plaintext, empty where they are not known.
	ChecksumAlgorithm, ChecksumType string

	page *doc
	at   int32
}

// List is a page of ListObjects, ListObjectsV2 or ListObjectVersions, or several in a row. It refers to the bytes it was
// parsed from.
type List struct {
	Entries   []Entry // reserved keys and common prefixes are not among them
	Hidden    int     // how many were left out
	Truncated bool    // there is more behind the last page
	// Last is the greatest key or common prefix of the last page, hidden ones included; with Truncated, max(Last,
	// AfterReserved) is where to go on when entries were hidden.
	Last string
	// Next is where the store says that the list goes on: NextContinuationToken, NextMarker or NextKeyMarker, as
	// characters of the document; NextVersion is NextVersionIdMarker.
	Next, NextVersion string

	first, last *doc
}

// ParseList parses a page. Failures wrap ErrSyntax.
func ParseList(page []byte) (*List, error) {
	d, err := parse(page, pageLimits)
	if err != nil {
		return nil, err
	}
	if !d.is(0, "ListBucketResult") && !d.is(0, "ListVersionsResult") || d.el[0].inner == d.el[0].end {
		return nil, fmt.Errorf("%w: root %q", ErrSyntax, d.name(0))
	}
	l := &List{first: d, last: d}
	encoded := d.childText(0, "EncodingType") == "url"
	for i := d.el[0].child; i >= 0; i = d.el[i].next {
		kind, ok := entryKind(d, i)
		if !ok {
			l.field(d, i)
			continue
		}
		e := parseEntry(d, i, kind, encoded)
		l.Last = max(l.Last, e.Key)
		if s3op.Reserved(e.Key) {
			l.Hidden++
			continue
		}
		if l.Entries == nil {
			l.Entries = make([]Entry, 0, 1+len(d.el)/8)
		}
		l.Entries = append(l.Entries, e)
	}
	return l, nil
}

func entryKind(d *doc, i int32) (Kind, bool) {
	switch string(d.b[d.el[i].local:d.el[i].nameEnd]) {
	case "Contents":
		return Object, true
	case "Version":
		return Version, true
	case "DeleteMarker":
		return DeleteMarker, true
	case "CommonPrefixes":
		return CommonPrefix, true
	}
	return 0, false
}

func (l *List) field(d *doc, i int32) {
	switch d.name(i) {
	case "IsTruncated":
		l.Truncated = d.text(i) == "true"
	case "NextContinuationToken", "NextMarker", "NextKeyMarker":
		l.Next = d.text(i)
	case "NextVersionIdMarker":
		l.NextVersion = d.text(i)
	}
}

func parseEntry(d *doc, i int32, kind Kind, encoded bool) Entry {
	e := Entry{Kind: kind, Stored: -1, Size: -1, page: d, at: i}
	for c := d.el[i].child; c >= 0; c = d.el[c].next {
		switch string(d.b[d.el[c].local:d.el[c].nameEnd]) {
		case "Key", "Prefix":
			e.Key = decodeKey(d.text(c), encoded)
		case "Size":
			if n, err := strconv.ParseInt(d.text(c), 10, 64); err == nil && n >= 0 {
				e.Stored, e.Size = n, size.Est(n)
			}
		case "ETag":
			e.ETag = d.text(c)
		case "VersionId":
			e.VersionID = d.text(c)
		}
	}
	return e
}

// decodeKey undoes encoding-type=url, where "+" is a space; what is not encoded stays as it is.
func decodeKey(key string, encoded bool) string {
	if encoded {
		if plain, ok := s3op.Unescape(key, true); ok {
			return plain
		}
	}
	return key
}

// Extend appends the page that follows, which makes up for hidden entries: its entries, and where the list goes on.
// Everything else the client sees stays that of the first page.
func (l *List) Extend(next *List) {
	l.Entries = append(l.Entries, next.Entries...)
	l.Hidden += next.Hidden
	l.Truncated, l.Last, l.Next, l.NextVersion = next.Truncated, max(l.Last, next.Last), next.Next, next.NextVersion
	l.last = next.last
}

// Append writes the document for the client: bucket as the client knows it, sizes and ETags of plaintext objects, without
// hidden entries and the store's checksum fields, KeyCount counted anew. Entries that were removed from l.Entries are left
// out too; their order must not be changed.
func (l *List) Append(dst []byte, bucket string) []byte {
	c := &copier{d: l.first, dst: dst}
	entries := l.Entries
	for i := l.first.el[0].child; i >= 0; i = l.first.el[i].next {
		if _, ok := entryKind(l.first, i); ok {
			if len(entries) > 0 && entries[0].page == l.first && entries[0].at == i {
				entries[0].copy(c)
				entries = entries[1:]
			} else {
				c.drop(i)
			}
			continue
		}
		switch l.first.name(i) {
		case "Name":
			c.set(i, bucket)
		case "KeyCount":
			c.setInt(i, int64(len(l.Entries)))
		case "IsTruncated", "NextContinuationToken", "NextMarker", "NextKeyMarker", "NextVersionIdMarker":
			if l.last != l.first {
				c.drop(i)
			}
		}
	}
	c.upTo(l.first.el[0].innerEnd)
	for i := range entries {
		more := &copier{d: entries[i].page, dst: c.dst, last: entries[i].page.el[entries[i].at].start}
		entries[i].copy(more)
		more.upTo(more.d.el[entries[i].at].end)
		c.dst = more.dst
	}
	if l.last != l.first {
		c.dst = l.appendNext(c.dst)
	}
	return c.rest()
}

// appendNext copies from the last page where the list goes on.
func (l *List) appendNext(dst []byte) []byte {
	d := l.last
	for i := d.el[0].child; i >= 0; i = d.el[i].next {
		switch d.name(i) {
		case "IsTruncated", "NextContinuationToken", "NextMarker", "NextKeyMarker", "NextVersionIdMarker":
			dst = append(dst, d.b[d.el[i].start:d.el[i].end]...)
		}
	}
	return dst
}

// copy writes the entry with its changes, from wherever c stands.
func (e *Entry) copy(c *copier) {
	d := e.page
	for i := d.el[e.at].child; i >= 0; i = d.el[i].next {
		switch string(d.b[d.el[i].local:d.el[i].nameEnd]) {
		case "Size":
			if e.Size >= 0 {
				c.setInt(i, e.Size)
			}
		case "ETag":
			if !e.Plaintext {
				c.set(i, etag.ToClient(e.ETag))
			}
		case "ChecksumAlgorithm", "ChecksumType":
			c.drop(i)
		}
	}
	if e.ChecksumAlgorithm != "" {
		c.upTo(d.el[e.at].innerEnd)
		c.dst = leaf(leaf(c.dst, "ChecksumAlgorithm", e.ChecksumAlgorithm), "ChecksumType", e.ChecksumType)
	}
}
