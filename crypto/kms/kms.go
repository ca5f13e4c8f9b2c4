// Package kms is the interface between s3veil and whatever wraps its intermediate keys.
//
// A provider wraps 32-byte intermediate keys (IKEKs) under key-encryption keys that it holds (KEKs). Adapters live in
// leaf packages below this one and are imported by cmd alone. FORMAT.md 4 and Appendix B are the specification.
package kms

import (
	"context"
	"errors"
)

// Key32 is a 32-byte secret key. It cannot print itself in any format; Zero overwrites it.
type Key32 [32]byte

// Context is the KMS encryption context of a realm: {"s3veil":"1","realm":…} plus a client's own pairs (FORMAT.md 4.3).
type Context map[string]string

// Provider wraps and unwraps intermediate keys. kek names the key inside the provider; it is named in every call and
// never taken from a blob (FORMAT.md B.1). Implementations are safe for concurrent use. They ask their KMS once per call and
// keep the caller's deadline; keycache tries again where the class of the error says that it helps.
type Provider interface {
	// Name identifies the provider in errors and metrics, for example "local".
	Name() string
	// Generate draws a fresh key and returns it with its wrapping.
	Generate(ctx context.Context, kek string, ec Context) (key Key32, wrapped []byte, err error)
	// Wrap wraps an existing key.
	Wrap(ctx context.Context, kek string, key Key32, ec Context) (wrapped []byte, err error)
	// Unwrap fails for every blob that was not made under exactly this kek and context.
	Unwrap(ctx context.Context, kek string, wrapped []byte, ec Context) (Key32, error)
	// Health wraps and unwraps a canary.
	Health(ctx context.Context) error
}

// Rewrapper is implemented by providers that move a wrapping to another KEK without releasing the key.
type Rewrapper interface {
	Rewrap(ctx context.Context, from, to string, wrapped []byte, ec Context) (out []byte, changed bool, err error)
}

// The error classes of a provider (FORMAT.md B.1); adapters wrap them with %w.
var (
	ErrAccessDenied  = errors.New("kms: access denied")
	ErrKeyDisabled   = errors.New("kms: key disabled")
	ErrKeyNotFound   = errors.New("kms: key not found")
	ErrThrottled     = errors.New("kms: throttled")
	ErrUnavailable   = errors.New("kms: unavailable")
	ErrBadCiphertext = errors.New("kms: bad ciphertext")
)
