//go:build integration

package gcpkms_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestGooglesClientUnderstandsTheFake: what the adapter is tested against must speak the API as Google's own client does. It
// opens a blob of the adapter and makes one for it.
func TestGooglesClientUnderstandsTheFake(t *testing.T) {
	python := os.Getenv("S3VEIL_TEST_GOOGLE_PYTHON")
	if python == "" {
		t.Fatal("S3VEIL_TEST_GOOGLE_PYTHON is not set: . .ci/lib.sh; install_google installs the client and sets it")
	}
	f := newFake(t, "a")
	p := f.provider(t)
	key, blob, err := p.Generate(t.Context(), ring+"a", realm)
	if err != nil {
		t.Fatal(err)
	}
	in, err := json.Marshal(map[string]any{"blob": blob})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "testdata/client.py", f.URL, ring+"a", f.serviceAccount(t, nil),
		base64.StdEncoding.EncodeToString(realm.Canonical()))
	var problems bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &problems
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, problems.Bytes())
	}
	var out struct {
		Key, Blob []byte
		Error     string
	}
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Key, key[:]) {
		t.Error("the client got another key")
	}
	if back, err := p.Unwrap(t.Context(), ring+"a", out.Blob, realm); err != nil || back != key {
		t.Errorf("a blob of the client: %v", err)
	}
	if !strings.Contains(out.Error, "Decryption failed") {
		t.Errorf("a cut blob: %q", out.Error)
	}
}
