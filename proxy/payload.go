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
func (x *exchange) openPayload() (*sigv4.Payload, error) {
	body, err := x.openBody()
	if err != nil {
		return nil, err
	}
	o := sigv4.PayloadOptions{Verified: x.auth, ContentLength: body.length, DecodedLength: -1}
	if v := x.head.get("x-amz-decoded-content-length"); v != "" {
		if o.DecodedLength, err = strconv.ParseInt(v, 10, 64); err != nil || o.DecodedLength < 0 {
			return nil, s3err.InvalidArgument.With(fmt.Errorf("x-amz-decoded-content-length %q", v))
		}
	}
	if v := x.head.get("content-md5"); v != "" {
		if o.MD5, err = base64.StdEncoding.DecodeString(v); err != nil || len(o.MD5) != 16 {
			return nil, s3err.InvalidDigest.With(fmt.Errorf("content-md5 %q", v))
		}
	}
	if v := x.head.joined("x-amz-trailer"); v != "" {
		for _, name := range strings.Split(v, ",") {
			o.Trailer = append(o.Trailer, strings.ToLower(strings.TrimSpace(name)))
		}
	}
	if o.Sums, err = x.promisedSums(o.Trailer); err != nil {
		return nil, err
	}
	return sigv4.NewPayload(body, o)
}

// promisedSums reads the x-amz-checksum-* headers. One checksum may be promised; unknown algorithms are refused, so that
// nobody believes an unchecked upload to have been checked.
func (x *exchange) promisedSums(trailer []string) ([]sigv4.Sum, error) {
	var sums []sigv4.Sum
	for _, f := range x.head.fields {
		if !strings.HasPrefix(f.Name, "x-amz-checksum-") || f.Name == "x-amz-checksum-algorithm" || f.Name == "x-amz-checksum-type" || f.Name == "x-amz-checksum-mode" {
			continue
		}
		a, ok := checksum.FromHeader(f.Name)
		if !ok {
			return nil, s3err.InvalidRequest.With(fmt.Errorf("unknown checksum %s", f.Name))
		}
		v, err := a.Decode(f.Value)
		if err != nil {
			return nil, s3err.InvalidRequest.With(fmt.Errorf("value for %s header is invalid: %w", f.Name, err))
		}
		sums = append(sums, sigv4.Sum{Algorithm: a, Value: v})
	}
	if len(sums) > 1 {
		return nil, s3err.InvalidRequest.With(fmt.Errorf("expecting a single x-amz-checksum- header"))
	}
	promised := len(sums) > 0
	for _, name := range trailer {
		a, ok := checksum.FromHeader(name)
		if !ok {
			return nil, s3err.InvalidRequest.With(fmt.Errorf("the value specified in the x-amz-trailer header is not supported: %s", name))
		}
		if len(sums) > 0 {
			return nil, s3err.InvalidRequest.With(fmt.Errorf("checksum in header and trailer: %s", a))
		}
		promised = true
	}
	if v := x.head.get("x-amz-sdk-checksum-algorithm"); v != "" && !promised {
		return nil, s3err.InvalidRequest.With(fmt.Errorf("x-amz-sdk-checksum-algorithm %q without a checksum", v))
	}
	return sums, nil
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
	doc := make([]byte, p.Len())
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
