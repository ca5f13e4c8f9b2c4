// Package awskms wraps intermediate keys under a symmetric key of AWS KMS (FORMAT.md B.2). The encryption context is bound by
// KMS, exact and visible in CloudTrail, and once more locally (FORMAT.md 4.3).
//
// The key is named in every call, Decrypt included, and compared in the answer. Calls are tried once: keycache repeats them.
// Source: AWS KMS API reference, GenerateDataKey, Encrypt, Decrypt, ReEncrypt.
package awskms

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	base "s3veil/crypto/kms"
)

// maxBlob is the longest ciphertext that KMS decrypts, in bytes.
const maxBlob = 6144

// Options say where the key is. Key and Region are needed.
type Options struct {
	Key         string // ARN, id, or alias ("alias/name") that Health checks
	Region      string
	Endpoint    string // URL in place of the public one: https, or http to this machine
	Credentials aws.CredentialsProvider
	TLS         *tls.Config // nil for the system's certificate authorities
	// Refused is told that KMS does not take the credentials, so that they can be fetched anew; nil for nobody.
	Refused func()
}

// Provider wraps under keys of AWS KMS. It is safe for concurrent use.
type Provider struct {
	client *kms.Client
	http   *awshttp.BuildableClient
	key    string
	tell   func()
}

var (
	_ base.Provider  = (*Provider)(nil)
	_ base.Rewrapper = (*Provider)(nil)
)

// RegionOf returns the region that a key's ARN names, "" where it is no ARN.
func RegionOf(key string) string {
	parts := strings.SplitN(key, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "kms" {
		return ""
	}
	return parts[3]
}

// New checks the options. It opens no connection.
func New(o Options) (*Provider, error) {
	if o.Key == "" || o.Region == "" || o.Credentials == nil {
		return nil, errors.New("awskms: key, region and credentials are needed")
	}
	if region := RegionOf(o.Key); region != "" && region != o.Region {
		return nil, fmt.Errorf("awskms: the key is in region %s, not %s", region, o.Region)
	}
	if o.Endpoint != "" {
		u, err := url.Parse(o.Endpoint)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
			return nil, fmt.Errorf("awskms: endpoint %q is not an http or https URL", o.Endpoint)
		}
		if u.Scheme == "http" && !loopback(u.Hostname()) {
			return nil, fmt.Errorf("awskms: endpoint %q: keys travel in the answers: https, or http to this machine", o.Endpoint)
		}
	}
	client := awshttp.NewBuildableClient().WithTimeout(30 * time.Second).WithTransportOptions(func(t *http.Transport) {
		t.Proxy = nil // HTTPS_PROXY may name s3veil itself
		t.MaxIdleConnsPerHost = 16
		if o.TLS != nil {
			t.TLSClientConfig = o.TLS.Clone()
		}
	})
	options := kms.Options{Region: o.Region, Credentials: o.Credentials, HTTPClient: client, Retryer: aws.NopRetryer{}}
	if o.Endpoint != "" {
		options.BaseEndpoint = aws.String(o.Endpoint)
	}
	return &Provider{client: kms.New(options), http: client, key: o.Key, tell: o.Refused}, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// Name returns "awskms".
func (p *Provider) Name() string { return "awskms" }

// Close closes idle connections.
func (p *Provider) Close() error {
	p.http.GetTransport().CloseIdleConnections()
	return nil
}

// Generate has KMS draw a data key and wrap it.
func (p *Provider) Generate(ctx context.Context, kek string, ec base.Context) (base.Key32, []byte, error) {
	out, err := p.client.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: &kek, EncryptionContext: ec, KeySpec: types.DataKeySpecAes256})
	if err != nil {
		return base.Key32{}, nil, p.fail(ctx, "generate", kek, err)
	}
	defer clear(out.Plaintext)
	if len(out.Plaintext) != len(base.Key32{}) || len(out.CiphertextBlob) == 0 || !same(kek, out.KeyId) {
		return base.Key32{}, nil, odd("generate", kek)
	}
	return base.Key32(out.Plaintext), out.CiphertextBlob, nil
}

