//go:build pkcs11 && cgo

package pkcs11

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"

	"s3veil/crypto/kms"
)

// Built says whether the provider is in this build.
const Built = true

// Provider wraps under keys of one token. It is safe for concurrent use.
type Provider struct{ t *token }

var _ kms.Provider = (*Provider)(nil)

// Open loads the token's library. It neither looks for the token nor logs in: that is done when a key is needed, and again
// whenever the token has forgotten.
func Open(o Options) (*Provider, error) {
	switch o.Mechanism {
	case "", GCM, KeyWrap, KeyWrapPad:
	default:
		return nil, fmt.Errorf("pkcs11: there is no mechanism %q", o.Mechanism)
	}
	m, err := load(o.Module)
	if err != nil {
		return nil, fmt.Errorf("pkcs11: %w", err)
	}
	return &Provider{&token{opts: o, module: m, room: make(chan struct{}, cmp.Or(o.Sessions, 8)), keys: map[string]p11.ObjectHandle{}}}, nil
}

// Close ends the sessions, once they are unused, and unloads the library. Later calls fail with kms.ErrUnavailable.
func (p *Provider) Close() error {
	p.t.close()
	return nil
}

// Name returns "pkcs11".
func (p *Provider) Name() string { return "pkcs11" }

// Generate draws a fresh key and wraps it.
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
	leave, err := p.t.enter(ctx)
	if err != nil {
		return nil, err
	}
	own, aad := key, ec.Canonical() // the call may outlast this function
	wrapped, err := background(ctx, func() ([]byte, error) {
		defer leave()
		defer own.Zero()
		return repeat(p.t, func(s *session) ([]byte, error) { return s.wrap(kek, &own, aad) })
	}, func([]byte) {})
	return wrapped, fail(err)
}

// Unwrap opens a blob that was made under exactly kek and, by AES-GCM, ec. Where the library does not tell a forged blob from
// a token in trouble, the token has to prove itself with a canary.
func (p *Provider) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.Context) (kms.Key32, error) {
	if err := ctx.Err(); err != nil {
		return kms.Key32{}, err
	}
	b, err := parseBlob(append([]byte(nil), wrapped...))
	if err != nil {
		return kms.Key32{}, fmt.Errorf("%w: pkcs11: %w", kms.ErrBadCiphertext, err)
	}
	key, err := p.unwrap(ctx, kek, b, ec)
	if errors.Is(err, errVague) {
		if p.KeyHealth(ctx, kek) == nil {
			return key, fmt.Errorf("%w: pkcs11: %w", kms.ErrBadCiphertext, err)
		}
	}
	return key, fail(err)
}

func (p *Provider) unwrap(ctx context.Context, kek string, b blob, ec kms.Context) (key kms.Key32, err error) {
	leave, err := p.t.enter(ctx)
	if err != nil {
		return key, err
	}
	aad := ec.Canonical()
	out, err := background(ctx, func() (*kms.Key32, error) {
		defer leave()
		return repeat(p.t, func(s *session) (*kms.Key32, error) { return s.unwrap(kek, b, aad) })
	}, func(key *kms.Key32) {
		if key != nil {
			key.Zero()
		}
	})
	if err != nil {
		return key, err
	}
	defer out.Zero()
	return *out, nil
}

// Health wraps and unwraps a canary under every key of the options.
func (p *Provider) Health(ctx context.Context) error {
	for _, kek := range p.t.opts.Keys {
		if err := p.KeyHealth(ctx, kek); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// KeyHealth wraps and unwraps a canary under one key.
func (p *Provider) KeyHealth(ctx context.Context, kek string) error {
	ec := kms.RealmContext("canary", nil)
	key, wrapped, err := p.Generate(ctx, kek, ec)
	if err != nil {
		return err
	}
	defer key.Zero()
	b, err := parseBlob(wrapped)
	if err != nil {
		return fmt.Errorf("%w: pkcs11: %w", kms.ErrUnavailable, err)
	}
	back, err := p.unwrap(ctx, kek, b, ec)
	if err != nil {
		return fail(err)
	}
	defer back.Zero()
	if back != key {
		return fmt.Errorf("%w: pkcs11: canary under %q changed", kms.ErrBadCiphertext, kek)
	}
	return nil
}

// fail gives an error its class and the provider's name.
func fail(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return fmt.Errorf("pkcs11: %w", classified(err))
}
