package proxytest

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kept lists the headers that belong to an object, x-amz-meta-* apart.
var kept = []string{
	"cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires",
	"x-amz-object-lock-legal-hold", "x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date", "x-amz-storage-class",
	"x-amz-website-redirect-location",
}

func keep(h http.Header) map[string]string {
	m := map[string]string{}
	for name, values := range h {
		name = strings.ToLower(name)
		if slices.Contains(kept, name) || strings.HasPrefix(name, "x-amz-meta-") {
			m[name] = strings.Join(values, ",")
		}
	}
	return m
}

// version finds the version that a call asks for.
func (s *Store) version(c *Call, b *bucket) (*Object, *Answer) {
	id := c.Query.Get("versionId")
	if id == "" || id == "null" && !b.versioned {
		if o := s.newest(c.Bucket, c.Key); o != nil {
			return o, nil
		}
		a := fail(404, "NoSuchKey")
		if list := b.keys[c.Key]; len(list) > 0 {
			a.Header.Set("X-Amz-Delete-Marker", "true")
			a.Header.Set("X-Amz-Version-Id", list[len(list)-1].Version)
		}
		return nil, a
	}
	for _, o := range b.keys[c.Key] {
		if o.Version == id {
			if o.Delete {
				return nil, fail(405, "MethodNotAllowed")
			}
			return o, nil
		}
	}
	return nil, fail(404, "NoSuchVersion")
}

// conditions checks those headers with a prefix: "" or "X-Amz-Copy-Source-".
func conditions(h http.Header, prefix string, o *Object) *Answer {
	if want := h.Get(prefix + "If-Match"); want != "" && (o == nil || want != "*" && !matches(want, o.ETag)) {
		return fail(412, "PreconditionFailed")
	}
	if not := h.Get(prefix + "If-None-Match"); not != "" && o != nil && (not == "*" || matches(not, o.ETag)) {
		return fail(412, "PreconditionFailed")
	}
	since, err := http.ParseTime(h.Get(prefix + "If-Unmodified-Since"))
	if err == nil && o != nil && o.Time.After(since) {
		return fail(412, "PreconditionFailed")
	}
	return nil
}

func matches(list, etag string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if strings.Trim(strings.TrimSpace(one), `"`) == strings.Trim(etag, `"`) {
			return true
		}
	}
	return false
}

func (s *Store) putObject(c *Call, b *bucket) *Answer {
	if a := conditions(c.Header, "", s.newest(c.Bucket, c.Key)); a != nil {
		return a
	}
	o := &Object{Data: c.Body, Header: keep(c.Header), Sum: c.Header.Get(sumHeader)}
	s.write(b, c.Key, o)
	delete(b.documents, c.Key+"?tagging")
	if tags := c.Header.Get("X-Amz-Tagging"); tags != "" {
		b.documents[c.Key+"?tagging"] = tagging(tags)
	}
	a := ok("ETag", o.ETag)
	a.describe(o)
	return a
}

func tagging(query string) []byte {
	values, _ := url.ParseQuery(query)
	var b strings.Builder
	b.WriteString(`<Tagging xmlns="` + namespace + `"><TagSet>`)
	for name := range values {
		b.WriteString("<Tag><Key>")
		_ = xml.EscapeText(&b, []byte(name))
		b.WriteString("</Key><Value>")
		_ = xml.EscapeText(&b, []byte(values.Get(name)))
		b.WriteString("</Value></Tag>")
	}
	b.WriteString("</TagSet></Tagging>")
	return []byte(b.String())
}

// describe adds what every answer about a version has.
func (a *Answer) describe(o *Object) {
	if o.Version != "" {
		a.Header.Set("X-Amz-Version-Id", o.Version)
	}
	if o.Sum != "" {
		a.Header.Set(sumHeader, o.Sum)
		a.Header.Set("X-Amz-Checksum-Type", "FULL_OBJECT")
	}
}

func (s *Store) getObject(c *Call, b *bucket) *Answer {
	o, a := s.version(c, b)
	if a != nil {
		return a
	}
	if not := c.Header.Get("If-None-Match"); not != "" && matches(not, o.ETag) {
		a := ok("ETag", o.ETag)
		a.Status = http.StatusNotModified
		return a
	}
	if a := conditions(c.Header, "", o); a != nil {
		return a
	}
	a = ok("ETag", o.ETag, "Last-Modified", o.Time.Format(http.TimeFormat), "Accept-Ranges", "bytes")
	for name, value := range o.Header {
		a.Header[name] = []string{value} // in lower case, as good stores do
	}
	delete(a.Header, "content-type") // net/http adds one of its own where it finds none in canonical spelling
	a.Header.Set("Content-Type", cmp.Or(o.Header["content-type"], "binary/octet-stream"))
	a.describe(o)
	a.Body = slices.Clone(o.Data)
	if c.Header.Get("X-Amz-Checksum-Mode") == "" || c.Header.Get("Range") != "" {
		a.Header.Del(sumHeader)
	}
	if first, last, valid := parseRange(c.Header.Get("Range"), len(o.Data)); valid {
		if first > last {
			a := fail(416, "InvalidRange")
			a.Header.Set("Content-Range", fmt.Sprintf("bytes */%d", len(o.Data)))
			return a
		}
		a.Status = http.StatusPartialContent
		a.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, len(o.Data)))
		a.Body = a.Body[first : last+1]
	}
	if tags, found := b.documents[c.Key+"?tagging"]; found {
		a.Header.Set("X-Amz-Tagging-Count", strconv.Itoa(strings.Count(string(tags), "<Tag>")))
	}
	return a
}

