//go:build !(pkcs11 && cgo)

package pkcs11

import "s3veil/crypto/kms"

// Built says whether the provider is in this build.
const Built = false

// Provider does not exist in this build.
type Provider struct{ kms.Provider }

// Open returns ErrNotBuilt.
func Open(Options) (*Provider, error) { return nil, ErrNotBuilt }

// Close does nothing.
func (*Provider) Close() error { return nil }
