// Package upstream talks to one S3 store: connections, signatures, payload modes, retries (DATAPATH.md 7). It knows
// nothing of formats and nothing of the client's request.
//
// A request passes these stations: the region of its bucket is looked up, the payload mode chosen, a slot of the
// connection limit taken, head and body written while the answer is already awaited, and the answer judged: refusals of
// s3veil's own credentials, redirects and passing failures are dealt with here, everything else is the caller's.
package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"syscall"
	"time"

	"s3veil/sigv4"
)

// Field is one header; Name is in lower case.
type Field = sigv4.Field

// Param is one decoded query parameter; Bare ones are sent without "=".
type Param struct {
	Name, Value string
	Bare        bool
}

// Credentials supplies what requests to the store are signed with. A value that also has Unsigned(context.Context) bool can
// leave requests without a signature.
type Credentials interface {
	// Retrieve returns the current credential. After Expired reports a refusal the next Retrieve must renew it.
	Retrieve(ctx context.Context) (sigv4.Credential, error)
	Expired()
}

// PayloadMode is upstream.payload of the configuration.
type PayloadMode int

// The payload modes of DATAPATH.md 7.1. They apply to objects and parts above 16 KiB; everything below carries one
// SHA-256, and so does the body of every other operation.
const (
	// Auto asks the store once and becomes Trailer or Chunks.
	Auto PayloadMode = iota
	// Trailer is STREAMING-UNSIGNED-PAYLOAD-TRAILER with a CRC64NVME.
	Trailer
	// Chunks is STREAMING-AWS4-HMAC-SHA256-PAYLOAD.
	Chunks
	// Hash is one SHA-256 in advance. It needs a second pass: bodies that cannot replay go as Chunks.
	Hash
	// InsecureUnsigned is UNSIGNED-PAYLOAD: nothing tells the store that a body was cut off but its length.
	InsecureUnsigned
)

// String returns the word of the configuration.
func (m PayloadMode) String() string {
	names := [...]string{"auto", "trailer", "chunks", "hash", "insecure_unsigned"}
	if m < 0 || int(m) >= len(names) {
		return "unknown"
	}
	return names[m]
}

// ChecksumAlgorithm is what Trailer sends. CreateMultipartUpload has to announce it (x-amz-checksum-algorithm) where
// Client.Mode is Trailer, and CompleteMultipartUpload then has to repeat each part's value from ListParts.
const ChecksumAlgorithm = "CRC64NVME"

const checksumHeader = "x-amz-checksum-crc64nvme"

// Options configure a Client; zero values mean the defaults of docs/CONFIGURATION.md.
type Options struct {
	Name      string // of the upstream, for metrics and logs
	Endpoint  string // http(s)://host[:port]
	Region    string // us-east-1 when empty; "auto" asks per bucket
	PathStyle bool   // else the bucket goes before the host, except dotted names over TLS and when the host is an address
	// Credentials may be nil: every request goes unsigned.
	Credentials Credentials
	Payload     PayloadMode
	TLS         *tls.Config // for https; at least TLS 1.2 in any case
	// MaxConns is the number of exchanges at once, 512 when zero and 2 at least.
	MaxConns    int
	IdleTimeout time.Duration // 10 s
	// Dial (5 s), Handshake (10 s) and Answer (60 s, from the last byte of the request to the head of the answer) limit
	// phases, PoolWait (10 s) the wait for a slot, Stall (60 s) the time without a byte moving in a body.
	Dial, Handshake, Answer, PoolWait, Stall time.Duration
	AcceptEncoding                           string // identity when empty
	Proxy                                    string // http://[user:password@]host:port for upstream.proxy
	// Control sees each address before it is dialled, after resolution (net.Dialer.Control); an error forbids it. Nil allows
	// all. With Proxy it sees the proxy's.
	Control func(network, address string, c syscall.RawConn) error
	Logger  *slog.Logger
	Observe func(Event) // may be nil; called from many goroutines, must not block
	Now     func() time.Time
}

// Event is one exchange or state change, for metrics. Kind: "request" (Code and Seconds; Code is 0 where no answer
// came), "retry" (Code of what is retried), "clock" (Offset of the store's clock from ours), "conns" (InUse, Idle).
type Event struct {
	Kind        string
	Code        int
	Seconds     float64
	Offset      time.Duration
	InUse, Idle int
	Context     context.Context // of "request": the one that Do was called with; not to be kept
}

// Body is an outgoing request body of known length. It is asked again only when Replay returns true.
type Body interface {
	// Len is the number of bytes that WriteTo will write.
	Len() int64
	// WriteTo writes the body in large writes. An error makes the client close the connection with the declared
	// length unfulfilled, so that nothing becomes visible at the store, and is returned by Do as it is. Writes of
	// 16 KiB and more are not copied; w must not be used after WriteTo has returned.
	WriteTo(w io.Writer) (int64, error)
	// Replay reports whether WriteTo can run again from the start.
	Replay() bool
}

// Bytes is a replayable body in memory.
type Bytes []byte

// Len returns the number of bytes.
func (b Bytes) Len() int64 { return int64(len(b)) }

// WriteTo writes all bytes at once.
func (b Bytes) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(b)
	return int64(n), err
}

// Replay returns true.
func (b Bytes) Replay() bool { return true }

// Request is one request to the store.
type Request struct {
	Op     string // S3 name, for logs
	Method string
	Bucket string // the store's name; empty for ListBuckets
	Key    string // decoded
	Query  []Param
	// Header must not hold what the client sets itself: framing, connection, signature and payload headers. A
	// content-encoding is that of the object.
	Header []Field
	Body   Body // nil for none
	// Unsigned sends the request without a signature (CORS preflight).
	Unsigned bool
	// Idempotent allows retries where Body is nil or replayable. A caller that sends If-None-Match leaves it false: the
	// second try could answer 412 to what the first has done.
	Idempotent bool
	// Timeout for the answer; the default when zero. Copy and Complete have 30 minutes.
	Timeout time.Duration
}

// Response is the store's answer. Body must be closed; closing before its end closes the connection.
type Response struct {
	Store, Op     string // Options.Name and the request's Op, for logs
	Status        int
	Header        []Field // names in lower case, as received otherwise
	ContentLength int64   // -1 when the store did not declare one; 0 body for HEAD, but the header's value is kept here
	// Body ends with io.EOF only where the answer's framing says so: a declared length not reached is an ErrUnavailable
	// that wraps neither io.EOF nor io.ErrUnexpectedEOF, and stays. An answer of ContentLength -1 may be delimited by
	// the end of the connection, which is no proof of completeness.
	Body io.ReadCloser
}

// Get returns the first value of a header by lower-case name.
func (r *Response) Get(name string) string {
	for i := range r.Header {
		if r.Header[i].Name == name {
			return r.Header[i].Value
		}
	}
	return ""
}

// The errors of a Client. ErrUnavailable covers dial, time-out and connection failures; ErrRefused is a store that does not
// accept s3veil's own signature, token, clock or region; ErrBusy is a full pool.
var (
	ErrUnavailable = errors.New("upstream: unavailable")
	ErrRefused     = errors.New("upstream: refuses s3veil's own credentials")
	ErrBusy        = errors.New("upstream: no connection free")
)

// Refusal is the ErrRefused that names the store's reason.
type Refusal struct {
	Status int
	Code   string // the store's error code
}

func (e *Refusal) Error() string { return ErrRefused.Error() + ": " + e.Code }

// Unwrap returns ErrRefused.
func (e *Refusal) Unwrap() error { return ErrRefused }
