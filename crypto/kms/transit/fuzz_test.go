package transit_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/transit"
)

// FuzzBlob: what is accepted as a blob is the only spelling of what it says, and fits in one JSON string.
func FuzzBlob(f *testing.F) {
	sealed := base64.StdEncoding.EncodeToString(make([]byte, 60))
	for _, text := range []string{"vault:v1:" + sealed, "vault:v0:" + sealed, "vault:v01:" + sealed, "vault:v+1:" + sealed, "vault:v12:" + sealed + "\n", "vault:v1:",
		"vault:v1:" + base64.StdEncoding.EncodeToString(make([]byte, 61)), "vault:v1:" + strings.Repeat("A", 81) + "B==", "vault:v999999999:" + sealed, ""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, blob []byte) {
		version, err := transit.ParseBlob(blob)
		if err != nil {
			if !errors.Is(err, kms.ErrBadCiphertext) {
				t.Errorf("%v", err)
			}
			return
		}
		_, text, _ := strings.Cut(strings.TrimPrefix(string(blob), "vault:v"), ":")
		raw, err := base64.StdEncoding.DecodeString(text)
		if again := fmt.Sprintf("vault:v%d:%s", version, base64.StdEncoding.EncodeToString(raw)); err != nil || again != string(blob) {
			t.Errorf("%q is another spelling of %q", blob, again)
		}
	})
}
