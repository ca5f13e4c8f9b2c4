// Package sigv4 signs and verifies AWS Signature Version 4, and verifies SigV4A and, for clients that may use it, version 2: headers, presigned queries, POST policies, and the chunked
// payloads with their signatures and trailers. It knows no formats, no XML and no status codes: verification failures are
// typed errors that name their S3 code. Source: the "Authenticating Requests (AWS Signature Version 4)" pages of the S3 API
// reference.
//
// One [Verifier] serves every handler: a request is authenticated by its header, by its query, by the fields of a POST
// form, or it is anonymous, and nothing is decided on the mere presence of a header. The reader of the body is built from
// the [Verified] that results ([NewPayload]), so a payload mode cannot be taken from anywhere else.
//
// The reading of a request target is fixed here and must be that of the routing: a path is percent-decoded once and "+"
// in it is a plus sign; in a query "+" is a space.
package sigv4

import (
	"time"
)

// Field is one request header as received; Name is in lower case.
type Field struct{ Name, Value string }

// Request is the view of a request that signatures need. Everything is as it stood on the wire. Nothing of it is kept
// after a call returns, so the strings may point into buffers that are reused.
type Request struct {
	Method string
	Path   string // raw path, not decoded, not cleaned; at least "/"
	Query  string // raw query without "?"
	Host   string // what routing goes by; it is signed in place of a host header
	// HostBucket is the bucket that Host names, empty in path style; signature version 2 covers it.
	HostBucket string
	Header     []Field // in order of arrival, repeated ones included, "host" and "content-length" too
}

// PayloadMode is what x-amz-content-sha256 announces.
type PayloadMode int

// The payload modes. Absent stands for presigned and anonymous requests without the header.
const (
	PayloadHash PayloadMode = iota // 64 hex digits
	PayloadUnsigned
	PayloadAbsent
	PayloadSignedChunks          // STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD
	PayloadSignedChunksTrailer   // the same with -TRAILER
	PayloadUnsignedChunksTrailer // STREAMING-UNSIGNED-PAYLOAD-TRAILER
)

// Chunked reports whether the body is framed as aws-chunked. x-amz-content-sha256 alone decides; some clients leave
// Content-Encoding out.
func (m PayloadMode) Chunked() bool { return m >= PayloadSignedChunks }

// Kind says how a request was authenticated.
type Kind int

// The kinds of authentication.
const (
	Anonymous Kind = iota // neither header nor query credentials
	Header
	Presigned
	Post // fields of a POST form
)

// Verified is the result of a successful verification.
type Verified struct {
	Kind      Kind
	AccessKey string
	Time      time.Time // x-amz-date
	Region    string    // of the scope
	Payload   PayloadMode
	Hash      [32]byte // for PayloadHash
	// Claim is what stands in the digest's place where it is none: for PayloadHash without credentials only. No body has it.
	Claim string
	// Unverified says that the access key is unknown and its signature was taken as it is (Verifier.AnyUnknownKey). Digests
	// and checksums of the body are verified all the same.
	Unverified bool
	chunk      chunkChecker
}

// Verifier checks signatures. Lookup, Region and Now must be set. It is safe for concurrent use and must not be copied.
type Verifier struct {
	// Lookup returns the credential of an access key. The string is only valid during the call.
	Lookup func(accessKey string) (Credential, bool)
	// Region reports whether a scope's region is accepted; Expected is what AuthorizationHeaderMalformed names.
	Region   func(region string) bool
	Expected string
	Now      func() time.Time
	MaxSkew  time.Duration // 15 minutes when zero
	// AnyUnknownKey accepts requests of access keys that Lookup does not know without a check of the signature. Insecure: for
	// networks where only those come from who may.
	AnyUnknownKey bool

	keys   keyring
	public publicKeys
}

// Limits of S3.
const (
	defaultSkew = 15 * time.Minute
	maxExpires  = 7 * 24 * 60 * 60 // seconds
)

func (v *Verifier) skew() time.Duration {
	if v.MaxSkew == 0 {
		return defaultSkew
	}
	return v.MaxSkew
}
