// Package sse is what requests say about server-side encryption: the headers in, the choice of a key, the headers out. It
// is pure: no HTTP, no store, no KMS. Sources: the request and response syntax of the S3 API reference, "Protecting data
// with server-side encryption" of the S3 user guide, FORMAT.md 4.5, 5.3 and 5.4.
//
// ParseWrite reads a request that makes an object, Choose joins it with the bucket's default and rules into a Choice, and
// State.Headers writes the answer. Requests that only name a customer's key are read by ParseCustomer and ParseSource.
package sse

import "s3veil/crypto/kms"

// The request headers, in lower case. The answer has the same names.
const (
	HeaderType      = "x-amz-server-side-encryption"
	HeaderKeyID     = "x-amz-server-side-encryption-aws-kms-key-id"
	HeaderContext   = "x-amz-server-side-encryption-context"
	HeaderBucketKey = "x-amz-server-side-encryption-bucket-key-enabled"

	customerPrefix = "x-amz-server-side-encryption-customer-"
	sourcePrefix   = "x-amz-copy-source-server-side-encryption-customer-"
)

// Type is a kind of server-side encryption.
type Type byte

// The types. None is a request or a bucket that says nothing.
const (
	None     Type = iota
	S3            // SSE-S3, "AES256"
	KMS           // SSE-KMS, "aws:kms"
	Customer      // SSE-C
)

// String returns the name for audit lines: AES256, aws:kms, SSE-C, or nothing.
func (t Type) String() string {
	switch t {
	case S3:
		return "AES256"
	case KMS:
		return "aws:kms"
	case Customer:
		return "SSE-C"
	}
	return ""
}

// Flag is a header that is true, false or absent.
type Flag byte

// The values of a Flag.
const (
	Unset Flag = iota
	On
	Off
)

// Request is what a request that makes an object says about its encryption. The zero value says nothing.
type Request struct {
	Type      Type
	KeyName   string       // KMS: as sent; empty for the bucket's
	Context   kms.Context  // KMS: the client's pairs, nil for none
	BucketKey Flag         // KMS
	Customer  *CustomerKey // Customer
	context   string       // as sent, for the answer
}

// Default is a bucket's own default encryption (PutBucketEncryption). The zero value is a bucket without one.
type Default struct {
	Type          Type   // None, S3 or KMS
	KeyName       string // KMS: as set, resolved when an object is written; empty for the bucket's key
	BucketKey     bool   // KMS
	BlockCustomer bool   // writes under a customer's key are refused
}

// Rules are what the configuration says of a bucket.
type Rules struct {
	Key     string   // configured id of the key that wraps where nothing else is named
	Keys    []string // configured ids that requests may name; empty: Key alone
	Require bool     // requests must name an encryption
}

// Choice is how a new object is encrypted.
type Choice struct {
	Type      Type         // None: nobody asked
	KeyID     string       // configured id; empty for Customer
	Context   kms.Context  // pairs for the envelope (FORMAT.md 5.3, b6), nil for none
	BucketKey bool         // recorded and repeated in answers
	OwnKey    bool         // the client wants no intermediate key that serves other objects too
	Customer  *CustomerKey // Customer
	context   string
}

// The values of TLV 80 (FORMAT.md 5.4).
const (
	askedS3        byte = 0x01
	askedKMS       byte = 0x02
	askedBucketKey byte = 0x80
)

// Asked is TLV 80 of the object's envelope, nil for nothing: what every later answer repeats. Objects under a customer's
// key have none, their kid tells.
func (c *Choice) Asked() *byte {
	var asked byte
	switch c.Type {
	case S3:
		asked = askedS3
	case KMS:
		asked = askedKMS
		if c.BucketKey {
			asked |= askedBucketKey
		}
	default:
		return nil
	}
	return &asked
}

// Field is an answer header.
type Field struct{ Name, Value string }
