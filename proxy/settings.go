package proxy

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"s3veil/crypto/envelope"
	"s3veil/crypto/stream"
	"s3veil/keycache"
	"s3veil/proxy/audit"
	"s3veil/proxy/forward"
	"s3veil/proxy/policy"
	"s3veil/proxy/upstream"
	"s3veil/sigv4"
)

// Settings are what a reload can change. They are plain values: the proxy copies what it keeps.
type Settings struct {
	Domains      []string       // virtual-host style names of this endpoint
	Regions      []string       // regions accepted in a credential scope; "*" any; empty: those of the upstreams
	TrustProxies []netip.Prefix // networks whose X-Forwarded-For and -Proto count
	Upstreams    []Upstream     // one of them is named "default"
	Clients      []Client
	Forward      *forward.Options // of the forward port; nil: off
	Buckets      []Bucket         // the first entry whose Name fits a bucket rules it
	KEKs         []keycache.KEK
	Cache        keycache.Options // KEKs, Now and Observe are set here; what keycache.Cache.Configure cannot change stays as at the start
	// Families maps a configured key id to the kids it stands for; the first one wraps.
	Families map[string][]string
	// Aliases maps further names by which requests may call a key to its configured id: alias names, key ids and ARNs.
	Aliases map[string]string
	// Write is the suite of new objects, Read lists those accepted (format.write, format.read).
	Write stream.Suite
	Read  []stream.Suite
	// Tracing of requests; nil: off.
	Tracing *Tracing
}

// Upstream is one store.
type Upstream struct {
	upstream.Options
	SSE string // x-amz-server-side-encryption for stores that demand one; empty: none
	// ClientCredentials signs with the key of the client that a request comes from, in place of Credentials.
	ClientCredentials bool
	// OwnCredentials sign what s3veil reads of its own where ClientCredentials is set; nil leaves that to the client's too.
	OwnCredentials upstream.Credentials
	MinPart        int64 // smallest plaintext size of parts but the last, 5 MiB when zero
}

// Client is one access key, or anonymous access, with what it may do.
type Client struct {
	Credential sigv4.Credential
	Anonymous  bool // rules for unsigned requests; Credential is empty
	Policy     policy.Client
}

// MetadataCheck is the policy for a metadata MAC that does not fit (FORMAT.md 6.2).
type MetadataCheck int

// The policies of FORMAT.md 6.2.
const (
	MetadataWarn MetadataCheck = iota
	MetadataFail
	MetadataIgnore
)

// UploadIDForm is the form of upload ids that CreateMultipartUpload returns (FORMAT.md 9.1).
type UploadIDForm int

// The forms of FORMAT.md 9.1. UploadIDAuto is a token up to 1,000 characters and a state object above.
const (
	UploadIDAuto UploadIDForm = iota
	UploadIDToken
	UploadIDState
)

// Bucket is one bucket rule. Empty strings mean the default named in the comment.
type Bucket struct {
	Name           string // pattern of client-visible names
	Upstream       string // "default"
	StoreName      string // the same name; one * carries over what * of Name matched
	Realm          string // the client-visible name
	BoundName      string // the client-visible name
	ReservedBucket string // store's name of the bucket that holds manifests; the data bucket
	Key            string // configured id of the key that wraps
	Keys           []string
	AllowPlaintext bool
	BindingWrite   envelope.Binding
	BindingRead    []envelope.Binding // {BindKey}
	Metadata       MetadataCheck
	SealMetadata   bool
	Degraded       bool // manifest.policy: degraded
	RecordNonce    bool
	UploadID       UploadIDForm
	VerifyFull     bool // windows up to Limits.HeldBody are opened whole before the head of the answer
	Padding        bool
	ListExact      bool          // listings look into the part tables of multipart objects
	MaxAge         time.Duration // oldest creation time accepted; zero: any
	Foreign        *Foreign      // nil: objects of the S3 Encryption Client are plaintext
	SSE            string        // announced where no header asked: "AES256"
	RequireSSE     bool
	RequireTLS     bool
	// NoBucketEncryption leaves the default encryption to this rule: what clients could set of it is neither kept nor read.
	NoBucketEncryption bool
}

// Limits are the fixed bounds of a process (docs/CONFIGURATION.md); zero values mean the defaults.
type Limits struct {
	Memory        int64 // 64 MiB of body buffers
	AdmissionWait time.Duration
	HeldBody      int64 // 1 MiB
	Connections   int   // 16,384
	RequestHead   int   // 16 KiB
	ListHeads     int   // 64 per request; four times that in all
	ListHeadsAll  int
	HeadTimeout   time.Duration // 15 s
	IdleTimeout   time.Duration // 120 s
	StallTimeout  time.Duration // 60 s
	ClockSkew     time.Duration // 15 min
}

// Options are fixed for the life of a Server.
type Options struct {
	Limits Limits
	Log    *slog.Logger // slog.Default when nil
	Audit  audit.Sink   // nil: off
	// AuditRequired refuses requests with 503 while audit lines cannot be written.
	AuditRequired bool
	// Registerer takes the metrics, nil for none; Version goes into build_info.
	Registerer prometheus.Registerer
	Version    string
	Now        func() time.Time // time.Now when nil

	restAfter time.Duration // conn.Options.Rest; only tests set it
}
