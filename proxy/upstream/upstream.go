// Package upstream talks to one S3 store: connections, signatures, payload modes, retries (DATAPATH.md 7). It knows
// nothing of formats and nothing of the client's request.
package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
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

// Credentials supplies what requests to the store are signed with.
type Credentials interface {
	// Retrieve returns the current credential. After Expired reports a refusal the next Retrieve must renew it.
	Retrieve(ctx context.Context) (sigv4.Credential, error)
	Expired()
}

// PayloadMode is upstream.payload of the configuration.
type PayloadMode int

// The payload modes of DATAPATH.md 7.1.
const (
	Auto PayloadMode = iota
	Trailer
	Chunks
	Hash
	InsecureUnsigned
)

// Options configure a Client; zero values mean the defaults of DESIGN.md 6.1 and 6.3.
type Options struct {
	Name                                     string // of the upstream, for metrics and logs
	Endpoint                                 string // http(s)://host[:port]
	Region                                   string // "auto" asks per bucket
	PathStyle                                bool
	Credentials                              Credentials
	Payload                                  PayloadMode
	TLS                                      *tls.Config
	MaxConns                                 int
	IdleTimeout                              time.Duration
	Dial, Handshake, Answer, PoolWait, Stall time.Duration
	AcceptEncoding                           string
	Proxy                                    string // http://host:port for upstream.proxy
	Logger                                   *slog.Logger
	Observe                                  func(Event) // may be nil
	Now                                      func() time.Time
}

// Event is one exchange or state change, for metrics. Kind: "request", "retry", "clock", "conns".
type Event struct {
	Kind        string
	Code        int
	Seconds     float64
	Offset      time.Duration
	InUse, Idle int
}

// Body is an outgoing request body of known length. It is asked again only when Replay returns true.
type Body interface {
	// Len is the number of bytes that WriteTo will write.
	Len() int64
	// WriteTo writes the body in large writes. An error makes the client close the connection with the declared
	// length unfulfilled, so that nothing becomes visible at the store, and is returned by Do as it is.
	WriteTo(w io.Writer) (int64, error)
	// Replay reports whether WriteTo can run again from the start.
	Replay() bool
}

// Bytes is a replayable body in memory.
type Bytes []byte

// Request is one request to the store.
type Request struct {
	Op     string // S3 name, for logs
	Method string
	Bucket string // the store's name; empty for ListBuckets
	Key    string // decoded
	Query  []Param
	Header []Field
	Body   Body // nil for none
	// Unsigned sends the request without a signature (CORS preflight).
	Unsigned bool
	// Idempotent allows retries where Body is nil or replayable.
	Idempotent bool
	// Timeout for the answer; the default when zero. Copy and Complete have 30 minutes.
	Timeout time.Duration
}

// Response is the store's answer. Body must be closed; closing before its end closes the connection.
type Response struct {
	Status        int
	Header        []Field // names in lower case, as received otherwise
	ContentLength int64   // -1 when the store did not declare one; 0 body for HEAD, but the header's value is kept here
	Body          io.ReadCloser
}

// Get returns the first value of a header by lower-case name.
func (r *Response) Get(name string) string { panic("stub") }

// The errors of a Client. ErrUnavailable covers dial, time-out and connection failures; ErrRefused is a store that does not
// accept s3veil's own signature, token, clock or region; ErrBusy is a full pool.
var (
	ErrUnavailable = errors.New("upstream: unavailable")
	ErrRefused     = errors.New("upstream: refuses s3veil's own credentials")
	ErrBusy        = errors.New("upstream: no connection free")
)

// Client is safe for concurrent use.
type Client struct{ _ int }

// New returns a client; it does not connect.
func New(o Options) (*Client, error) { panic("stub") }

// Do sends a request. An answer of any status is a Response, not an error, except those behind ErrRefused. A store that
// answers before it has read the body is heard at once (DATAPATH.md rule 10).
func (c *Client) Do(ctx context.Context, r *Request) (*Response, error) { panic("stub") }

// Pair reserves two connections at once for a streamed copy, or none.
func (c *Client) Pair(ctx context.Context) (release func(), err error) { panic("stub") }

// Health asks the store for any answer below 500.
func (c *Client) Health(ctx context.Context) error { panic("stub") }

// Close drops idle connections.
func (c *Client) Close() { panic("stub") }
