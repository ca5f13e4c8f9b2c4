package main

// Config is the configuration of a proxy. The comments below are its manual: docs/CONFIGURATION.md is made from them. A
// `default` tag is the value of a key that is left out.
type Config struct {
	// Address of the S3 endpoint. A changed address takes a restart.
	Listen string `yaml:"listen" default:"127.0.0.1:8080"`
	// Address of the admin endpoint (/metrics, /healthz, /readyz), or `off`. A changed address takes a restart.
	Admin string `yaml:"admin" default:"127.0.0.1:8081"`
	// File with a bearer token that /metrics, /status and /debug/pprof then ask for; for /status also the password of any user; the probes stay open.
	AdminTokenFile Path `yaml:"admin_token_file"`
	// Serves the Go profiler under /debug/pprof on the admin endpoint. Profiles can contain secrets from memory.
	AdminPprof bool `yaml:"admin_pprof" default:"false"`
	// Keeps the memory of the process out of swap (mlockall; Linux). Needs RLIMIT_MEMLOCK unlimited or CAP_IPC_LOCK, and does
	// not start without. Takes a restart.
	LockMemory bool `yaml:"lock_memory" default:"false"`
	// TLS of the S3 endpoint.
	TLS TLS `yaml:"tls"`
	// Names under which buckets are addressed virtual-host style (`bucket.s3.example.internal`).
	Domains []string `yaml:"domains"`
	// Networks (CIDR) of load balancers whose X-Forwarded-For and X-Forwarded-Proto count. X-Forwarded-Host never does.
	TrustProxies []string `yaml:"trust_proxies"`
	// Regions accepted in the scope of a client's signature; `"*"` any; left out: those of the upstreams. A client that makes a bucket in the region that it signs for makes it in the store's.
	Regions []string `yaml:"regions"`
	// The store named `default`.
	Upstream Upstream `yaml:"upstream"`
	// More stores, each with the keys of `upstream` and a name.
	Upstreams []NamedUpstream `yaml:"upstreams"`
	// Who may send requests, and what they may do.
	Clients []Client `yaml:"clients"`
	// The keys that wrap intermediate keys.
	KMS KMS `yaml:"kms"`
	// Bucket rules. The first entry whose name fits a bucket rules it; a bucket that fits none does not exist. Left out: one
	// entry `*` with the first key.
	Buckets []Bucket `yaml:"buckets"`
	// Suites of the object format.
	Format Format `yaml:"format"`
	// Reuse of intermediate keys.
	DEK DEK `yaml:"dek"`
	// Bounds of the process. They take a restart.
	Limits Limits `yaml:"limits"`
	// Operational log, on stderr.
	Log Log `yaml:"log"`
	// Audit log, one line per object.
	Audit Audit `yaml:"audit"`

	// Forward proxy for applications whose endpoint cannot be changed (LEGACY.md), or `off`.
	Forward Forward `yaml:"forward"`
	// OpenTelemetry traces of requests (OPERATIONS.md), or `off`.
	Trace Trace `yaml:"trace"`
}

// TLS is the server side of TLS; ALPN offers http/1.1 only.
type TLS struct {
	// Certificate chain in PEM. Certificate and key are read again when the files change.
	CertFile Path `yaml:"cert_file"`
	// Private key in PEM.
	KeyFile Path `yaml:"key_file"`
	// Certificate authorities of client certificates. When given, a client certificate is demanded on top of the signature.
	ClientCAFile Path `yaml:"client_ca_file"`
	// Lowest protocol version: `1.2` or `1.3`.
	MinVersion string `yaml:"min_version" default:"1.2"`
}