// parseRange reads one byte range (RFC 9110 section 14.1.2). One that is not valid is to be ignored; one that cannot be
// satisfied is valid with first above last.
func parseRange(text string, size int) (first, last int, valid bool) {
	spec, found := strings.CutPrefix(text, "bytes=")
	from, to, dash := strings.Cut(spec, "-")
	if !found || !dash {
		return 0, 0, false
	}
	if from == "" {
		n, err := strconv.Atoi(to)
		if n == 0 {
			return 1, 0, err == nil
		}
		return max(size-n, 0), size - 1, err == nil && n > 0
	}
	first, err := strconv.Atoi(from)
	if err != nil || first < 0 {
		return 0, 0, false
	}
	last = size - 1
	if to != "" {
		n, err := strconv.Atoi(to)
		if err != nil || n < first {
			return 0, 0, false
		}
		last = min(last, n)
	}
	return first, last, true
}

func (s *Store) deleteObject(c *Call, b *bucket) *Answer {
	if a := conditions(c.Header, "", s.newest(c.Bucket, c.Key)); a != nil {
		return a
	}
	version, marker := s.remove(b, c.Key, c.Query.Get("versionId"))
	a := noContent()
	if version != "" {
		a.Header.Set("X-Amz-Version-Id", version)
	}
	if marker {
		a.Header.Set("X-Amz-Delete-Marker", "true")
	}
	return a
}

// remove deletes one version, or what no version means in this bucket.
func (s *Store) remove(b *bucket, key, id string) (version string, marker bool) {
	if id == "" && b.versioned {
		o := &Object{Delete: true}
		s.write(b, key, o)
		return o.Version, true
	}
	b.keys[key] = slices.DeleteFunc(b.keys[key], func(o *Object) bool {
		hit := id == "" || o.Version == id || id == "null" && o.Version == ""
		marker = marker || hit && o.Delete
		return hit
	})
	if len(b.keys[key]) == 0 {
		delete(b.keys, key)
	}
	return id, marker
}

func (s *Store) deleteObjects(c *Call, b *bucket) *Answer {
	var in struct {
		Quiet  bool
		Object []struct{ Key, VersionId string }
	}
	if xml.Unmarshal(c.Body, &in) != nil {
		return fail(400, "MalformedXML")
	}
	type deleted struct {
		Key                   string
		VersionId             string `xml:",omitempty"`
		DeleteMarker          bool   `xml:",omitempty"`
		DeleteMarkerVersionId string `xml:",omitempty"`
	}
	out := struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ DeleteResult"`
		Deleted []deleted
	}{}
	for _, o := range in.Object {
		version, marker := s.remove(b, o.Key, o.VersionId)
		d := deleted{Key: o.Key, VersionId: o.VersionId, DeleteMarker: marker}
		if marker {
			d.DeleteMarkerVersionId = version
		}
		if !in.Quiet {
			out.Deleted = append(out.Deleted, d)
		}
	}
	return document(out)
}

// source finds what x-amz-copy-source names.
func (s *Store) source(c *Call) (*Object, *Answer) {
	text, id, _ := strings.Cut(strings.TrimPrefix(c.Header.Get("X-Amz-Copy-Source"), "/"), "?versionId=")
	text, err := url.PathUnescape(text)
	name, key, found := strings.Cut(text, "/")
	if err != nil || !found {
		return nil, fail(400, "InvalidArgument")
	}
	b := s.buckets[name]
	if b == nil {
		return nil, fail(404, "NoSuchBucket")
	}
	o, a := s.version(&Call{Bucket: name, Key: key, Query: url.Values{"versionId": {id}}}, b)
	if a != nil {
		return nil, a
	}
	return o, conditions(c.Header, "X-Amz-Copy-Source-", o)
}

func (s *Store) copyObject(c *Call, b *bucket) *Answer {
	src, a := s.source(c)
	if a != nil {
		return a
	}
	o := src.clone()
	o.Time, o.Parts, o.ETag = time.Time{}, nil, ""
	if c.Header.Get("X-Amz-Metadata-Directive") == "REPLACE" {
		o.Header = keep(c.Header)
	} else if s.newest(c.Bucket, c.Key) == src {
		return fail(400, "InvalidRequest")
	}
	s.write(b, c.Key, o)
	a = document(struct {
		XMLName            xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyObjectResult"`
		ETag, LastModified string
	}{ETag: o.ETag, LastModified: stamp(o.Time)})
	a.describe(o)
	if src.Version != "" {
		a.Header.Set("X-Amz-Copy-Source-Version-Id", src.Version)
	}
	return a
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
