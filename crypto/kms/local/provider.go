package local

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"

	"s3veil/crypto/kms"
)

// Provider wraps under the keys of one file. It is safe for concurrent use.
type Provider struct {
	mu      sync.RWMutex // held for reading while a key is in use, for writing by close
	entries []*entry
	closed  bool
}

var _ kms.Provider = (*Provider)(nil)

// Name returns "local".
func (p *Provider) Name() string { return "local" }

// Generate draws a fresh key and wraps it under an active key.
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

// Wrap wraps key under an active key.
func (p *Provider) Wrap(ctx context.Context, kek string, key kms.Key32, ec kms.Context) ([]byte, error) {
	defer key.Zero()
	p.mu.RLock()
	defer p.mu.RUnlock()
	e, err := p.find(ctx, kek)
	if err != nil {
		return nil, err
	}
	if e.state != Active {
		return nil, fmt.Errorf("%w: local: %q is %s", kms.ErrKeyDisabled, kek, e.state)
	}
	return kms.SealBlob(&e.key, kms.LabelLocal, &key, ec), nil
}

// Unwrap opens a blob that was made under exactly kek, active or retired, and ec.
func (p *Provider) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.Context) (kms.Key32, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	e, err := p.find(ctx, kek)
	if err != nil {
		return kms.Key32{}, err
	}
	if e.state != Active && e.state != Retired {
		return kms.Key32{}, fmt.Errorf("%w: local: %q is %s", kms.ErrKeyDisabled, kek, e.state)
	}
	key, err := kms.OpenBlob(&e.key, kms.LabelLocal, wrapped, ec)
	if err != nil {
		return key, fmt.Errorf("local: unwrap under %q: %w", kek, err)
	}
	return key, nil
}

// Rewrap moves a wrapping from one key to another. A blob that is already under to stays as it is.
func (p *Provider) Rewrap(ctx context.Context, from, to string, wrapped []byte, ec kms.Context) ([]byte, bool, error) {
	key, err := p.Unwrap(ctx, from, wrapped, ec)
	if err != nil {
		return nil, false, err
	}
	defer key.Zero()
	if from == to {
		return wrapped, false, nil
	}
	out, err := p.Wrap(ctx, to, key, ec)
	return out, err == nil, err
}

// Health wraps and unwraps a canary under every key that may wrap. A file without one is not healthy.
func (p *Provider) Health(ctx context.Context) error {
	n := 0
	for _, e := range p.entries { // id and state never change
		if e.state != Active {
			continue
		}
		n++
		if err := p.KeyHealth(ctx, e.id); err != nil {
			return err
		}
	}
	if n == 0 {
		return fmt.Errorf("%w: local: no active key", kms.ErrKeyDisabled)
	}
	return nil
}

// KeyHealth wraps and unwraps a canary under one key.
func (p *Provider) KeyHealth(ctx context.Context, kek string) error { return kms.Canary(ctx, p, kek) }

// find returns a key by kid; the caller holds mu.
func (p *Provider) find(ctx context.Context, kek string) (*entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if p.closed {
		return nil, fmt.Errorf("%w: local: key file closed", kms.ErrUnavailable)
	}
	for _, e := range p.entries {
		if e.id == kek {
			return e, nil
		}
	}
	return nil, fmt.Errorf("%w: local: %q is not in the key file", kms.ErrKeyNotFound, kek)
}

func (p *Provider) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, e := range p.entries {
		e.key.Zero()
	}
}
