package proxytest

import (
	"encoding/xml"
	"maps"
	"net/url"
	"slices"
	"strings"
)

type contents struct {
	Key, LastModified, ETag string
	Size                    int
	StorageClass            string
}

type commonPrefix struct{ Prefix string }

type listing struct {
	XMLName                       xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name, Prefix                  string
	Delimiter, EncodingType       string  `xml:",omitempty"`
	Marker                        *string `xml:",omitempty"`
	NextMarker                    string  `xml:",omitempty"`
	ContinuationToken, StartAfter string  `xml:",omitempty"`
	NextContinuationToken         string  `xml:",omitempty"`
	KeyCount                      *int    `xml:",omitempty"`
	MaxKeys                       int
	IsTruncated                   bool
	Contents                      []contents
	CommonPrefixes                []commonPrefix
}

// walk visits keys and common prefixes after a marker in order, until f returns false.
func (s *Store) walk(c *Call, b *bucket, after string, f func(key, common string) bool) {
	prefix, delimiter := c.Query.Get("prefix"), c.Query.Get("delimiter")
	seen := ""
	for _, key := range slices.Sorted(maps.Keys(b.keys)) {
		rest, found := strings.CutPrefix(key, prefix)
		if !found || key <= after || delimiter != "" && strings.HasSuffix(after, delimiter) && strings.HasPrefix(key, after) {
			continue
		}
		common := ""
		if head, _, cut := strings.Cut(rest, delimiter); delimiter != "" && cut {
			common = prefix + head + delimiter
			if common == seen {
				continue
			}
			seen = common
		}
		if !f(key, common) {
			return
		}
	}
}

// encoder returns what encoding-type asks for.
func encoder(c *Call) func(string) string {
	if c.Query.Get("encoding-type") == "url" {
		return func(t string) string { return strings.ReplaceAll(url.QueryEscape(t), "%2F", "/") }
	}
	return func(t string) string { return t }
}

// list is both versions of ListObjects.
func (s *Store) list(c *Call, b *bucket) *Answer {
	q, enc := c.Query, encoder(c)
	v2 := c.Op == "ListObjectsV2"
	l := listing{
		Name: c.Bucket, Prefix: enc(q.Get("prefix")), Delimiter: enc(q.Get("delimiter")), EncodingType: q.Get("encoding-type"),
		MaxKeys: limit(c, "max-keys"),
	}
	after := q.Get("marker")
	if v2 {
		l.ContinuationToken, l.StartAfter = q.Get("continuation-token"), enc(q.Get("start-after"))
		if after = q.Get("start-after"); l.ContinuationToken != "" {
			after, _ = url.QueryUnescape(l.ContinuationToken)
		}
	} else {
		marker := enc(after)
		l.Marker = &marker
	}
	last := ""
	s.walk(c, b, after, func(key, common string) bool {
		o := s.newest(c.Bucket, key)
		if o == nil && common == "" {
			return true
		}
		if len(l.Contents)+len(l.CommonPrefixes) == l.MaxKeys {
			l.IsTruncated = l.MaxKeys > 0
			return false
		}
		if common != "" {
			l.CommonPrefixes = append(l.CommonPrefixes, commonPrefix{enc(common)})
			last = common
			return true
		}
		l.Contents = append(l.Contents, contents{enc(key), stamp(o.Time), o.ETag, len(o.Data), "STANDARD"})
		last = key
		return true
	})
	if v2 {
		n := len(l.Contents) + len(l.CommonPrefixes)
		l.KeyCount = &n
	}
	switch {
	case l.IsTruncated && v2:
		l.NextContinuationToken = url.QueryEscape(last)
	case l.IsTruncated && l.Delimiter != "":
		l.NextMarker = enc(last)
	}
	return document(l)
}

type versionEntry struct {
	XMLName            xml.Name
	Key, VersionId     string
	IsLatest           bool
	LastModified       string
	ETag, StorageClass string `xml:",omitempty"`
	Size               *int   `xml:",omitempty"`
}

// listVersions returns everything at once up to max-keys keys; a page ends between keys.
func (s *Store) listVersions(c *Call, b *bucket) *Answer {
	enc := encoder(c)
	l := struct {
		XMLName                 xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListVersionsResult"`
		Name, Prefix, KeyMarker string
		Delimiter, EncodingType string `xml:",omitempty"`
		MaxKeys                 int
		IsTruncated             bool
		NextKeyMarker           string `xml:",omitempty"`
		NextVersionIdMarker     string `xml:",omitempty"`
		Entries                 []versionEntry
		CommonPrefixes          []commonPrefix
	}{
		Name: c.Bucket, Prefix: enc(c.Query.Get("prefix")), KeyMarker: enc(c.Query.Get("key-marker")),
		Delimiter: enc(c.Query.Get("delimiter")), EncodingType: c.Query.Get("encoding-type"), MaxKeys: limit(c, "max-keys"),
	}
	n := 0
	s.walk(c, b, c.Query.Get("key-marker"), func(key, common string) bool {
		if n >= l.MaxKeys {
			l.IsTruncated = l.MaxKeys > 0
			return false
		}
		n++
		l.NextKeyMarker = enc(key)
		if common != "" {
			l.CommonPrefixes = append(l.CommonPrefixes, commonPrefix{enc(common)})
			l.NextKeyMarker = enc(common)
			return true
		}
		list := b.keys[key]
		for i := len(list) - 1; i >= 0; i-- {
			o := list[i]
			e := versionEntry{Key: enc(key), VersionId: o.Version, IsLatest: i == len(list)-1, LastModified: stamp(o.Time)}
			if e.VersionId == "" {
				e.VersionId = "null"
			}
			if e.XMLName.Local = "DeleteMarker"; !o.Delete {
				size := len(o.Data)
				e.XMLName.Local, e.ETag, e.StorageClass, e.Size = "Version", o.ETag, "STANDARD", &size
			}
			l.NextVersionIdMarker = e.VersionId
			l.Entries = append(l.Entries, e)
		}
		return true
	})
	if !l.IsTruncated {
		l.NextKeyMarker, l.NextVersionIdMarker = "", ""
	}
	return document(l)
}
