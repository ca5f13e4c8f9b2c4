// Package sigv4 signs and verifies AWS Signature Version 4: headers, presigned queries, POST policies, and the chunked
// payloads with their signatures and trailers. It knows no formats, no XML and no status codes: verification failures are
// typed errors that name their S3 code. Source: the "Authenticating Requests (AWS Signature Version 4)" pages of the S3 API
// reference.
package sigv4

import (
	"time"
)

// Field is one request header as received; Name is in lower case.
type Field struct{ Name, Value string }

// Request is the view of a request that signatures need. Everything is as it stood on the wire.
type Request struct {
	Method string
	Path   string // raw path, not decoded, not cleaned; at least "/"
	Query  string // raw query without "?"
	Host   string
	Header []Field // in order of arrival, repeated ones included, "host" and "content-length" too
}

// Secret is a secret access key; it cannot print itself.
type Secret string

// Credential is a key pair with an optional session token.
type Credential struct {
	AccessKey    string
	Secret       Secret
	SessionToken string
}

// PayloadMode is what x-amz-content-sha256 announces.
type PayloadMode int

// The payload modes. Absent stands for presigned and anonymous requests without the header.
const (
	PayloadHash PayloadMode = iota // 64 hex digits
	PayloadUnsigned
	PayloadAbsent
	PayloadSignedChunks          // STREAMING-AWS4-HMAC-SHA256-PAYLOAD
	PayloadSignedChunksTrailer   // STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER
	PayloadUnsignedChunksTrailer // STREAMING-UNSIGNED-PAYLOAD-TRAILER
)

// Kind says how a request was authenticated.
type Kind int

// The kinds of authentication.
const (
	Anonymous Kind = iota // neither header nor query credentials
	Header
	Presigned
)

// Verified is the result of a successful verification.
type Verified struct {
	Kind      Kind
	AccessKey string
	Time      time.Time // x-amz-date
	Region    string    // of the scope
	Payload   PayloadMode
	Hash      [32]byte // for PayloadHash
	chunk     chunkSigner
}

// Verifier checks signatures. Lookup, Region and Now must be set.
type Verifier struct {
	// Lookup returns the credential of an access key.
	Lookup func(accessKey string) (Credential, bool)
	// Region reports whether a scope's region is accepted; Expected is what AuthorizationHeaderMalformed names.
	Region   func(region string) bool
	Expected string
	Now      func() time.Time
	MaxSkew  time.Duration // 15 minutes when zero
}

// Error is a verification failure with the S3 error code that answers it.
type Error struct {
	Code   string // for example "SignatureDoesNotMatch"
	Reason string // for the operator
	Region string // expected region, for AuthorizationHeaderMalformed
}

func (e *Error) Error() string { return "sigv4: " + e.Code + ": " + e.Reason }

type chunkSigner struct{ _ int }

// Verify authenticates a request. A request without any credentials is Anonymous, not an error. Header and query
// credentials together, SigV2, SigV4A and unknown algorithms are errors.
func (v *Verifier) Verify(r *Request) (*Verified, error) { panic("stub") }

// Signer signs requests to a store, with a cache of derived keys. It is safe for concurrent use.
type Signer struct{ _ int }

// Sign adds Authorization, X-Amz-Date and X-Amz-Security-Token to the request's headers and returns what chunk signatures
// continue from. payload is the value of x-amz-content-sha256, which is added too. All headers of r are signed except
// those that proxies may change.
func (s *Signer) Sign(r *Request, cred Credential, region, service, payload string, now time.Time) (ChunkSeed, error) {
	panic("stub")
}

// ChunkSeed starts a chain of chunk signatures for an outgoing body.
type ChunkSeed struct{ _ int }

// Next returns the hex signature of the next chunk.
func (c *ChunkSeed) Next(chunk []byte) string { panic("stub") }
