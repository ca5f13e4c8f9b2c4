// Package gcpkms wraps intermediate keys under a symmetric key of Google Cloud KMS (FORMAT.md B.2).
//
// The canonical encryption context (FORMAT.md 4.3) goes in as additional authenticated data. CRC32C sums of everything that
// travels are sent and checked in both directions, as the API reference asks for: a sum that does not fit is
// kms.ErrUnavailable, and the call is tried again.
//
// Two methods of the REST API (cloudkms v1, cryptoKeys.encrypt and cryptoKeys.decrypt) are all that is needed, so the package
// speaks HTTP itself with credentials of golang.org/x/oauth2/google. The client library is made for gRPC and brings about
// forty modules; the generated REST client brings most of them too.
package gcpkms

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"hash/crc32"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"s3veil/crypto/kms"
)

// DefaultEndpoint is the public API.
const DefaultEndpoint = "https://cloudkms.googleapis.com"

// Options say which key is used and by whom. Key alone is needed.
type Options struct {
	Key             string      // that Health checks: projects/P/locations/L/keyRings/R/cryptoKeys/K
	Endpoint        string      // origin in place of DefaultEndpoint: https, or http to this machine
	CredentialsFile string      // JSON in place of the application default credentials; read at the first call
	TLS             *tls.Config // for the endpoint; nil for the system's certificate authorities
}

// Provider wraps under keys of Cloud KMS. It is safe for concurrent use.
type Provider struct {
	key      string
	endpoint string
	http     *http.Client
	login    *login
}

var (
	_ kms.Provider  = (*Provider)(nil)
	_ kms.Rewrapper = (*Provider)(nil)
)

// keyName is the resource name of a key. A key version would wrap, but not unwrap.
var keyName = regexp.MustCompile(`^projects/[a-z0-9.:-]+/locations/[a-z0-9-]+/keyRings/[A-Za-z0-9_-]+/cryptoKeys/[A-Za-z0-9_-]+$`)

// New checks the options. It opens no connection and reads no credentials.
func New(o Options) (*Provider, error) {
	if !keyName.MatchString(o.Key) {
		return nil, fmt.Errorf("gcpkms: %q is not projects/P/locations/L/keyRings/R/cryptoKeys/K", o.Key)
	}
	if o.Endpoint == "" {
		o.Endpoint = DefaultEndpoint
	}
	u, err := url.Parse(strings.TrimSuffix(o.Endpoint, "/"))
	if err != nil || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("gcpkms: endpoint %q is not an origin such as %s", o.Endpoint, DefaultEndpoint)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return nil, fmt.Errorf("gcpkms: endpoint %q: keys travel in the answers: https, or http to this machine", o.Endpoint)
	}
	return &Provider{key: o.Key, endpoint: u.String(), login: newLogin(o.CredentialsFile),
		http: &http.Client{Transport: transport(o.TLS), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// transport goes through the proxy of the environment, which is often the only way out to Google.
func transport(cfg *tls.Config) *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     cfg.Clone(),
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     time.Minute,
		ForceAttemptHTTP2:   true,
	}
}

// Name returns "gcpkms".
func (p *Provider) Name() string { return "gcpkms" }

// Close ends idle connections. Calls that are under way end as they would.
func (p *Provider) Close() error {
	p.http.CloseIdleConnections()
	return nil
}

// Generate draws a fresh key here, since Cloud KMS makes no data keys, and wraps it.
func (p *Provider) Generate(ctx context.Context, kek string, ec kms.Context) (kms.Key32, []byte, error) {
	var key kms.Key32
	_, _ = rand.Read(key[:]) // never fails: a missing generator ends the program
	wrapped, err := p.Wrap(ctx, kek, key, ec)
	if err != nil {
		key.Zero()
		return key, nil, err
	}
	return key, wrapped, nil
}

// encryption is cryptoKeys.encrypt.
type encryption struct {
	Plaintext    []byte `json:"plaintext"`
	PlaintextSum sum    `json:"plaintextCrc32c"`
	authenticated
}

// encrypted is its answer.
type encrypted struct {
	Name              string `json:"name"` // the key version
	Ciphertext        []byte `json:"ciphertext"`
	CiphertextSum     sum    `json:"ciphertextCrc32c"`
	VerifiedPlaintext bool   `json:"verifiedPlaintextCrc32c"`
	VerifiedContext   bool   `json:"verifiedAdditionalAuthenticatedDataCrc32c"`
}

// decryption is cryptoKeys.decrypt.
type decryption struct {
	Ciphertext    []byte `json:"ciphertext"`
	CiphertextSum sum    `json:"ciphertextCrc32c"`
	authenticated
}