// Wrap wraps a key.
func (p *Provider) Wrap(ctx context.Context, kek string, key base.Key32, ec base.Context) ([]byte, error) {
	defer key.Zero()
	out, err := p.client.Encrypt(ctx, &kms.EncryptInput{KeyId: &kek, EncryptionContext: ec, Plaintext: key[:]})
	if err != nil {
		return nil, p.fail(ctx, "wrap", kek, err)
	}
	if len(out.CiphertextBlob) == 0 || !same(kek, out.KeyId) {
		return nil, odd("wrap", kek)
	}
	return out.CiphertextBlob, nil
}

// Unwrap opens a blob that was made under exactly kek and ec.
func (p *Provider) Unwrap(ctx context.Context, kek string, wrapped []byte, ec base.Context) (base.Key32, error) {
	if len(wrapped) == 0 || len(wrapped) > maxBlob {
		return base.Key32{}, fmt.Errorf("awskms: unwrap under %q: %w: %d bytes", kek, base.ErrBadCiphertext, len(wrapped))
	}
	out, err := p.client.Decrypt(ctx, &kms.DecryptInput{KeyId: &kek, EncryptionContext: ec, CiphertextBlob: wrapped})
	if err != nil {
		return base.Key32{}, p.fail(ctx, "unwrap", kek, err)
	}
	defer clear(out.Plaintext)
	if len(out.Plaintext) != len(base.Key32{}) || !same(kek, out.KeyId) {
		return base.Key32{}, odd("unwrap", kek)
	}
	return base.Key32(out.Plaintext), nil
}

// Rewrap moves a wrapping to another key inside KMS. One that stays under its key is renewed with the key's newest material.
func (p *Provider) Rewrap(ctx context.Context, from, to string, wrapped []byte, ec base.Context) ([]byte, bool, error) {
	if len(wrapped) == 0 || len(wrapped) > maxBlob {
		return nil, false, fmt.Errorf("awskms: rewrap from %q: %w: %d bytes", from, base.ErrBadCiphertext, len(wrapped))
	}
	out, err := p.client.ReEncrypt(ctx, &kms.ReEncryptInput{CiphertextBlob: wrapped, SourceKeyId: &from, SourceEncryptionContext: ec,
		DestinationKeyId: &to, DestinationEncryptionContext: ec})
	if err != nil {
		return nil, false, p.fail(ctx, "rewrap to "+to, from, err)
	}
	if out.SourceKeyId != nil && !same(from, out.SourceKeyId) { // some doubles go by the blob
		return nil, false, fmt.Errorf("awskms: rewrap from %q: %w: made under %s", from, base.ErrBadCiphertext, *out.SourceKeyId)
	}
	if len(out.CiphertextBlob) == 0 || out.SourceKeyId == nil || !same(to, out.KeyId) {
		return nil, false, odd("rewrap", from)
	}
	return out.CiphertextBlob, true, nil
}

// Health wraps and unwraps a canary.
func (p *Provider) Health(ctx context.Context) error { return base.Canary(ctx, p, p.key) }

// same compares the key that answered with the one that was asked, as far as its name tells: the answer is an ARN.
func same(asked string, answered *string) bool {
	got := aws.ToString(answered)
	switch {
	case strings.HasPrefix(asked, "arn:") && !strings.Contains(asked, ":alias/"):
		return got == asked
	case strings.Contains(asked, "alias/"):
		return got != ""
	}
	return got == asked || strings.HasSuffix(got, "/"+asked)
}

// odd is a success that cannot be one.
func odd(op, kek string) error {
	return fmt.Errorf("awskms: %s under %q: %w: the answer is not about this key, or not complete", op, kek, base.ErrUnavailable)
}
