// Package transit wraps intermediate keys under a key of the transit engine of HashiCorp Vault or OpenBao (FORMAT.md B.2).
//
// The key must have been created with derived=true: the canonical encryption context (FORMAT.md 4.3) goes in as `context`,
// from which the server derives the key that wraps. associated_data would do the same for unwrapping, but then rewrap fails.
// A key that ignores the context is found out before it wraps anything, and refused.
//
// Six endpoints are used, so the package speaks HTTP itself: the servers' own client modules would bring about twenty modules
// more (HCL, retries, logging) and a retry policy underneath the one of keycache.
package transit

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"s3veil/crypto/kms"
)

// DefaultMount is where the transit engine is usually mounted.
const DefaultMount = "transit"

// Options say where the server is and how to log in. Address, Key and exactly one of Token, TokenFile, AppRole and Kubernetes
// are needed.
type Options struct {
	Address   string      // https://host:port, or http to this machine; a path in front of /v1 is kept
	Namespace string      // of Vault Enterprise or OpenBao; empty for none
	Mount     string      // path of the transit engine; empty means DefaultMount
	Key       string      // the key that Health checks
	TLS       *tls.Config // nil for the system's certificate authorities

	Token      Secret     // as it is; renewed for as long as the server allows
	TokenFile  string     // read anew for every call, so that an agent can replace it
	AppRole    AppRole    // in use when any of it is set
	Kubernetes Kubernetes // likewise
}

// AppRole logs in with a role id and a secret id.
type AppRole struct {
	Mount        string // path of the method; empty means approle
	RoleID       string
	SecretID     Secret // or SecretIDFile; a role can do without either
	SecretIDFile string // read at every login
}

// Kubernetes logs in with the token of a service account.
type Kubernetes struct {
	Mount     string // path of the method; empty means kubernetes
	Role      string
	TokenFile string // empty means where Kubernetes mounts it; read at every login
}

// Provider wraps under keys of one transit engine. It is safe for concurrent use.
type Provider struct {
	opts    Options
	client  *client
	session *session

	mu      sync.Mutex
	checked map[string]bool // keys that are known to use the context
}

var (
	_ kms.Provider  = (*Provider)(nil)
	_ kms.Rewrapper = (*Provider)(nil)
)

// New checks the options. It opens no connection.
func New(o Options) (*Provider, error) {
	if o.Mount == "" {
		o.Mount = DefaultMount
	}
	base, err := url.Parse(strings.TrimSuffix(o.Address, "/"))
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, fmt.Errorf("transit: address %q is not an http or https URL", o.Address)
	}
	if base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("transit: address %q must be an origin, or one with a path", o.Address)
	}
	if base.Scheme == "http" && !loopback(base.Hostname()) {
		return nil, fmt.Errorf("transit: address %q: data keys travel in the answers: https, or http to this machine", o.Address)
	}
	if !mountPath.MatchString(o.Mount) {
		return nil, fmt.Errorf("transit: %q is not the path of an engine", o.Mount)
	}
	if !keyName.MatchString(o.Key) {
		return nil, fmt.Errorf("transit: %q is not the name of a key", o.Key)
	}
	src, err := o.source()
	if err != nil {
		return nil, err
	}
	c := &client{base: base.String(), namespace: o.Namespace, http: &http.Client{Transport: transport(o.TLS), CheckRedirect: redirect}}
	return &Provider{opts: o, client: c, session: newSession(c, src), checked: map[string]bool{}}, nil
}

// The names that transit itself accepts; they stand in paths.
var (
	keyName   = regexp.MustCompile(`^\w([\w.-]*\w)?$`)
	mountPath = regexp.MustCompile(`^\w([\w.-]*\w)?(/\w([\w.-]*\w)?)*$`)
)

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// Name returns "transit".
func (p *Provider) Name() string { return "transit" }

// Close ends the renewal of tokens and idle connections. Calls that are under way end as they would.
func (p *Provider) Close() error {
	p.session.close()
	p.client.http.CloseIdleConnections()
	return nil
}

// Generate has the server draw a data key and wrap it.
func (p *Provider) Generate(ctx context.Context, kek string, ec kms.Context) (kms.Key32, []byte, error) {
	var out struct {
		Plaintext  []byte `json:"plaintext"`
		Ciphertext string `json:"ciphertext"`
	}
	defer func() { clear(out.Plaintext) }()
	err := p.call(ctx, kek, "datakey/plaintext", map[string]any{"context": encode(ec), "bits": 256}, &out)
	if err != nil {
		return kms.Key32{}, nil, fmt.Errorf("transit: generate under %q: %w", kek, ofKey(err))
	}
	if _, err := parseBlob([]byte(out.Ciphertext)); err != nil || len(out.Plaintext) != len(kms.Key32{}) {
		return kms.Key32{}, nil, fmt.Errorf("transit: generate under %q: %w: no data key in the answer", kek, kms.ErrUnavailable)
	}
	if err := p.check(ctx, kek, out.Ciphertext, ec); err != nil {
		return kms.Key32{}, nil, fmt.Errorf("transit: generate under %q: %w", kek, err)
	}
	return kms.Key32(out.Plaintext), []byte(out.Ciphertext), nil
}