// Upstream is one store.
type Upstream struct {
	// Where the store is: `http(s)://host[:port]`.
	Endpoint string `yaml:"endpoint"`
	// Region that requests are signed for; `auto` asks for it per bucket.
	Region string `yaml:"region" default:"us-east-1"`
	// Puts the bucket into the path; `false` puts it into the host name.
	PathStyle bool `yaml:"path_style" default:"true"`
	// What requests to the store are signed with: keys, or the word `client` for the key of the client that the request comes
	// from, and for none where it comes unsigned. Left out: the AWS default chain (environment, profile, web identity, container, instance metadata).
	Credentials Credentials `yaml:"credentials"`
	// With `credentials: client`: what s3veil's own reads of the reserved prefix (manifests, upload states, bucket settings) and its
	// upload states are signed with, so that clients need no right to read there. Manifests and settings are written under the
	// client's key. Left out: everything is.
	ReservedCredentials Credentials `yaml:"reserved_credentials"`
	// How bodies are signed: `auto`, `trailer`, `chunks`, `hash`, `insecure_unsigned`.
	Payload string `yaml:"payload" default:"auto"`
	// Value of x-amz-server-side-encryption for a store that demands one. What the client sends never goes up.
	SSE string `yaml:"sse"`
	// Certificate authorities of the store, in place of the system's.
	CAFile Path `yaml:"ca_file"`
	// Client certificate shown to the store.
	ClientCertFile Path `yaml:"client_cert_file"`
	// Its private key.
	ClientKeyFile Path `yaml:"client_key_file"`
	// Accepts any certificate of the store. For experiments.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify" default:"false"`
	// HTTP proxy on the way to the store, `http://host:port`. HTTP_PROXY and HTTPS_PROXY are ignored on the data path.
	Proxy string `yaml:"proxy"`
	// Most requests to the store at a time; up to 64 of s3veil's own (manifests, settings, probes) come on top.
	MaxConns int `yaml:"max_conns" default:"512"`
	// How long an idle connection is kept. Shorter than the store's own limit.
	IdleTimeout Duration `yaml:"idle_timeout" default:"10s"`
	// Accept-Encoding sent to the store: `identity`, or `gzip` for Google Cloud Storage, which unpacks objects otherwise.
	AcceptEncoding string `yaml:"accept_encoding" default:"identity"`
	// Smallest plaintext part but the last; a Complete with a smaller one is answered EntityTooSmall.
	MinPart Size `yaml:"min_part" default:"5MiB"`
}

// NamedUpstream is an entry of upstreams.
type NamedUpstream struct {
	// Name by which bucket rules call it.
	Name     string `yaml:"name"`
	Upstream `yaml:",inline"`
}

// Credentials are static, or hints for the AWS default chain.
type Credentials struct {
	// Access key of static credentials.
	AccessKey string `yaml:"access_key"`
	// Secret key of static credentials.
	SecretKey Secret `yaml:"secret_key"`
	// Session token of static credentials.
	SessionToken Secret `yaml:"session_token"`
	// Profile of the shared AWS configuration files.
	Profile string `yaml:"profile"`
	// Role to assume with the credentials found.
	RoleARN string `yaml:"role_arn"`
}

// Client is one access key, or anonymous access.
type Client struct {
	// Access key; unique.
	AccessKey string `yaml:"access_key"`
	// Secret key.
	SecretKey Secret `yaml:"secret_key"`
	// Session token that every request of this client carries.
	SessionToken Secret `yaml:"session_token"`
	// Patterns of the buckets it may use: `*` any characters, `?` one.
	Buckets []string `yaml:"buckets"`
	// Key prefixes it is confined to; a LIST must ask for one inside them. Left out: every key.
	Prefixes []string `yaml:"prefixes"`
	// What it may do: `read`, `write`, `delete`, `admin`.
	Actions []string `yaml:"actions"`
	// Several triples of the three keys above, in their place.
	Rules []Rule `yaml:"rules"`
	// Networks (CIDR or address) it may come from. Left out: any.
	Sources []string `yaml:"sources"`
	// Accepts signature version 2 too, in headers, presigned URLs and forms, for programs that know no other: it covers neither
	// bodies nor most of the query.
	SigV2 bool `yaml:"sigv2" default:"false"`
	// In place of keys: opens what the rules say to unsigned requests.
	Anonymous bool `yaml:"anonymous" default:"false"`
}

// Rule allows actions on buckets and prefixes.
type Rule struct {
	// As in the client.
	Buckets []string `yaml:"buckets"`
	// As in the client.
	Prefixes []string `yaml:"prefixes"`
	// As in the client.
	Actions []string `yaml:"actions"`
}

// KMS names the keys and what happens while they cannot be reached.
type KMS struct {
	// The keys.
	Keys []KMSKey `yaml:"keys"`
	// How far one intermediate key goes before the KMS is asked for another (FORMAT.md 4.4).
	Cache KeyCache `yaml:"cache"`
	// What expired cached keys are good for while the KMS is away (FORMAT.md 4.4).
	Outage Outage `yaml:"outage"`
}

