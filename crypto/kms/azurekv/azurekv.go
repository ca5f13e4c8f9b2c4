// Package azurekv wraps intermediate keys under keys of Azure Key Vault and Azure Managed HSM (FORMAT.md B.2).
//
// A symmetric key of a Managed HSM (oct-HSM, 256 bits) wraps them itself, by AES key wrap (A256KW, RFC 3394). A vault holds RSA
// keys alone, and whoever has the public half of such a key could wrap an intermediate key of its own (FORMAT.md B.1). So an
// RSA key wraps one 256-bit key, once, into a file of s3veil's configuration, and intermediate keys are wrapped under that as in
// FORMAT.md B.3. The vault unwraps it anew for every call and it is forgotten again, so that a key that is disabled or taken
// away in the vault is so here.
//
// Neither mode has additional authenticated data for all that s3veil binds; FORMAT.md 4.3 does it locally.
//
// Two methods of the REST API (Azure Key Vault keys, wrapkey and unwrapkey) are all that is needed, so the package speaks HTTP
// itself; tokens come from azidentity.
package azurekv

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"s3veil/crypto/kms"
)

// Options say which key is used and by whom. Key is needed; File for RSA keys.
type Options struct {
	Key      string      // https://VAULT.vault.azure.net/keys/NAME or https://HSM.managedhsm.azure.net/keys/NAME, without version
	File     string      // made by MakeFile: the key that an RSA key has wrapped
	Endpoint string      // origin in place of the key's: https, or http to this machine
	Identity Identity    // who asks
	TLS      *tls.Config // for the endpoint; nil for the system's certificate authorities
}

// Provider wraps under one key. It is safe for concurrent use.
type Provider struct {
	key      string
	name     string // of the key within its vault
	endpoint string
	scope    string // of access tokens
	file     *wrappedKey
	http     *http.Client
	login    *login
}

var _ kms.Provider = (*Provider)(nil)

// The algorithms of the API that are used.
const (
	algAES = "A256KW"
	algRSA = "RSA-OAEP-256"
)

// The blob of a symmetric key: 01 ‖ version(16) ‖ A256KW(IKEK)(40).
const (
	blobFormat  = 1
	blobVersion = 16
	blobSize    = 1 + blobVersion + 40
)

var (
	keyPath    = regexp.MustCompile(`^/keys/([0-9A-Za-z-]{1,127})$`)
	vaultHosts = regexp.MustCompile(`^[^.]+\.vault\.`)
)

// New checks the options and reads the file. It opens no connection.
func New(o Options) (*Provider, error) {
	p, err := prepare(o)
	if err != nil {
		return nil, err
	}
	if o.File == "" {
		if host(o.Key, vaultHosts) {
			return nil, fmt.Errorf("azurekv: %s is in a vault, which has no symmetric keys: it needs a file with a key that it has wrapped (wrapped_key_file)", o.Key)
		}
		return p, nil
	}
	p.file, err = readFile(o.File, o.Key)
	return p, err
}

