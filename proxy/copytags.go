package proxy

import (
	"encoding/xml"
	"net/url"
	"strings"

	"s3veil/proxy/s3err"
	"s3veil/proxy/upstream"
)

// maxTagging is the largest x-amz-tagging header that S3 takes: 10 tags of 128 and 256 characters, escaped.
const maxTagging = 16 << 10

// withSourceTags adds the tags of the source to the headers of a streamed copy, which the store does not know to be one.
// With the directive REPLACE the request's own tags stand in extra already.
func (x *exchange) withSourceTags(src *copySource, extra []upstream.Field) ([]upstream.Field, error) {
	if x.head.get("x-amz-tagging-directive") == "REPLACE" {
		return extra, nil
	}
	query := append([]upstream.Param{{Name: "tagging", Bare: true}}, src.query()...)
	resp, err := x.callOn(src.b.store.data, &upstream.Request{Op: "GetObjectTagging", Method: "GET", Bucket: src.b.name, Key: src.name.Key,
		Query: query, Idempotent: true})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch resp.Status {
	case 200:
	case 404, 405, 501: // no tags, or a store without them
		return extra, nil
	default:
		return nil, x.storeError(resp)
	}
	doc, err := readDocument(resp.Body)
	if err != nil {
		return nil, err
	}
	var set struct {
		Tags []struct{ Key, Value string } `xml:"TagSet>Tag"`
	}
	if err := xml.Unmarshal(doc, &set); err != nil {
		return nil, s3err.InternalError.With(err)
	}
	var pairs []string
	for _, t := range set.Tags {
		pairs = append(pairs, url.QueryEscape(t.Key)+"="+url.QueryEscape(t.Value))
	}
	text := strings.Join(pairs, "&")
	if text == "" || len(text) > maxTagging {
		return extra, nil
	}
	return append(extra, upstream.Field{Name: "x-amz-tagging", Value: text}), nil
}