// KeyCache bounds the reuse of intermediate keys.
type KeyCache struct {
	// Oldest age of a cached key; at most 15m. A revocation takes effect after as much. Keys for writing are replaced when
	// two thirds of it are over, if not before.
	MaxAge Duration `yaml:"max_age" default:"15m"`
	// Most uses of a key for writing: objects, and uploads begun; at most 524288.
	MaxUses int `yaml:"max_uses" default:"524288"`
	// Most plaintext below one key for writing.
	MaxBytes Size `yaml:"max_bytes" default:"16TiB"`
	// Keys kept for reading.
	Entries int `yaml:"entries" default:"10000"`
}

// KMSKey is one key-encryption key.
type KMSKey struct {
	// Its id, which stands in envelopes: 1–64 characters of `A-Za-z0-9._-`. It can never be given to another key.
	ID string `yaml:"id"`
	// Who holds it; see KMS.md.
	Provider string `yaml:"provider"`
	// More names by which requests may call it: ids, ARNs, alias names.
	Aliases []string `yaml:"aliases"`
	// Key file of the provider `local`, made by `s3veil keys new`.
	File Path `yaml:"file" of:"local"`
	// Name of the key in its KMS: ARN, id, alias or resource name.
	Key string `yaml:"key" of:"awskms transit gcpkms azurekv pkcs11"`
	// URL of the KMS in place of the public one.
	Endpoint string `yaml:"endpoint" of:"awskms gcpkms azurekv"`
	// PEM file of CAs in place of the system's.
	CAFile  Path       `yaml:"ca_file" of:"awskms transit gcpkms azurekv"`
	AWSKMS  AWSKMSKey  `yaml:",inline" of:"awskms"`
	Transit TransitKey `yaml:",inline" of:"transit"`
	GCPKMS  GCPKey     `yaml:",inline" of:"gcpkms"`
	AzureKV AzureKey   `yaml:",inline" of:"azurekv"`
	PKCS11  PKCS11Key  `yaml:",inline" of:"pkcs11"`
}

// Outage is the policy while a KMS cannot be reached.
type Outage struct {
	// How long an expired key goes on serving reads; at most 24h. It outlives a revocation by as much.
	Read Duration `yaml:"read" default:"0s"`
	// `refuse`, or `cached`: writes go on with an expired key for the time of `read`.
	Write string `yaml:"write" default:"refuse"`
}

// Bucket is one bucket rule.
type Bucket struct {
	// Pattern of client-visible names.
	Name string `yaml:"name"`
	// Name of the store that holds it.
	Upstream string `yaml:"upstream" default:"default"`
	// Its name at the store; one `*` carries over what the first `*` of the name matched. Left out: the same name.
	StoreName string `yaml:"store_name"`
	// Realm of its keys; cannot be changed once objects exist. Left out: the client-visible name.
	Realm string `yaml:"realm"`
	// Bucket name that objects are bound to. Left out: the client-visible name.
	BoundName string `yaml:"bound_name"`
	// Bucket of the store that holds manifests and state. Left out: the bucket itself.
	ReservedBucket string `yaml:"reserved_bucket"`
	// Id of the key that wraps. Left out: the first of `kms.keys`.
	Key string `yaml:"key"`
	// Ids of the keys that objects may be under. Left out: `key` alone.
	Keys []string `yaml:"keys"`
	// What objects without an envelope are: `reject` is an error, `allow` passes them through while migrating.
	Plaintext string `yaml:"plaintext" default:"reject"`
	// What an object is bound to.
	Binding Binding `yaml:"binding"`
	// Metadata of objects.
	Metadata Metadata `yaml:"metadata"`
	// Manifests of multipart objects.
	Manifest Manifest `yaml:"manifest"`
	// Form of upload ids: `auto` (token up to 1,000 characters, state object above), `token`, `state`. With `state` the parts of an upload are remembered
	// too, as S3 does it: their checksums in ListParts, those of a Complete compared with them, CRC64NVME where none was declared, at one small write per
	// part (docs/OPERATIONS.md 12).
	UploadID string `yaml:"upload_id" default:"auto"`
	// `stream` releases packages as they are authenticated; `full` opens what a request asks for whole, up to
	// `limits.held_body`, so that damage is an error answer and never a broken connection. More than that is streamed.
	Verify string `yaml:"verify" default:"stream"`
	// Hides the lengths of single PUTs: up to 12 % of zeros behind the content, of which only O(log log n) bits of the length can be
	// told. Listings then want `listing: exact`.
	Padding bool `yaml:"padding" default:"false"`
	// Sizes in listings: `arithmetic` costs nothing and overstates multipart objects of parts that are no multiples of 64 KiB by
	// up to 32 bytes a part; `exact` asks for every object that is not cached, 64 at a time, and names the objects' checksum algorithms.
	Listing string `yaml:"listing" default:"arithmetic"`
	// Oldest creation time accepted of an object. Left out: any.
	MaxAge Duration `yaml:"max_age" default:"0s"`
	// Value of x-amz-server-side-encryption announced where no header asked for one, or `none`.
	SSE string `yaml:"sse" default:"AES256"`
	// Clients with `admin` may set the default encryption of the bucket (PutBucketEncryption) among `keys`. `false` leaves it
	// to this rule and spares a question to the store every few seconds.
	BucketEncryption bool `yaml:"bucket_encryption" default:"true"`
	// Refuses writes without an encryption header: 403 AccessDenied.
	RequireSSE bool `yaml:"require_sse" default:"false"`
	// Refuses requests that came without TLS, as S3 does under a policy with aws:SecureTransport: 403 AccessDenied.
	RequireTLS bool `yaml:"require_tls" default:"false"`
	// Objects of the Amazon S3 Encryption Client.
	Foreign Foreign `yaml:"foreign"`
}

