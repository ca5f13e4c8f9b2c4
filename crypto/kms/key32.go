package kms

import (
	"errors"
	"fmt"
	"io"
	"runtime"
)

// redacted is what a Key32 prints in every format.
const redacted = "[key]"

// String returns a placeholder, never the key.
func (k Key32) String() string { return redacted }

// GoString returns a placeholder, never the key.
func (k Key32) GoString() string { return redacted }

// Format writes a placeholder for every verb and flag, so that %x and %v of a struct that holds a key are safe too.
func (k Key32) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalJSON encodes a placeholder, never the key.
func (k Key32) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText encodes a placeholder, never the key.
func (k Key32) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalBinary refuses, so that encoding/gob cannot carry a key by accident.
func (k Key32) MarshalBinary() ([]byte, error) {
	return nil, errors.New("kms: a key is not marshalled")
}

// Zero overwrites the key. Copies of it are not reached.
func (k *Key32) Zero() {
	clear(k[:])
	runtime.KeepAlive(k)
}
