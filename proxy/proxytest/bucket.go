package proxytest

import (
	"encoding/xml"
	"maps"
	"slices"
	"strings"
)

func (s *Store) listBuckets() *Answer {
	type entry struct{ Name, CreationDate string }
	list := struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListAllMyBucketsResult"`
		Buckets []entry  `xml:"Buckets>Bucket"`
	}{}
	for _, name := range slices.Sorted(maps.Keys(s.buckets)) {
		list.Buckets = append(list.Buckets, entry{name, "2026-01-01T00:00:00.000Z"})
	}
	return document(list)
}

func (s *Store) createBucket(c *Call, b *bucket) *Answer {
	if b != nil {
		return fail(409, "BucketAlreadyOwnedByYou")
	}
	s.buckets[c.Bucket] = &bucket{keys: map[string][]*Object{}, uploads: map[string]*upload{}, documents: map[string][]byte{}}
	return ok("Location", "/"+c.Bucket)
}

func (s *Store) headBucket(*Call, *bucket) *Answer { return ok("x-amz-bucket-region", "us-east-1") }

func (s *Store) location(*Call, *bucket) *Answer {
	return document(struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ LocationConstraint"`
	}{})
}

func (s *Store) deleteBucket(c *Call, b *bucket) *Answer {
	if len(b.keys) > 0 {
		return fail(409, "BucketNotEmpty")
	}
	delete(s.buckets, c.Bucket)
	return noContent()
}

func noContent(header ...string) *Answer {
	a := ok(header...)
	a.Status = 204
	return a
}

// document keeps a sub-resource; versioning also takes effect.
func (s *Store) document(c *Call, b *bucket, sub string) *Answer {
	name := "?" + sub
	if c.Key != "" {
		if s.newest(c.Bucket, c.Key) == nil {
			return fail(404, "NoSuchKey")
		}
		name = c.Key + name
	}
	switch c.Method {
	case "PUT":
		b.documents[name] = c.Body
		if sub == "versioning" {
			b.versioned = strings.Contains(string(c.Body), "<Status>Enabled</Status>")
		}
		return ok()
	case "DELETE":
		delete(b.documents, name)
		return noContent()
	}
	a := ok("Content-Type", "application/xml")
	if text, found := b.documents[name]; found {
		a.Body = text
		return a
	}
	switch sub {
	case "versioning":
		a.Body = []byte(`<VersioningConfiguration xmlns="` + namespace + `"/>`)
	case "tagging":
		if c.Key == "" {
			return fail(404, "NoSuchTagSet")
		}
		a.Body = []byte(`<Tagging xmlns="` + namespace + `"><TagSet></TagSet></Tagging>`)
	case "acl":
		a.Body = []byte(`<AccessControlPolicy xmlns="` + namespace + `"><Owner><ID>o</ID></Owner><AccessControlList/></AccessControlPolicy>`)
	default:
		return fail(404, "NoSuchConfiguration")
	}
	return a
}