// Wrap wraps a key.
func (p *Provider) Wrap(ctx context.Context, kek string, key kms.Key32, ec kms.Context) ([]byte, error) {
	defer key.Zero()
	// A token that may create keys would make `encrypt` create a missing one. A data key never does, so it goes first.
	if !p.isChecked(kek) {
		probe, _, err := p.Generate(ctx, kek, ec)
		probe.Zero()
		if err != nil {
			return nil, err
		}
	}
	var out struct {
		Ciphertext string `json:"ciphertext"`
	}
	plaintext := make([]byte, base64.StdEncoding.EncodedLen(len(key)))
	defer clear(plaintext)
	base64.StdEncoding.Encode(plaintext, key[:])
	err := p.call(ctx, kek, "encrypt", map[string]any{"context": encode(ec), "plaintext": rawText(plaintext)}, &out)
	if err != nil {
		return nil, fmt.Errorf("transit: wrap under %q: %w", kek, ofKey(err))
	}
	if _, err := parseBlob([]byte(out.Ciphertext)); err != nil {
		return nil, fmt.Errorf("transit: wrap under %q: %w: no ciphertext in the answer", kek, kms.ErrUnavailable)
	}
	return []byte(out.Ciphertext), nil
}

// Unwrap opens a blob made under kek and ec. A blob of a version below the key's min_decryption_version is
// kms.ErrKeyDisabled.
func (p *Provider) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.Context) (kms.Key32, error) {
	if err := ctx.Err(); err != nil {
		return kms.Key32{}, err
	}
	if _, err := parseBlob(wrapped); err != nil {
		return kms.Key32{}, fmt.Errorf("transit: unwrap under %q: %w", kek, err)
	}
	key, err := p.decrypt(ctx, kek, string(wrapped), ec)
	if err != nil {
		return key, fmt.Errorf("transit: unwrap under %q: %w", kek, err)
	}
	return key, nil
}

func (p *Provider) decrypt(ctx context.Context, kek, ciphertext string, ec kms.Context) (kms.Key32, error) {
	var out struct {
		Plaintext []byte `json:"plaintext"`
	}
	defer func() { clear(out.Plaintext) }()
	if err := p.call(ctx, kek, "decrypt", map[string]any{"context": encode(ec), "ciphertext": ciphertext}, &out); err != nil {
		return kms.Key32{}, ofBlob(err)
	}
	if len(out.Plaintext) != len(kms.Key32{}) {
		return kms.Key32{}, fmt.Errorf("%w: it holds %d bytes", kms.ErrBadCiphertext, len(out.Plaintext))
	}
	return kms.Key32(out.Plaintext), nil
}

// Rewrap moves a blob to the newest version of its key inside the server, or to another key through this process.
func (p *Provider) Rewrap(ctx context.Context, from, to string, wrapped []byte, ec kms.Context) ([]byte, bool, error) {
	if from != to {
		key, err := p.Unwrap(ctx, from, wrapped, ec)
		if err != nil {
			return nil, false, err
		}
		defer key.Zero()
		out, err := p.Wrap(ctx, to, key, ec)
		return out, err == nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	before, err := parseBlob(wrapped)
	if err != nil {
		return nil, false, fmt.Errorf("transit: rewrap under %q: %w", from, err)
	}
	var out struct {
		Ciphertext string `json:"ciphertext"`
	}
	if err := p.call(ctx, from, "rewrap", map[string]any{"context": encode(ec), "ciphertext": string(wrapped)}, &out); err != nil {
		return nil, false, fmt.Errorf("transit: rewrap under %q: %w", from, ofBlob(err))
	}
	after, err := parseBlob([]byte(out.Ciphertext))
	if err != nil {
		return nil, false, fmt.Errorf("transit: rewrap under %q: %w: no ciphertext in the answer", from, kms.ErrUnavailable)
	}
	if after == before {
		return wrapped, false, nil
	}
	return []byte(out.Ciphertext), true, nil
}

// Health wraps and unwraps a canary under the key of the options.
func (p *Provider) Health(ctx context.Context) error { return p.KeyHealth(ctx, p.opts.Key) }

// KeyHealth wraps and unwraps a canary under one key.
func (p *Provider) KeyHealth(ctx context.Context, kek string) error {
	return kms.Canary(ctx, p, kek)
}

// check finds out, once per key, whether the key uses the context: a fresh blob must not open in another one. A key
// created without derived=true ignores the context in silence.
func (p *Provider) check(ctx context.Context, kek, ciphertext string, ec kms.Context) error {
	if p.isChecked(kek) {
		return nil
	}
	other := kms.RealmContext(ec[kms.ContextRealm]+"/other", ec)
	key, err := p.decrypt(ctx, kek, ciphertext, other)
	key.Zero()
	switch {
	case err == nil:
		return fmt.Errorf("%w: the key ignores the context; it must be created with derived=true", kms.ErrKeyDisabled)
	case !isBlobError(err):
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.checked[kek] = true
	return nil
}

func (p *Provider) isChecked(kek string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.checked[kek]
}

// call posts to an endpoint of a key with the session's token. After a refusal of the token it tries once more with a
// new one.
func (p *Provider) call(ctx context.Context, kek, endpoint string, body map[string]any, out any) error {
	if !keyName.MatchString(kek) {
		return fmt.Errorf("%w: %q cannot be the name of a key", kms.ErrKeyNotFound, kek)
	}
	for again := false; ; again = true {
		t, err := p.session.get(ctx)
		if err != nil {
			return err
		}
		err = p.client.do(ctx, http.MethodPost, p.opts.Mount+"/"+endpoint+"/"+kek, t.value, body, answer{Data: out})
		if again || !refused(err) || !p.session.refused(t) {
			return err
		}
	}
}

// encode is the context as transit takes it.
func encode(ec kms.Context) string { return base64.StdEncoding.EncodeToString(ec.Canonical()) }