// Binding is what an object is bound to (FORMAT.md 5.5).
type Binding struct {
	// Binding of new objects: `key`, `bucket`, `none`.
	Write string `yaml:"write" default:"key"`
	// Bindings accepted. Left out: `[key]`.
	Read []string `yaml:"read"`
}

// Metadata is the treatment of user metadata.
type Metadata struct {
	// What happens when the metadata MAC does not fit: `warn`, `fail`, `ignore`.
	Check string `yaml:"check" default:"warn"`
	// Keeps user metadata in the envelope, so that the store does not see it; about 1,100 bytes of it fit.
	Sealed bool `yaml:"sealed" default:"false"`
}

// Manifest is the treatment of manifests (FORMAT.md 9).
type Manifest struct {
	// When a manifest is missing: `strict` fails, `degraded` finds the parts by a walk that cannot notice a missing one.
	Policy string `yaml:"policy" default:"strict"`
	// Records the random value of every part, which notices exchanged parts.
	RecordNonce bool `yaml:"record_nonce" default:"false"`
}

// Format selects suites by number: 1 is AES-256-GCM, 2 is ChaCha20-Poly1305.
type Format struct {
	// Suite of new objects. In FIPS mode 1 only.
	Write int `yaml:"write" default:"1"`
	// Suites accepted. Left out: `[1, 2]`, in FIPS mode `[1]`.
	Read []int `yaml:"read"`
}

// DEK is the caching of intermediate keys.
type DEK struct {
	// `on`, or `off`: one KMS call per object and request and no reuse, so that the KMS's own log has a record of each.
	Cache string `yaml:"cache" default:"on"`
}

// Limits are the bounds of a process.
type Limits struct {
	// Body buffers of all streams, and documents above 16 KiB. Beyond: smaller buffers, then a wait, then 503 SlowDown. Left out and
	// with GOMEMLIMIT set: at most half of that.
	Memory Size `yaml:"memory" default:"64MiB"`
	// How long a request waits for memory.
	AdmissionWait Duration `yaml:"admission_wait" default:"2s"`
	// Bodies up to this size are held whole, so that they can be sent again; larger ones are streamed.
	HeldBody Size `yaml:"held_body" default:"1MiB"`
	// Client connections. Beyond: 503 SlowDown. Fewer where the process may open too few files for them and for those to the stores.
	Connections int `yaml:"connections" default:"16384"`
	// HEAD requests of one listing of a mixed bucket at a time; four times as many for all listings.
	ListHeads int `yaml:"list_heads" default:"64"`
	// KMS calls per second that one client can cause with unseen envelopes; with `dek.cache: off`, by reading at all. Beyond: 503 SlowDown.
	KMSMisses int `yaml:"kms_misses" default:"100"`
	// Time for the head of a request. Beyond: the connection is closed.
	HeadTimeout Duration `yaml:"head_timeout" default:"15s"`
	// Time between requests on a connection. Beyond: it is closed.
	IdleTimeout Duration `yaml:"idle_timeout" default:"120s"`
	// Time without any progress of a body. Beyond: 400 RequestTimeout where it can be said, else the connection is cut.
	StallTimeout Duration `yaml:"stall_timeout" default:"60s"`
	// Time from SIGTERM to the end, `drain_delay` included. What is left of running requests then is cut.
	Drain Duration `yaml:"drain" default:"25s"`
	// How long after SIGTERM new connections are still served, while readiness already fails: as long as balancers take to notice.
	DrainDelay Duration `yaml:"drain_delay" default:"5s"`
}

