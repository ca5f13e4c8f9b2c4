package s3xml

import (
	"fmt"
	"strings"

	"s3veil/proxy/etag"
	"s3veil/proxy/s3err"
)

// Result is what s3veil needs of a store's short answers; fields that the answer lacks are empty.
type Result struct {
	ETag         string // the store's, with its quotes
	LastModified string // as the store wrote it
	UploadID     string // the store's
}

// ParseResult parses a CompleteMultipartUploadResult, CopyObjectResult, CopyPartResult or InitiateMultipartUploadResult,
// whichever root names. Where the store put an <Error> into an answer with status 200, the error is an s3err value with the
// status of its code; bucket replaces the store's name in it. Other failures wrap ErrSyntax.
func ParseResult(body []byte, root, bucket string) (Result, error) {
	var r Result
	d, err := parse(body, limits{bytes: MaxOther, elements: 1 << 10})
	if err != nil {
		return r, err
	}
	if d.is(0, "Error") {
		e := errorOf(d, bucket)
		if known, ok := s3err.Lookup(e.Code); ok {
			e.Status = known.Status
		}
		return r, e
	}
	if !d.is(0, root) {
		return r, fmt.Errorf("%w: root %q, not %q", ErrSyntax, d.name(0), root)
	}
	r.ETag, r.LastModified, r.UploadID = d.childText(0, "ETag"), d.childText(0, "LastModified"), d.childText(0, "UploadId")
	return r, nil
}

// ParseError parses the error body of a store. Code and message pass, of the further fields those that mean the same to the
// client; bucket replaces the store's name. The error's Status is 500 until the caller sets that of the answer. It reports
// false for anything else, an empty body for example.
func ParseError(body []byte, bucket string) (s3err.Error, bool) {
	d, err := parse(body, limits{bytes: MaxOther, elements: 1 << 10})
	if err != nil || !d.is(0, "Error") {
		return s3err.Error{}, false
	}
	e := errorOf(d, bucket)
	return e, e.Code != ""
}

func errorOf(d *doc, bucket string) s3err.Error {
	e := s3err.Error{Status: s3err.InternalError.Status}
	for i := d.el[0].child; i >= 0; i = d.el[i].next {
		name, value := d.name(i), d.text(i)
		switch name {
		case "Code":
			e.Code = strings.TrimSpace(value)
		case "Message":
			e.Message = value
		case "BucketName", "Bucket":
			e = e.Field(name, bucket)
		case "ETag":
			e = e.Field(name, etag.ToClient(value))
		case "Key", "VersionId", "PartNumber", "Condition", "Header", "ArgumentName", "ArgumentValue", "Method",
			"ResourceType", "TagKey", "TagValue", "StorageClass", "AccessTier", "AllowedMethod":
			e = e.Field(name, value)
		}
	}
	return e
}

// ParseLocation returns the region in a GetBucketLocation answer, "us-east-1" for an empty one.
func ParseLocation(body []byte) (string, error) {
	d, err := parse(body, limits{bytes: MaxOther, elements: 1 << 10})
	if err != nil {
		return "", err
	}
	switch region := strings.TrimSpace(d.text(0)); {
	case !d.is(0, "LocationConstraint"):
		return "", fmt.Errorf("%w: root %q", ErrSyntax, d.name(0))
	case region == "":
		return "us-east-1", nil
	case region == "EU":
		return "eu-west-1", nil
	default:
		return region, nil
	}
}

// AppendInitiate writes the answer of CreateMultipartUpload.
func AppendInitiate(dst []byte, n Names) []byte {
	dst = open(dst, "InitiateMultipartUploadResult")
	dst = leaf(leaf(leaf(dst, "Bucket", n.Bucket), "Key", n.Key), "UploadId", n.UploadID)
	return end(dst, "InitiateMultipartUploadResult")
}

// Created is what the answers of CompleteMultipartUpload and PostObject tell. ETag is the client's form, with quotes.
type Created struct {
	Location, Bucket, Key, ETag string
	Checksums                   []ChecksumText
	ChecksumType                string // "FULL_OBJECT", "COMPOSITE" or empty
}

// AppendCompleteResult writes the answer of CompleteMultipartUpload. With started, the XML declaration is left out because
// it was sent already, before the white space that keeps a client waiting.
func AppendCompleteResult(dst []byte, r Created, started bool) []byte {
	const root = "CompleteMultipartUploadResult"
	return appendCreated(openLate(dst, root, started), root, r)
}

// AppendPostResponse writes the answer of PostObject with success_action_status 201. On S3 it stands in no namespace.
func AppendPostResponse(dst []byte, r Created) []byte {
	return appendCreated(start(append(dst, Header...), "PostResponse"), "PostResponse", r)
}

func appendCreated(dst []byte, root string, r Created) []byte {
	dst = leaf(leaf(leaf(leaf(dst, "Location", r.Location), "Bucket", r.Bucket), "Key", r.Key), "ETag", r.ETag)
	dst = checksums(dst, r.Checksums)
	return end(optional(dst, "ChecksumType", r.ChecksumType), root)
}

// Copied is what the answers of CopyObject and UploadPartCopy tell. ETag is the client's form, with quotes.
type Copied struct {
	ETag, LastModified string
	Checksums          []ChecksumText
	ChecksumType       string
}

// AppendCopyResult writes the answer of CopyObject; for started see AppendCompleteResult.
func AppendCopyResult(dst []byte, r Copied, started bool) []byte {
	return appendCopied(dst, "CopyObjectResult", r, started)
}

// AppendCopyPartResult writes the answer of UploadPartCopy.
func AppendCopyPartResult(dst []byte, r Copied, started bool) []byte {
	return appendCopied(dst, "CopyPartResult", r, started)
}

func appendCopied(dst []byte, root string, r Copied, started bool) []byte {
	dst = openLate(dst, root, started)
	dst = leaf(leaf(dst, "LastModified", r.LastModified), "ETag", r.ETag)
	dst = checksums(dst, r.Checksums)
	return end(optional(dst, "ChecksumType", r.ChecksumType), root)
}

func openLate(dst []byte, root string, started bool) []byte {
	n := len(dst)
	dst = open(dst, root)
	if started {
		dst = append(dst[:n], dst[n+len(Header):]...)
	}
	return dst
}

func checksums(dst []byte, list []ChecksumText) []byte {
	for _, c := range list {
		dst = leaf(dst, c.Name, c.Value)
	}
	return dst
}
