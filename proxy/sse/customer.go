package sse

import (
	"crypto/rand"
	"fmt"
	"io"

	"s3veil/crypto/kms"
)

// CustomerKey is the key of an SSE-C request. It cannot print itself, and is handled by pointer only. It lives as long as
// its request: whoever parsed it calls Zero.
type CustomerKey struct {
	*material // behind a pointer: package fmt prints one level of unexported fields without asking
}

type material struct {
	key kms.Key32
	sum string // base64 MD5 of the key, as the client sent it
	bad bool   // of the wrong length, and therefore the key of no object
}

// redacted is what a CustomerKey prints in every format.
const redacted = "[customer key]"

// String returns a placeholder, never the key.
func (k CustomerKey) String() string { return redacted }

// GoString returns a placeholder, never the key.
func (k CustomerKey) GoString() string { return redacted }

// Format writes a placeholder for every verb and flag.
func (k CustomerKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText encodes a placeholder, never the key.
func (k CustomerKey) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Zero overwrites the key, which opens nothing from then on. It may be called on nil.
func (k *CustomerKey) Zero() {
	if k != nil && k.material != nil {
		k.key.Zero()
		k.bad = true
	}
}

// NewKey draws an intermediate key for one object and wraps it under the customer's key (FORMAT.md 4.5, B.3). bound is
// IKEK', bound to the realm; the caller overwrites it.
func (k *CustomerKey) NewKey(realm string) (wrapped []byte, bound kms.Key32) {
	if k.bad {
		panic("sse: unusable customer key")
	}
	var ikek kms.Key32
	defer ikek.Zero()
	_, _ = rand.Read(ikek[:]) // never fails: a missing generator ends the program
	ec := kms.RealmContext(realm, nil)
	return kms.SealBlob(&k.key, kms.LabelSSEC, &ikek, ec), kms.Bind(ikek, ec)
}

// OpenKey unwraps an intermediate key. Under any key but the one that wrapped it the error is kms.ErrBadCiphertext, as it
// is for damaged bytes: the two cannot be told apart.
func (k *CustomerKey) OpenKey(wrapped []byte, realm string) (bound kms.Key32, err error) {
	if k.bad {
		return bound, kms.ErrBadCiphertext
	}
	ec := kms.RealmContext(realm, nil)
	ikek, err := kms.OpenBlob(&k.key, kms.LabelSSEC, wrapped, ec)
	if err != nil {
		return bound, err
	}
	defer ikek.Zero()
	return kms.Bind(ikek, ec), nil
}
