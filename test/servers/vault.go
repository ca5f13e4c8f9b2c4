package servers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// VaultVar names the environment variable that holds the path of the Vault server that build_vault of .ci/lib.sh makes.
const VaultVar = "S3VEIL_TEST_VAULT"

// Vault is a Vault server in memory: unsealed, with the transit engine at transit.
type Vault struct {
	Address string // http://127.0.0.1:port
	Root    string // root token
	unseal  string
}

// MustVault starts a Vault for one test, or ends the test.
func MustVault(t testing.TB) *Vault {
	t.Helper()
	program := os.Getenv(VaultVar)
	if program == "" {
		t.Fatalf("%s is not set: . .ci/lib.sh; build_vault builds a Vault server and sets it", VaultVar)
	}
	v, dir := &Vault{}, t.TempDir()
	var p *Process
	err := RetryPorts(func() error {
		ports, err := FreePorts(1)
		if err != nil {
			return err
		}
		addr := fmt.Sprintf("127.0.0.1:%d", ports[0])
		v.Address = "http://" + addr
		p, err = StartProcess(Spec{Name: "vault", Path: program, Args: []string{"-addr", addr}, Log: filepath.Join(dir, "vault.log")})
		if err != nil {
			return err
		}
		return p.Await(60*time.Second, func() error { return v.Do("GET", "sys/seal-status", nil, nil) })
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	var made struct {
		Keys []string `json:"keys"`
		Root string   `json:"root_token"`
	}
	if err := v.Do("PUT", "sys/init", map[string]any{"secret_shares": 1, "secret_threshold": 1}, &made); err != nil {
		t.Fatal(err)
	}
	v.Root, v.unseal = made.Root, made.Keys[0]
	v.Unseal(t)
	v.Must(t, "POST", "sys/mounts/transit", map[string]any{"type": "transit"}, nil)
	return v
}

// Unseal opens the server and waits until it is active.
func (v *Vault) Unseal(t testing.TB) {
	t.Helper()
	v.Must(t, "PUT", "sys/unseal", map[string]any{"key": v.unseal}, nil)
	deadline := time.Now().Add(30 * time.Second)
	for v.Do("GET", "sys/health", nil, nil) != nil {
		if time.Now().After(deadline) {
			t.Fatal("vault: not active in time")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Seal closes the server.
func (v *Vault) Seal(t testing.TB) {
	t.Helper()
	v.Must(t, "PUT", "sys/seal", nil, nil)
}

// Must is Do for requests that succeed.
func (v *Vault) Must(t testing.TB, method, path string, body, out any) {
	t.Helper()
	if err := v.Do(method, path, body, out); err != nil {
		t.Fatalf("vault: %s %s: %v", method, path, err)
	}
}

// Do sends a request of the administrator and decodes the whole answer into out, which may be nil.
func (v *Vault) Do(method, path string, body, out any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(method, v.Address+"/v1/"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("X-Vault-Token", v.Root)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", resp.Status, answer)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}