// prepare checks everything but the file.
func prepare(o Options) (*Provider, error) {
	u, err := url.Parse(o.Key)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || !keyPath.MatchString(u.Path) {
		return nil, fmt.Errorf("azurekv: %q is not https://VAULT/keys/NAME, without a version", o.Key)
	}
	endpoint := "https://" + u.Host
	if o.Endpoint != "" {
		if endpoint, err = origin(o.Endpoint); err != nil {
			return nil, err
		}
	}
	id, err := newLogin(o.Identity)
	if err != nil {
		return nil, err
	}
	return &Provider{key: o.Key, name: keyPath.FindStringSubmatch(u.Path)[1], endpoint: endpoint, scope: scopeOf(u.Hostname()), login: id,
		http: &http.Client{Transport: transport(o.TLS), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

func origin(endpoint string) (string, error) {
	u, err := url.Parse(strings.TrimSuffix(endpoint, "/"))
	if err != nil || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("azurekv: endpoint %q is not an origin such as https://name.vault.azure.net", endpoint)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return "", fmt.Errorf("azurekv: endpoint %q: keys travel in the answers: https, or http to this machine", endpoint)
	}
	return u.String(), nil
}

func host(key string, pattern *regexp.Regexp) bool {
	u, err := url.Parse(key)
	return err == nil && pattern.MatchString(u.Hostname())
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// scopeOf is the resource of access tokens: the domain of the vaults, which differs between the clouds.
func scopeOf(host string) string {
	_, domain, _ := strings.Cut(host, ".")
	if !strings.Contains(domain, ".") || net.ParseIP(host) != nil {
		domain = "vault.azure.net"
	}
	return "https://" + domain + "/.default"
}

// transport goes through the proxy of the environment, which is often the only way out to Azure, but not to this machine's own
// network: managed identities live there.
func transport(cfg *tls.Config) *http.Transport {
	return &http.Transport{
		Proxy: func(r *http.Request) (*url.URL, error) {
			if a, err := netip.ParseAddr(r.URL.Hostname()); err == nil && (a.IsLinkLocalUnicast() || a.IsLoopback()) {
				return nil, nil
			}
			return http.ProxyFromEnvironment(r)
		},
		TLSClientConfig:     cfg.Clone(),
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     time.Minute,
		ForceAttemptHTTP2:   true,
	}
}

// Name returns "azurekv".
func (p *Provider) Name() string { return "azurekv" }

// Close ends idle connections. Calls that are under way end as they would.
func (p *Provider) Close() error {
	p.http.CloseIdleConnections()
	p.login.close()
	return nil
}

// Generate draws a fresh key here, since a vault makes no data keys, and wraps it.
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

// Wrap wraps a key.
func (p *Provider) Wrap(ctx context.Context, kek string, key kms.Key32, ec kms.Context) ([]byte, error) {
	defer key.Zero()
	if p.file != nil {
		k, err := p.fileKey(ctx, kek)
		if err != nil {
			return nil, fmt.Errorf("azurekv: wrap under %q: %w", kek, err)
		}
		defer k.Zero()
		return kms.SealBlob(&k, kms.LabelLocal, &key, ec), nil
	}
	name, err := p.nameOf(kek)
	if err != nil {
		return nil, fmt.Errorf("azurekv: wrap under %q: %w", kek, err)
	}
	out, version, err := p.call(ctx, name, "", "wrapkey", algAES, key[:])
	if err != nil {
		return nil, fmt.Errorf("azurekv: wrap under %q: %w", kek, ofKey(err))
	}
	blob := append([]byte{blobFormat}, version[:]...)
	if blob = append(blob, out...); len(blob) != blobSize {
		return nil, fmt.Errorf("azurekv: wrap under %q: %w: a wrapping of %d bytes", kek, kms.ErrUnavailable, len(out))
	}
	return blob, nil
}

// Unwrap opens a blob that was made under exactly kek; a blob under the key of a file under exactly ec, too.
func (p *Provider) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.Context) (kms.Key32, error) {
	if p.file != nil {
		if len(wrapped) != kms.BlobSize {
			return kms.Key32{}, fmt.Errorf("azurekv: unwrap under %q: %w: %d bytes", kek, kms.ErrBadCiphertext, len(wrapped))
		}
		k, err := p.fileKey(ctx, kek)
		if err != nil {
			return kms.Key32{}, fmt.Errorf("azurekv: unwrap under %q: %w", kek, err)
		}
		defer k.Zero()
		return kms.OpenBlob(&k, kms.LabelLocal, wrapped, ec)
	}
	name, err := p.nameOf(kek)
	if err != nil {
		return kms.Key32{}, fmt.Errorf("azurekv: unwrap under %q: %w", kek, err)
	}
	if len(wrapped) != blobSize || wrapped[0] != blobFormat {
		return kms.Key32{}, fmt.Errorf("azurekv: unwrap under %q: %w: %d bytes", kek, kms.ErrBadCiphertext, len(wrapped))
	}
	version := keyVersion(wrapped[1 : 1+blobVersion])
	key, err := p.unwrap(ctx, name, version, algAES, wrapped[1+blobVersion:])
	if err = ofBlob(err); errors.Is(err, kms.ErrKeyNotFound) {
		err = p.withoutVersion(ctx, name, err)
	}
	if err != nil {
		return kms.Key32{}, fmt.Errorf("azurekv: unwrap under %q: %w", kek, err)
	}
	return key, nil
}

// withoutVersion tells a key that is gone from a blob that names a version which the key never had: versions are not deleted
// one by one. missing is the refusal.
func (p *Provider) withoutVersion(ctx context.Context, name string, missing error) error {
	if _, _, err := p.call(ctx, name, "", "wrapkey", algAES, make([]byte, len(kms.Key32{}))); err == nil {
		return fmt.Errorf("%w: made under another key: %s", kms.ErrBadCiphertext, missing)
	} else if err = ofKey(err); !errors.Is(err, kms.ErrAccessDenied) { // who may only unwrap is none the wiser
		return err
	}
	return missing
}

// Health wraps and unwraps a canary.
func (p *Provider) Health(ctx context.Context) error { return kms.Canary(ctx, p, p.key) }

// fileKey has the vault unwrap the key of the file. A refusal of the vault is the key's: the file is the configuration's.
func (p *Provider) fileKey(ctx context.Context, kek string) (kms.Key32, error) {
	if kek != p.key {
		return kms.Key32{}, fmt.Errorf("%w: the file is of %s", kms.ErrKeyNotFound, p.key)
	}
	k, err := p.unwrap(ctx, p.name, p.file.version, algRSA, p.file.value)
	if err != nil {
		return kms.Key32{}, ofKey(err)
	}
	return k, nil
}

// unwrap asks for a key under one version.
func (p *Provider) unwrap(ctx context.Context, name string, version keyVersion, alg string, wrapped []byte) (kms.Key32, error) {
	out, answered, err := p.call(ctx, name, version.String(), "unwrapkey", alg, wrapped)
	defer clear(out)
	switch {
	case err != nil:
		return kms.Key32{}, err
	case len(out) != len(kms.Key32{}):
		return kms.Key32{}, fmt.Errorf("%w: a key of %d bytes", kms.ErrUnavailable, len(out))
	case answered != version:
		return kms.Key32{}, fmt.Errorf("%w: the answer is of another version of the key", kms.ErrUnavailable)
	}
	return kms.Key32(out), nil
}

// nameOf returns the name of a key of this provider's vault.
func (p *Provider) nameOf(kek string) (string, error) {
	name, ok := strings.CutPrefix(kek, strings.TrimSuffix(p.key, p.name))
	if !ok || !keyPath.MatchString("/keys/"+name) {
		return "", fmt.Errorf("%w: no key of this vault", kms.ErrKeyNotFound)
	}
	return name, nil
}
