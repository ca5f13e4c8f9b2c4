package proxy

import (
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"strings"

	"s3veil/proxy/s3err"
	"s3veil/sigv4"
	"s3veil/sigv4/checksum"
)

// source is plaintext on its way to be sealed: exactly Len bytes, and Verify once all of them have been read. Nothing may
// be committed upstream before Verify has returned nil.
type source interface {
	io.Reader
	Len() int64
	Verify() error
}

// openPayload returns the decoded and verified body of an object write.
func (x *exchange) openPayload() (*sigv4.Payload, error) { return x.openPayloadWanting(checksum.None) }

// openPayloadWanting is openPayload with a checksum to be computed in any case.
func (x *exchange) openPayloadWanting(want checksum.Algorithm) (*sigv4.Payload, error) {
	body, err := x.openBody()
	if err != nil {
		return nil, err
	}
	return x.newPayload(body, body.length, want)
}

// newPayload decodes and verifies body, of length bytes, as the headers say.
func (x *exchange) newPayload(body io.Reader, length int64, want checksum.Algorithm) (*sigv4.Payload, error) {
	var err error
	o := sigv4.PayloadOptions{Verified: x.auth, ContentLength: length, DecodedLength: -1, Want: want}
	if v := x.head.Get("x-amz-decoded-content-length"); v != "" {
		if o.DecodedLength, err = strconv.ParseInt(v, 10, 64); err != nil || o.DecodedLength < 0 {
			return nil, s3err.MissingContentLength.With(fmt.Errorf("x-amz-decoded-content-length %q", v))
		}
	}
	if x.head.Has("content-md5") {
		v := x.head.Get("content-md5")
		if o.MD5, err = base64.StdEncoding.DecodeString(v); err != nil || len(o.MD5) != 16 {
			return nil, s3err.InvalidDigest.Field("Content-MD5", v).With(fmt.Errorf("content-md5 %q", v))
		}
	}
	if v := x.head.Joined("x-amz-trailer"); v != "" {
		for _, name := range strings.Split(v, ",") {
			o.Trailer = append(o.Trailer, strings.ToLower(strings.TrimSpace(name)))
		}
	}
	if x.req.Op != "CompleteMultipartUpload" { // there they describe the object, not the document
		if o.Sums, err = x.promisedSums(o.Trailer); err != nil {
			return nil, err
		}
	}
	if len(o.Sums) == 0 && len(o.Trailer) == 0 && (x.req.Op == "PutObject" || x.req.Op == opPostObject) && x.announcedPayload(o) <= x.s.limits.HeldBody {
		o.Want = checksum.CRC64NVME // S3's default; of larger bodies it would be known too late to be kept with the object
	}
	return sigv4.NewPayload(body, o)
}

// announcedPayload is the announced number of plaintext bytes, -1 for none.
func (x *exchange) announcedPayload(o sigv4.PayloadOptions) int64 {
	if x.auth.Payload.Chunked() {
		return o.DecodedLength
	}
	return o.ContentLength
}

// promisedSums reads the x-amz-checksum-* headers. One checksum may be promised, in a header or in the trailer; unknown
// algorithms are refused, so that nobody believes an unchecked upload to have been checked.
func (x *exchange) promisedSums(trailer []string) ([]sigv4.Sum, error) {
	headers := x.checksumHeaders()
	if len(headers)+len(trailer) > 1 {
		return nil, s3err.Request("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
	}
	var sums []sigv4.Sum
	promised := checksum.None
	for _, f := range headers {
		a, ok := checksum.FromHeader(f.Name)
		if !ok {
			return nil, s3err.Request("The algorithm type you specified in x-amz-checksum- header is invalid.")
		}
		v, err := a.Decode(f.Value)
		if err != nil {
			return nil, s3err.Request("Value for " + f.Name + " header is invalid.").With(err)
		}
		sums, promised = append(sums, sigv4.Sum{Algorithm: a, Value: v}), a
	}
	for _, name := range trailer {
		a, ok := checksum.FromHeader(name)
		if !ok {
			return nil, s3err.Request("The value specified in the x-amz-trailer header is not supported").With(fmt.Errorf("trailer %s", name))
		}
		promised = a
	}
	return sums, x.checkSDKAlgorithm(promised)
}

// checksumHeaders are the headers that carry a checksum's value.
func (x *exchange) checksumHeaders() []sigv4.Field {
	var out []sigv4.Field
	for _, f := range x.head.Fields {
		switch f.Name {
		case "x-amz-checksum-algorithm", "x-amz-checksum-type", "x-amz-checksum-mode":
			continue
		}
		if strings.HasPrefix(f.Name, "x-amz-checksum-") {
			out = append(out, f)
		}
	}
	return out
}

// errAlgorithm names the algorithms that there are.
var errAlgorithm = s3err.Request("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, MD5, SHA1, SHA256, SHA512, XXHASH128, XXHASH3, XXHASH64]")

// checkSDKAlgorithm holds x-amz-sdk-checksum-algorithm against the checksum that it announces, None for none.
func (x *exchange) checkSDKAlgorithm(promised checksum.Algorithm) error {
	v := x.head.Get("x-amz-sdk-checksum-algorithm")
	if v == "" {
		return nil
	}
	a, ok := checksum.Parse(v)
	switch {
	case !ok:
		return errAlgorithm
	case promised == checksum.None && x.auth.Kind == sigv4.Presigned: // SDKs sign it into URLs for bodies not yet known
	case promised == checksum.None:
		return s3err.Request("x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	case promised != a:
		return s3err.Request("Value for x-amz-sdk-checksum-algorithm header is invalid.")
	}
	return nil
}

// readAll reads a small document (XML, settings) of at most limit bytes and verifies it like any payload.
func (x *exchange) readAll(limit int64, tooLarge s3err.Error) ([]byte, error) {
	p, err := x.openPayload()
	if err != nil {
		return nil, err
	}
	if p.Len() > limit {
		return nil, tooLarge.With(fmt.Errorf("document of %d bytes", p.Len()))
	}
	doc, err := x.sentDocument(p.Len())
	if err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(p, doc); err != nil {
		return nil, err
	}
	if err := p.Verify(); err != nil {
		return nil, err
	}
	return doc, nil
}

// setSums echoes the checksums that were verified.
func (x *exchange) setSums(sums []sigv4.Sum) {
	for _, s := range sums {
		x.set(s.Algorithm.Header(), base64.StdEncoding.EncodeToString(s.Value))
		x.set("x-amz-checksum-type", "FULL_OBJECT")
	}
}
