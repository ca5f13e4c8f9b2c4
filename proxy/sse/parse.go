package sse

import (
	"crypto/md5"
	"encoding/base64"
	"strings"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
)

// Header looks a request header up by its lower-case name. Repeated headers come joined with commas, which no header of
// this package accepts.
type Header func(name string) (value string, ok bool)

// ParseWrite reads the headers of a request that makes an object: PutObject, POST forms, CreateMultipartUpload, the target
// of CopyObject. tls says whether the client's connection is encrypted. Errors are s3err.Error with S3's own words.
func ParseWrite(h Header, tls bool) (Request, error) {
	var r Request
	if err := RefusePlain(h, tls); err != nil {
		return r, err
	}
	value, named := h(HeaderType)
	if presents(h, &customerNames) {
		if named {
			return r, argument(textIncompatible, HeaderType, value)
		}
		key, err := parseKey(h, customerPrefix, true)
		if err != nil {
			return r, err
		}
		return Request{Type: Customer, Customer: key}, nil
	}
	switch {
	case !named:
	case value == "AES256":
		r.Type = S3
	case value == "aws:kms":
		r.Type = KMS
	case value == "aws:kms:dsse":
		return r, errDualLayer
	default:
		return r, argument(textMethod, HeaderType, value)
	}
	return r, r.parseKMS(h)
}

// parseKMS reads what belongs to aws:kms. As on S3, bucket-key-enabled may stand without it.
func (r *Request) parseKMS(h Header) error {
	var err error
	if value, ok := h(HeaderBucketKey); ok {
		if r.BucketKey, err = parseFlag(value); err != nil {
			return err
		}
	}
	r.KeyName, _ = h(HeaderKeyID)
	r.context, _ = h(HeaderContext)
	if r.Type != KMS {
		if r.KeyName != "" || r.context != "" {
			return argument(textNeedsKMS, HeaderType, orNull(r.Type.String()))
		}
		return nil
	}
	if len(r.KeyName) > maxKeyName {
		return notFound(r.KeyName[:maxKeyName])
	}
	if r.context != "" {
		r.Context, err = parseContext(r.context)
	}
	return err
}

// maxKeyName is the longest name of a KMS key (KMS API, GenerateDataKey).
const maxKeyName = 2048

func parseFlag(value string) (Flag, error) {
	switch strings.ToLower(value) {
	case "true":
		return On, nil
	case "false":
		return Off, nil
	}
	return Unset, argument(textFlag, HeaderBucketKey, value)
}

// parseContext reads base64 of a flat JSON object of strings, under the limits of FORMAT.md 5.3.
func parseContext(value string) (kms.Context, error) {
	text, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return nil, argument(textContext, HeaderContext, value).With(err)
	}
	pairs, err := envelope.ParsePairs(text)
	if err != nil {
		return nil, argument(textContext, HeaderContext, value).With(err)
	}
	return pairs, nil
}

// ParseCustomer reads the customer's key of a request that makes no object of its own: GetObject, HeadObject,
// GetObjectAttributes, UploadPart, CompleteMultipartUpload. nil is a request without one. As on S3, a key of the wrong
// length is no mistake here: it is the key of no object.
func ParseCustomer(h Header, tls bool) (*CustomerKey, error) {
	if err := RefusePlain(h, tls); err != nil || !presents(h, &customerNames) {
		return nil, err
	}
	return parseKey(h, customerPrefix, false)
}

// ParseSource reads the customer's key of the source of a copy, nil for none.
func ParseSource(h Header, tls bool) (*CustomerKey, error) {
	if err := RefusePlain(h, tls); err != nil || !presents(h, &sourceNames) {
		return nil, err
	}
	return parseKey(h, sourcePrefix, false)
}

// RefuseType refuses x-amz-server-side-encryption where S3 does: the type of an object is fixed when it is made.
func RefuseType(h Header) error {
	if value, ok := h(HeaderType); ok {
		return argument(textUnsupported, HeaderType, value)
	}
	return nil
}

// RefusePlain refuses a customer's key, or any part of one, on a connection that is not encrypted.
func RefusePlain(h Header, tls bool) error {
	if !tls && (presents(h, &customerNames) || presents(h, &sourceNames)) {
		return errInsecure
	}
	return nil
}

// Secret reports whether a header, by its lower-case name, carries a customer's key.
func Secret(name string) bool {
	return name == customerPrefix+"key" || name == sourcePrefix+"key"
}

// presents reports whether any of the three headers of a customer's key is there. Every request asks, so the names are not
// put together each time.
func presents(h Header, names *[3]string) bool {
	for _, name := range names {
		if _, ok := h(name); ok {
			return true
		}
	}
	return false
}

var (
	customerNames = [3]string{customerPrefix + "algorithm", customerPrefix + "key", customerPrefix + "key-md5"}
	sourceNames   = [3]string{sourcePrefix + "algorithm", sourcePrefix + "key", sourcePrefix + "key-md5"}
)

// parseKey checks in the order of S3: algorithm, presence, MD5, length.
func parseKey(h Header, prefix string, strict bool) (*CustomerKey, error) {
	algorithm, ok := h(prefix + "algorithm")
	switch {
	case !ok || algorithm == "":
		return nil, argument(textAlgorithm, HeaderType, "null")
	case algorithm != "AES256":
		return nil, errAlgorithm.Field("ArgumentName", HeaderType).Field("ArgumentValue", algorithm)
	}
	text, _ := h(prefix + "key")
	if text == "" {
		return nil, argument(textNoKey, HeaderType, "null")
	}
	sum, _ := h(prefix + "key-md5")
	if sum == "" {
		return nil, argument(textNoMD5, HeaderType, "null")
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, argument(textKey, HeaderType, "null")
	}
	defer clear(raw)
	if want := md5.Sum(raw); base64.StdEncoding.EncodeToString(want[:]) != sum {
		return nil, argument(textMD5, HeaderType, "null")
	}
	key := &CustomerKey{&material{sum: sum}}
	if copy(key.key[:], raw) != len(key.key) || len(raw) != len(key.key) {
		if strict {
			key.Zero()
			return nil, argument(textKey, HeaderType, "null")
		}
		key.Zero()
	}
	return key, nil
}

func orNull(s string) string {
	if s == "" {
		return "null"
	}
	return s
}
