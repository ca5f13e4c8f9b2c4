package proxy

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"net/url"
	"slices"
	"strings"

	"s3veil/proxy/s3err"
	"s3veil/proxy/upstream"
)

// maxTagging is the largest x-amz-tagging header that S3 takes: 10 tags of 128 and 256 characters, escaped.
const maxTagging = 16 << 10

// tagging is the document of Get- and PutObjectTagging.
type tagging struct {
	XMLName xml.Name `xml:"Tagging"`
	Tags    []tag    `xml:"TagSet>Tag"`
}

type tag struct{ Key, Value string }

// withSourceTags adds the tags of the source to the headers of a streamed copy, which the store does not know to be one.
// With the directive REPLACE the request's own tags stand in extra already.
func (x *exchange) withSourceTags(src *copySource, extra []upstream.Field) ([]upstream.Field, error) {
	if x.replacesTags() {
		return extra, nil
	}
	tags, err := x.readTags(&src.b, src.name.Key, src.query(), x.sourceOwner())
	if err != nil {
		return nil, err
	}
	text := tagHeader(tags)
	if text == "" || len(text) > maxTagging {
		return extra, nil
	}
	return append(extra, upstream.Field{Name: "x-amz-tagging", Value: text}), nil
}

// sourceOwner is the condition on the owner of the source's bucket, as a condition of a request to it.
func (x *exchange) sourceOwner() []upstream.Field {
	owner := x.head.Get("x-amz-source-expected-bucket-owner")
	if owner == "" {
		return nil
	}
	return []upstream.Field{{Name: "x-amz-expected-bucket-owner", Value: owner}}
}

func (x *exchange) replacesTags() bool { return x.head.Get("x-amz-tagging-directive") == "REPLACE" }

// tagHeader is x-amz-tagging. A space is %20: not every store takes "+" for one.
func tagHeader(tags []tag) string {
	pairs := make([]string, len(tags))
	for i, t := range tags {
		pairs[i] = strings.ReplaceAll(url.QueryEscape(t.Key)+"="+url.QueryEscape(t.Value), "+", "%20")
	}
	return strings.Join(pairs, "&")
}

// readTags asks for the tags of an object, none where the store has no tags.
func (x *exchange) readTags(b *bucket, key string, version []upstream.Param, owner []upstream.Field) ([]tag, error) {
	query := append([]upstream.Param{{Name: "tagging", Bare: true}}, version...)
	req := &upstream.Request{Op: "GetObjectTagging", Method: "GET", Bucket: b.name, Key: key, Query: query, Header: owner, Idempotent: true}
	resp, err := x.callOn(b.store.control, req)
	if err != nil {
		return nil, err
	}
	switch {
	case resp.Status == 200:
	case resp.Status == 404 || resp.Status == 405 || resp.Status == 501: // no tags, or a store without them
		return nil, resp.Body.Close()
	case resp.Status == 403 && b.store.own && x.untagged(b, req): // the right to read tags is needed where there are any
		return nil, resp.Body.Close()
	default:
		return nil, x.storeError(resp)
	}
	defer resp.Body.Close()
	doc, err := x.readDocument(resp)
	if err != nil || len(doc) == 0 { // a store says so that there are none
		return nil, err
	}
	var set tagging
	if err := xml.Unmarshal(doc, &set); err != nil {
		return nil, s3err.InternalError.With(err)
	}
	return set.Tags, nil
}

// untagged reports whether an object has no tags, as far as s3veil's own credentials can tell.
func (x *exchange) untagged(b *bucket, req *upstream.Request) bool {
	resp, err := x.callOwn(b, req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	doc, err := x.readDocument(resp)
	var set tagging
	return resp.Status == 404 || err == nil && resp.Status == 200 && (len(doc) == 0 || xml.Unmarshal(doc, &set) == nil && len(set.Tags) == 0)
}

// carriedTags are the tags that the target of a server-side copy must have, as the client asked for it.
func (x *exchange) carriedTags(src *copySource) ([]tag, error) {
	if !x.replacesTags() {
		return x.readTags(&src.b, src.name.Key, src.query(), x.sourceOwner())
	}
	var tags []tag
	for item := range strings.SplitSeq(x.head.Get("x-amz-tagging"), "&") {
		name, value, _ := strings.Cut(item, "=")
		k, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return nil, s3err.Argument("The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.", "x-amz-tagging", "")
		}
		if item != "" {
			tags = append(tags, tag{k, v})
		}
	}
	return tags, nil
}

// ensureTags makes sure of the target's tags: some stores drop them where the metadata is replaced, as a resealed copy does.
func (x *exchange) ensureTags(want []tag, version string) error {
	if len(want) == 0 {
		return nil
	}
	var query []upstream.Param
	if version != "" && version != "null" {
		query = []upstream.Param{{Name: "versionId", Value: version}}
	}
	have, err := x.readTags(&x.bucket, x.req.Key, query, nil)
	if err != nil || sameTags(have, want) {
		return err
	}
	doc, err := xml.Marshal(tagging{Tags: want})
	if err != nil {
		return err
	}
	sum := md5.Sum(doc)
	resp, err := x.callOn(x.bucket.store.control, &upstream.Request{Op: "PutObjectTagging", Method: "PUT", Bucket: x.bucket.name, Key: x.req.Key,
		Query: append([]upstream.Param{{Name: "tagging", Bare: true}}, query...), Body: upstream.Bytes(doc), Idempotent: true,
		Header: []upstream.Field{{Name: "content-type", Value: "application/xml"}, {Name: "content-md5", Value: base64.StdEncoding.EncodeToString(sum[:])}}})
	if err != nil {
		return err
	}
	if resp.Status >= 300 {
		return x.storeError(resp)
	}
	return resp.Body.Close()
}

func sameTags(a, b []tag) bool {
	order := func(x, y tag) int { return bytes.Compare([]byte(x.Key), []byte(y.Key)) }
	a, b = slices.Clone(a), slices.Clone(b)
	slices.SortFunc(a, order)
	slices.SortFunc(b, order)
	return slices.Equal(a, b)
}
