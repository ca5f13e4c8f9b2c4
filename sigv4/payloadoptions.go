package sigv4

import (
	"crypto/md5"
	"encoding/base64"
	"strconv"
	"strings"

	"s3veil/sigv4/checksum"
)

// PayloadOptionsOf reads what the headers of a verified request promise about its body: Content-MD5, x-amz-checksum-*,
// x-amz-trailer, x-amz-decoded-content-length and x-amz-sdk-checksum-algorithm. contentLength is -1 for a chunked HTTP
// body. For CompleteMultipartUpload the caller clears Sums, since they describe the object there.
//
// The codes: InvalidDigest (Content-MD5), InvalidRequest (malformed or unknown checksums), InvalidArgument (lengths).
func PayloadOptionsOf(v *Verified, header []Field, contentLength int64) (PayloadOptions, error) {
	o := PayloadOptions{Verified: v, ContentLength: contentLength, DecodedLength: -1}
	algorithm := ""
	for i := range header {
		name, value := header[i].Name, strings.Trim(header[i].Value, " \t")
		var err *Error
		switch name {
		case "content-md5":
			err = o.setMD5(value)
		case "x-amz-decoded-content-length":
			err = o.setDecodedLength(value)
		case "x-amz-trailer":
			o.setTrailer(value)
		case "x-amz-sdk-checksum-algorithm":
			algorithm = value
		default:
			err = o.addSum(name, value)
		}
		if err != nil {
			return o, err
		}
	}
	if algorithm != "" && !o.promises(algorithm) {
		return o, fail(codeInvalidRequest, "x-amz-sdk-checksum-algorithm %q specified, but no corresponding x-amz-checksum-* or "+
			"x-amz-trailer headers were found", algorithm)
	}
	return o, nil
}

func (o *PayloadOptions) setMD5(value string) *Error {
	sum, err := base64.StdEncoding.Strict().DecodeString(value)
	if err != nil || len(sum) != md5.Size {
		return fail(codeInvalidDigest, "the Content-MD5 is not valid")
	}
	o.MD5 = sum
	return nil
}

func (o *PayloadOptions) setDecodedLength(value string) *Error {
	n, err := strconv.ParseUint(value, 10, 63)
	if err != nil {
		return fail(codeInvalidArgument, "x-amz-decoded-content-length is not a number")
	}
	o.DecodedLength = int64(n)
	return nil
}

func (o *PayloadOptions) setTrailer(value string) {
	for name := range strings.SplitSeq(value, ",") {
		if name = strings.ToLower(strings.Trim(name, " \t")); name != "" {
			o.Trailer = append(o.Trailer, name)
		}
	}
}

// addSum takes x-amz-checksum-*; the names beside the values are left to the operation.
func (o *PayloadOptions) addSum(name, value string) *Error {
	rest, ok := strings.CutPrefix(name, "x-amz-checksum-")
	if !ok || rest == "algorithm" || rest == "mode" || rest == "type" {
		return nil
	}
	a, ok := checksum.FromHeader(name)
	if !ok {
		return fail(codeInvalidRequest, "header %s names an unknown checksum algorithm", name)
	}
	sum, err := a.Decode(value)
	if err != nil {
		return fail(codeInvalidRequest, "value for %s header is invalid", name)
	}
	o.Sums = append(o.Sums, Sum{a, sum})
	return nil
}

// promises reports whether a value of the named algorithm is in the headers or announced for the trailer.
func (o *PayloadOptions) promises(name string) bool {
	a, ok := checksum.Parse(name)
	if !ok {
		return false
	}
	for _, s := range o.Sums {
		if s.Algorithm == a {
			return true
		}
	}
	return isOneOf(a.Header(), o.Trailer)
}