// decrypted is its answer.
type decrypted struct {
	Plaintext    []byte `json:"plaintext"`
	PlaintextSum sum    `json:"plaintextCrc32c"`
	UsedPrimary  bool   `json:"usedPrimary"`
}

// authenticated is the context in a request.
type authenticated struct {
	Context    []byte `json:"additionalAuthenticatedData"`
	ContextSum sum    `json:"additionalAuthenticatedDataCrc32c"`
}

// sum is a CRC32C; the API writes 64-bit numbers as strings.
type sum int64

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func sumOf(b []byte) sum { return sum(crc32.Checksum(b, castagnoli)) }

func authenticate(ec kms.Context) authenticated {
	b := ec.Canonical()
	return authenticated{b, sumOf(b)}
}

// Wrap wraps a key under the primary version of kek.
func (p *Provider) Wrap(ctx context.Context, kek string, key kms.Key32, ec kms.Context) ([]byte, error) {
	defer key.Zero()
	var out encrypted
	in := encryption{key[:], sumOf(key[:]), authenticate(ec)}
	if err := p.call(ctx, kek, "encrypt", in, &out); err != nil {
		return nil, fmt.Errorf("gcpkms: wrap under %q: %w", kek, ofKey(err))
	}
	switch {
	case !out.VerifiedPlaintext || !out.VerifiedContext || sumOf(out.Ciphertext) != out.CiphertextSum:
		return nil, fmt.Errorf("gcpkms: wrap under %q: %w: a checksum does not fit", kek, kms.ErrUnavailable)
	case !strings.HasPrefix(out.Name, kek+"/cryptoKeyVersions/"): // FORMAT.md B.1: the key is compared in the answer
		return nil, fmt.Errorf("gcpkms: wrap under %q: %w: the answer names %q", kek, kms.ErrAccessDenied, out.Name)
	case len(out.Ciphertext) == 0 || len(out.Ciphertext) > maxBlob:
		return nil, fmt.Errorf("gcpkms: wrap under %q: %w: a blob of %d bytes", kek, kms.ErrUnavailable, len(out.Ciphertext))
	}
	return out.Ciphertext, nil
}

// maxBlob is the longest wrapping that fits an envelope (FORMAT.md 3.3).
const maxBlob = 1024

// Unwrap opens a blob made under any enabled version of kek and ec.
func (p *Provider) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.Context) (kms.Key32, error) {
	key, _, err := p.unwrap(ctx, kek, wrapped, ec)
	return key, err
}

func (p *Provider) unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.Context) (key kms.Key32, primary bool, err error) {
	if err := ctx.Err(); err != nil {
		return key, false, err
	}
	if len(wrapped) == 0 || len(wrapped) > maxBlob {
		return key, false, fmt.Errorf("gcpkms: unwrap under %q: %w: %d bytes", kek, kms.ErrBadCiphertext, len(wrapped))
	}
	var out decrypted
	defer func() { clear(out.Plaintext) }()
	in := decryption{wrapped, sumOf(wrapped), authenticate(ec)}
	if err := p.call(ctx, kek, "decrypt", in, &out); err != nil {
		return key, false, fmt.Errorf("gcpkms: unwrap under %q: %w", kek, ofBlob(err))
	}
	if sumOf(out.Plaintext) != out.PlaintextSum {
		return key, false, fmt.Errorf("gcpkms: unwrap under %q: %w: a checksum does not fit", kek, kms.ErrUnavailable)
	}
	if len(out.Plaintext) != len(key) {
		return key, false, fmt.Errorf("gcpkms: unwrap under %q: %w: it holds %d bytes", kek, kms.ErrBadCiphertext, len(out.Plaintext))
	}
	return kms.Key32(out.Plaintext), out.UsedPrimary, nil
}

// Rewrap moves a blob to another key, or to the primary version of its key. The key passes through this process. A blob that
// is under the primary version already stays as it is.
func (p *Provider) Rewrap(ctx context.Context, from, to string, wrapped []byte, ec kms.Context) ([]byte, bool, error) {
	key, primary, err := p.unwrap(ctx, from, wrapped, ec)
	if err != nil {
		return nil, false, err
	}
	defer key.Zero()
	if from == to && primary {
		return wrapped, false, nil
	}
	out, err := p.Wrap(ctx, to, key, ec)
	return out, err == nil, err
}

// Health wraps and unwraps a canary under the key of the options.
func (p *Provider) Health(ctx context.Context) error { return p.KeyHealth(ctx, p.key) }

// KeyHealth wraps and unwraps a canary under one key.
func (p *Provider) KeyHealth(ctx context.Context, kek string) error {
	return kms.Canary(ctx, p, kek)
}