// Log is the operational log.
type Log struct {
	// `json` or `text`.
	Format string `yaml:"format" default:"json"`
	// Least level written: `debug`, `info`, `warn`, `error`.
	Level string `yaml:"level" default:"info"`
}

// Audit is the audit log.
type Audit struct {
	// `stdout`, `file`, `syslog` or `off`.
	To string `yaml:"to" default:"stdout"`
	// The file, for `to: file`. It is created with mode 0600 and opened anew after a reload, so that it can be rotated. No
	// other process may write to it.
	File Path `yaml:"file"`
	// The system log daemon, for `to: syslog`.
	Syslog AuditSyslog `yaml:"syslog"`
	// Each line holds the hash of the one before it, so that removed or changed lines are evident (`s3veil audit-log verify`).
	Chain bool `yaml:"chain" default:"true"`
	// While lines cannot be written: `continue` serves on, `refuse` answers 503. Readiness fails in both cases.
	OnFailure string `yaml:"on_failure" default:"continue"`
}

// AuditSyslog is where the system log daemon of audit lines is.
type AuditSyslog struct {
	// `local` (the daemon of this machine), `udp`, `tcp`, `unixgram` or `unix`.
	Network string `yaml:"network" default:"local"`
	// `host:port`, or the path of a socket. Left out for `local`: the usual sockets.
	Address string `yaml:"address"`
}

// Forward is the forward proxy: what HTTP_PROXY and HTTPS_PROXY of an application name.
type Forward struct {
	// Address of the forward port, 127.0.0.1:3128 by custom. Left out: off. A changed address takes a restart.
	Listen string `yaml:"listen"`
	// Certificate authority under which TLS to S3 hosts is terminated, made by `s3veil ca`. Clients have to trust it. Left
	// out: only plain HTTP can be intercepted, and TLS to S3 hosts is refused.
	CAFile Path `yaml:"ca_file"`
	// Its private key; no other user may read it.
	CAKeyFile Path `yaml:"ca_key_file"`
	// S3 hosts: names, which stand for their virtual-host style names too, with `*` for characters of one label, optionally
	// with a port; `aws` are the S3 names of AWS and none of its other services. Left out: `[aws]`.
	Hosts []string `yaml:"hosts"`
	// Other hosts: `tunnel`, or `deny`. S3 hosts of AWS that objects cannot be encrypted for are refused in both cases.
	Others string `yaml:"others" default:"tunnel"`
	// Where objects go: `upstream`, the stores of the bucket rules; or `host`, the S3 host that the client has asked for, with
	// the other settings of the bucket's upstream.
	To string `yaml:"to" default:"upstream"`
	// Networks (CIDR or address) that clients may come from, and the word `loopback`. Left out: `[loopback]`.
	AllowFrom []string `yaml:"allow_from"`
	// File with lines of `name:password`; clients then have to send one of them (Proxy-Authorization, Basic).
	UsersFile Path `yaml:"users_file"`
	// Ports that may be reached: `443`, `8000-8999`. Left out: 80, 443, and 1024 to 65535.
	ConnectPorts []string `yaml:"connect_ports"`
	// Networks that other hosts may not lie in, after resolution, and the word `private`. Link-local and metadata addresses,
	// and s3veil's own ports, are never reached; loopback only by clients that come over it.
	Deny []string `yaml:"deny"`
	// Networks of applications with credentials that s3veil cannot know (roles): access keys that are not among `clients`
	// are taken from there without a check of the signature. Whoever can send from there can do what `client` may do.
	InsecureAcceptAnySignatureFrom []string `yaml:"insecure_accept_any_signature_from"`
	// Access key of the entry of `clients` whose rules hold for those.
	Client string `yaml:"client"`
}
