package s3op

import (
	"errors"
	"net/netip"
	"strings"

	"s3veil/proxy/s3err"
)

// CopySource is a parsed x-amz-copy-source: client-visible bucket, decoded key, version id or "".
type CopySource struct{ Bucket, Key, VersionID string }

// ParseCopySource parses the value of x-amz-copy-source: "bucket/key" or "/bucket/key", percent-encoded in part, as a whole
// or not at all, "+" being a space as on S3, with an optional "?versionId=". Errors are s3err values; ARNs are
// NotImplemented.
func ParseCopySource(value string) (CopySource, error) {
	var c CopySource
	raw := value
	if i := strings.LastIndex(raw, "?versionId="); i >= 0 {
		id, ok := Unescape(raw[i+len("?versionId="):], true)
		if !ok || id == "" || !CheckID(id) {
			return c, s3err.Argument("Invalid version id specified", "versionId", raw[i+len("?versionId="):])
		}
		c.VersionID, raw = id, raw[:i]
	}
	path, ok := Unescape(raw, true)
	if !ok {
		return c, s3err.Argument("Invalid copy source encoding", "x-amz-copy-source", value)
	}
	path = strings.TrimPrefix(path, "/")
	if strings.HasPrefix(path, "arn:") {
		return c, s3err.UnimplementedHeader("x-amz-copy-source")
	}
	bucket, key, _ := strings.Cut(path, "/")
	err := CheckBucket(bucket)
	if _, no := netip.ParseAddr(bucket); err == nil && no == nil {
		err = s3err.InvalidBucketName
	}
	if err != nil {
		if errors.Is(err, s3err.NotImplemented) {
			return c, err
		}
		return c, s3err.Argument("Invalid copy source bucket name", "x-amz-copy-source", bucket)
	}
	if key == "" || key == "." {
		return c, s3err.Argument("Invalid copy source object key", "x-amz-copy-source", key)
	}
	if err := CheckKey(key); err != nil {
		if errors.Is(err, s3err.InvalidURI) || errors.Is(err, s3err.KeyClimbs) {
			err = s3err.Argument("Invalid copy source object key", "x-amz-copy-source", key)
		}
		return c, err
	}
	c.Bucket, c.Key = bucket, key
	return c, nil
}

// String is the header value for a store: "/bucket/key" with the key encoded, and the version id.
func (c CopySource) String() string {
	s := "/" + escape(c.Bucket, false) + "/" + EscapePath(c.Key)
	if c.VersionID != "" {
		s += "?versionId=" + escape(c.VersionID, false)
	}
	return s
}
