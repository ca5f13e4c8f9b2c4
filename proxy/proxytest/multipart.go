package proxytest

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

func (s *Store) createUpload(c *Call, b *bucket) *Answer {
	s.serial++
	id := fmt.Sprintf("upload-%d", s.serial)
	sums := c.Header.Get("X-Amz-Checksum-Algorithm") != ""
	b.uploads[id] = &upload{key: c.Key, header: keep(c.Header), sums: sums, parts: map[int]*Object{}}
	return document(struct {
		XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ InitiateMultipartUploadResult"`
		Bucket, Key, UploadId string
	}{Bucket: c.Bucket, Key: c.Key, UploadId: id})
}

func (c *Call) upload(b *bucket) (*upload, *Answer) {
	u := b.uploads[c.Query.Get("uploadId")]
	if u == nil || u.key != c.Key {
		return nil, fail(404, "NoSuchUpload")
	}
	return u, nil
}

func (s *Store) part(c *Call, u *upload, data []byte) (*Object, *Answer) {
	n, err := strconv.Atoi(c.Query.Get("partNumber"))
	if err != nil || n < 1 || n > 10_000 {
		return nil, fail(400, "InvalidArgument")
	}
	sum := md5.Sum(data)
	o := &Object{Data: data, ETag: `"` + hex.EncodeToString(sum[:]) + `"`}
	if u.sums {
		o.Sum = checksum(data)
	}
	u.parts[n] = o
	return o, nil
}

func (s *Store) uploadPart(c *Call, b *bucket) *Answer {
	u, a := c.upload(b)
	if a != nil {
		return a
	}
	o, a := s.part(c, u, c.Body)
	if a != nil {
		return a
	}
	a = ok("ETag", o.ETag)
	if o.Sum != "" {
		a.Header.Set(sumHeader, o.Sum)
	}
	return a
}

func (s *Store) uploadPartCopy(c *Call, b *bucket) *Answer {
	u, a := c.upload(b)
	if a != nil {
		return a
	}
	src, a := s.source(c)
	if a != nil {
		return a
	}
	data := src.Data
	if text := c.Header.Get("X-Amz-Copy-Source-Range"); text != "" {
		first, last, valid := parseRange(text, len(data))
		if !valid || first > last {
			return fail(416, "InvalidRange")
		}
		data = data[first : last+1]
	}
	o, a := s.part(c, u, slices.Clone(data))
	if a != nil {
		return a
	}
	return document(struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyPartResult"`
		ETag    string
	}{ETag: o.ETag})
}

func (s *Store) abort(c *Call, b *bucket) *Answer {
	if _, a := c.upload(b); a != nil {
		return a
	}
	delete(b.uploads, c.Query.Get("uploadId"))
	return noContent()
}

func (s *Store) complete(c *Call, b *bucket) *Answer {
	u, a := c.upload(b)
	if a != nil {
		return a
	}
	if a := conditions(c.Header, "", s.newest(c.Bucket, c.Key)); a != nil {
		return a
	}
	var in struct {
		Part []struct {
			PartNumber              int
			ETag, ChecksumCRC64NVME string
		}
	}
	if xml.Unmarshal(c.Body, &in) != nil || len(in.Part) == 0 {
		return fail(400, "MalformedXML")
	}
	o := &Object{Header: u.header}
	h := md5.New()
	last := 0
	for i, p := range in.Part {
		have := u.parts[p.PartNumber]
		switch {
		case p.PartNumber <= last:
			return fail(400, "InvalidPartOrder")
		case have == nil || !matches(p.ETag, have.ETag):
			return fail(400, "InvalidPart")
		case u.sums && p.ChecksumCRC64NVME != have.Sum:
			return fail(400, "InvalidRequest")
		case i < len(in.Part)-1 && len(have.Data) < 5<<20:
			return fail(400, "EntityTooSmall")
		}
		last = p.PartNumber
		sum, _ := hex.DecodeString(strings.Trim(have.ETag, `"`))
		h.Write(sum)
		o.Data = append(o.Data, have.Data...)
		o.Parts = append(o.Parts, int64(len(have.Data)))
	}
	o.ETag = fmt.Sprintf(`"%x-%d"`, h.Sum(nil), len(in.Part))
	if u.sums {
		o.Sum = checksum(o.Data)
	}
	s.write(b, c.Key, o)
	delete(b.uploads, c.Query.Get("uploadId"))
	a = document(struct {
		XMLName                     xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUploadResult"`
		Location, Bucket, Key, ETag string
	}{Location: s.URL + "/" + c.Bucket, Bucket: c.Bucket, Key: c.Key, ETag: o.ETag})
	a.describe(o)
	return a
}

func (s *Store) listParts(c *Call, b *bucket) *Answer {
	u, a := c.upload(b)
	if a != nil {
		return a
	}
	type part struct {
		PartNumber         int
		LastModified, ETag string
		Size               int
		ChecksumCRC64NVME  string `xml:",omitempty"`
	}
	out := struct {
		XMLName                                       xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListPartsResult"`
		Bucket, Key, UploadId                         string
		PartNumberMarker, NextPartNumberMarker        int
		MaxParts                                      int
		IsTruncated                                   bool
		Part                                          []part
		ChecksumAlgorithm, ChecksumType, StorageClass string `xml:",omitempty"`
	}{Bucket: c.Bucket, Key: c.Key, UploadId: c.Query.Get("uploadId"), MaxParts: limit(c, "max-parts"), StorageClass: "STANDARD"}
	if u.sums {
		out.ChecksumAlgorithm, out.ChecksumType = "CRC64NVME", "FULL_OBJECT"
	}
	out.PartNumberMarker, _ = strconv.Atoi(c.Query.Get("part-number-marker"))
	for _, n := range slices.Sorted(maps.Keys(u.parts)) {
		if n <= out.PartNumberMarker {
			continue
		}
		if len(out.Part) == out.MaxParts {
			out.IsTruncated = true
			break
		}
		p := u.parts[n]
		out.Part = append(out.Part, part{n, stamp(p.Time), p.ETag, len(p.Data), p.Sum})
		out.NextPartNumberMarker = n
	}
	return document(out)
}

func (s *Store) listUploads(c *Call, b *bucket) *Answer {
	type entry struct{ Key, UploadId, Initiated string }
	out := struct {
		XMLName     xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListMultipartUploadsResult"`
		Bucket      string
		Prefix      string
		MaxUploads  int
		IsTruncated bool
		Upload      []entry
	}{Bucket: c.Bucket, Prefix: c.Query.Get("prefix"), MaxUploads: 1000}
	for _, id := range slices.Sorted(maps.Keys(b.uploads)) {
		if u := b.uploads[id]; strings.HasPrefix(u.key, out.Prefix) {
			out.Upload = append(out.Upload, entry{u.key, id, "2026-01-01T00:00:00.000Z"})
		}
	}
	slices.SortStableFunc(out.Upload, func(x, y entry) int { return strings.Compare(x.Key, y.Key) })
	return document(out)
}

// limit is a page size, 1000 at most.
func limit(c *Call, name string) int {
	n, err := strconv.Atoi(c.Query.Get(name))
	if err != nil || n > 1000 || n < 0 {
		return 1000
	}
	return n
}
