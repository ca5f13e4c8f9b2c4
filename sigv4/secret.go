package sigv4

import (
	"crypto/subtle"
	"fmt"
	"io"
)

// Secret is a secret access key; it cannot print itself.
type Secret string

const redacted = "[redacted]"

// String returns a placeholder.
func (Secret) String() string { return redacted }

// Format prints a placeholder under every verb.
func (Secret) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, redacted) }

// MarshalText returns a placeholder, in JSON and elsewhere.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Credential is a key pair with an optional session token. It prints as its access key.
type Credential struct {
	AccessKey    string
	Secret       Secret
	SessionToken string `json:"-"`
	SigV2        bool   // requests may be signed with version 2
}

// String returns the access key.
func (c Credential) String() string { return c.AccessKey }

// Format prints the access key under every verb.
func (c Credential) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, c.AccessKey) }

func equalSecret(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
