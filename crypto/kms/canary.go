package kms

import (
	"context"
	"fmt"
)

// Canary is the health check of a provider (FORMAT.md B.1): a key is generated under kek and unwrapped. Errors are the
// provider's, or ErrBadCiphertext for a key that changed.
func Canary(ctx context.Context, p Provider, kek string) error {
	ec := RealmContext("canary", nil)
	key, wrapped, err := p.Generate(ctx, kek, ec)
	if err != nil {
		return err
	}
	defer key.Zero()
	back, err := p.Unwrap(ctx, kek, wrapped, ec)
	if err != nil {
		return err
	}
	defer back.Zero()
	if back != key {
		return fmt.Errorf("%w: %s: canary under %q changed", ErrBadCiphertext, p.Name(), kek)
	}
	return nil
}
