package proxy

import (
	"strings"

	"s3veil/crypto/envelope"
	"s3veil/proxy/etag"
	"s3veil/proxy/head"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3op"
	"s3veil/proxy/upstream"
	"s3veil/sigv4"
)

// The operations that package proxy itself decides about.
const (
	opPostObject    s3op.Op = "PostObject"
	opDeleteObjects s3op.Op = "DeleteObjects"
)

// never go up, whatever a list says: they describe plaintext or the client's own connection and signature.
func describesPlaintext(name string) bool {
	return name == "content-md5" || name == "x-amz-decoded-content-length" || name == "x-amz-trailer" ||
		name == "x-amz-content-sha256" || name == "x-amz-sdk-checksum-algorithm" || strings.HasPrefix(name, "x-amz-checksum-") ||
		strings.HasPrefix(name, "x-amz-server-side-encryption") || strings.HasPrefix(name, "x-amz-copy-source-server-side-encryption")
}

// forwarded returns the client's headers that keep lets through, repeated ones joined, ETag conditions translated.
func (x *exchange) forwarded(keep func(name string) bool) []upstream.Field {
	var out []upstream.Field
	for i := range x.head.Fields {
		name := x.head.Fields[i].Name
		if describesPlaintext(name) || !keep(name) || !x.head.FirstOf(i) {
			continue
		}
		value := x.head.Joined(name)
		switch name {
		case "if-match", "if-none-match", "x-amz-copy-source-if-match", "x-amz-copy-source-if-none-match":
			value = etag.FromClient(value)
		}
		out = append(out, upstream.Field{Name: name, Value: value})
	}
	return out
}

// sideHeaders are what the operation table lets up beside the headers that describe the object itself (objectFields).
func (x *exchange) sideHeaders() []upstream.Field {
	return x.forwarded(func(name string) bool {
		return x.req.Info.MayForward(name) && !contentHeaders[name] && !strings.HasPrefix(name, metaPrefix)
	})
}

// hoist adds the headers that a presigned URL carries in its query, once its signature has been verified. A query can hold
// what no header may, line breaks among it.
func (x *exchange) hoist() error {
	if x.auth.Kind != sigv4.Presigned {
		return nil
	}
	for _, p := range x.req.Hoisted() {
		if !head.IsToken(p.Name) || hasControl(p.Value) {
			return s3err.Argument("The value of a query parameter cannot stand in a header.", p.Name, p.Value)
		}
		if !x.head.Has(p.Name) {
			x.head.Fields = append(x.head.Fields, sigv4.Field{Name: p.Name, Value: p.Value})
		}
	}
	return nil
}

// checkAmzHeaders refuses x-amz-* headers that s3veil does not know where they may change what the request means.
func (x *exchange) checkAmzHeaders() error {
	var room [32]string
	names := room[:0]
	for i := range x.head.Fields {
		if name := x.head.Fields[i].Name; !strings.HasPrefix(name, "x-amz-checksum-") { // openPayload has words of its own for those
			names = append(names, name)
		}
	}
	if name := s3op.UnknownAmzHeader(x.req.Op, names); name != "" {
		return s3err.UnimplementedHeader(name)
	}
	return nil
}

// maxMetadata is S3's limit on user metadata: names without prefix plus values, in bytes.
const maxMetadata = 2048

// objectFields returns the headers that describe an object about to be written: content headers and user metadata, in
// the form in which they are stored and covered by the metadata MAC.
func (x *exchange) objectFields() ([]upstream.Field, error) {
	var out []upstream.Field
	for i := range x.head.Fields {
		name := x.head.Fields[i].Name
		if !contentHeaders[name] && !strings.HasPrefix(name, metaPrefix) || !x.head.FirstOf(i) {
			continue
		}
		switch {
		case strings.HasPrefix(name, metaPrefix+envelope.Prefix):
			return nil, s3err.InvalidArgument.With(errReservedMetadata)
		case strings.HasPrefix(name, metaPrefix):
			out = append(out, upstream.Field{Name: name, Value: x.head.Joined(name)})
		case name == "content-encoding":
			if v := withoutAWSChunked(x.head.Joined(name)); v != "" {
				out = append(out, upstream.Field{Name: name, Value: v})
			}
		case x.head.Get(name) != "":
			out = append(out, upstream.Field{Name: name, Value: x.head.Joined(name)})
		}
	}
	return withContentType(out), nil
}

// withContentType makes the content type explicit, because it is authenticated (FORMAT.md 6.1).
func withContentType(fields []upstream.Field) []upstream.Field {
	for i := range fields {
		if fields[i].Name == "content-type" {
			return fields
		}
	}
	return append(fields, upstream.Field{Name: "content-type", Value: "binary/octet-stream"})
}

// fitsMetadata checks the 2 KB limit with the envelope in it, before anything is sent.
func fitsMetadata(fields []upstream.Field, entry int) error {
	total := len(envelope.MetadataName) + entry
	for i := range fields {
		if name, ok := strings.CutPrefix(fields[i].Name, metaPrefix); ok {
			total += len(name) + len(fields[i].Value)
		}
	}
	if total > maxMetadata {
		return s3err.Metadata(total, maxMetadata)
	}
	return nil
}
