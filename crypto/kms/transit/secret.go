package transit

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"

	"s3veil/crypto/kms"
)

// Secret is a token or a secret id. It cannot print itself.
type Secret string

const redacted = "[redacted]"

// String returns a placeholder.
func (Secret) String() string { return redacted }

// GoString returns a placeholder.
func (Secret) GoString() string { return redacted }

// Format writes a placeholder for every verb and flag.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText encodes a placeholder.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns a placeholder.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// maxSecret bounds tokens and secret ids in files. Batch tokens and those of service accounts have about 1 KiB.
const maxSecret = 16 << 10

// readSecret reads a file that must be this process's alone.
func readSecret(path string) (Secret, error) {
	b, err := kms.ReadSecretFile(path, maxSecret)
	if err != nil {
		return "", err
	}
	defer clear(b)
	s := bytes.TrimSpace(b)
	if len(s) == 0 {
		return "", fmt.Errorf("%s is empty", path)
	}
	return Secret(s), nil
}
