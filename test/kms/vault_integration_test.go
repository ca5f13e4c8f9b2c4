//go:build integration

package kms

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	base "s3veil/crypto/kms"
	"s3veil/crypto/kms/kmstest"
	"s3veil/crypto/kms/transit"
	"s3veil/test/servers"
)

var realm = base.RealmContext("r", nil)

// vaultPolicy is the policy that docs/KMS.md tells operators to use.
func vaultPolicy(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/KMS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```hcl\n")
	policy, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 || strings.Count(policy, "path ") != 4 {
		t.Fatalf("docs/KMS.md has no policy of four paths: %q", policy)
	}
	return policy
}

// vaultKey makes a key as docs/KMS.md says.
func vaultKey(t *testing.T, v *servers.Vault, name string) {
	t.Helper()
	v.Must(t, "POST", "transit/keys/"+name, map[string]any{"derived": true}, nil)
}

// appRole makes a role with these policies (name to text) and returns its login.
func appRole(t *testing.T, v *servers.Vault, policies map[string]string, more map[string]any) transit.AppRole {
	t.Helper()
	if err := v.Do("POST", "sys/auth/approle", map[string]any{"type": "approle"}, nil); err != nil && !strings.Contains(err.Error(), "already in use") {
		t.Fatal(err)
	}
	role := map[string]any{"token_ttl": "1h", "token_max_ttl": "24h"}
	for k, text := range more {
		role[k] = text
	}
	var names []string
	for name, text := range policies {
		v.Must(t, "PUT", "sys/policies/acl/"+name, map[string]any{"policy": text}, nil)
		names = append(names, name)
	}
	role["token_policies"] = names
	v.Must(t, "POST", "auth/approle/role/s3veil", role, nil)
	var id struct {
		Data struct {
			RoleID   string `json:"role_id"`
			SecretID string `json:"secret_id"`
		} `json:"data"`
	}
	v.Must(t, "GET", "auth/approle/role/s3veil/role-id", nil, &id)
	v.Must(t, "POST", "auth/approle/role/s3veil/secret-id", map[string]any{}, &id)
	return transit.AppRole{RoleID: id.Data.RoleID, SecretID: transit.Secret(id.Data.SecretID)}
}

func openTransit(t *testing.T, o transit.Options) *transit.Provider {
	t.Helper()
	p, err := transit.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// TestVaultContract runs the suite under an AppRole with the policy of the manual, and as root.
func TestVaultContract(t *testing.T) {
	v := servers.MustVault(t)
	vaultKey(t, v, "s3veil")
	vaultKey(t, v, "other")
	policy := vaultPolicy(t)
	login := appRole(t, v, map[string]string{"s3veil": policy, "other": strings.ReplaceAll(policy, "/s3veil\"", "/other\"")}, nil)
	subject := kmstest.Subject{Key: "s3veil", Other: "other", Unknown: "nobody"}
	t.Run("policy of the manual", func(t *testing.T) {
		s := subject
		s.Provider = openTransit(t, transit.Options{Address: v.Address, Key: "s3veil", AppRole: login})
		kmstest.Run(t, s)
	})
	t.Run("root", func(t *testing.T) {
		s := subject
		p := openTransit(t, transit.Options{Address: v.Address, Key: "s3veil", Token: transit.Secret(v.Root)})
		s.Provider = p
		kmstest.Run(t, s)
		if _, err := p.Wrap(t.Context(), "nobody", base.Key32{1}, realm); !errors.Is(err, base.ErrKeyNotFound) {
			t.Errorf("a missing key: %v", err)
		}
		if err := v.Do("GET", "transit/keys/nobody", nil, nil); err == nil {
			t.Error("the suite has created a key")
		}
	})
}

// TestVaultPolicyOfTheManualIsMinimal takes every path out of it in turn: something must be missing then.
func TestVaultPolicyOfTheManualIsMinimal(t *testing.T) {
	v := servers.MustVault(t)
	vaultKey(t, v, "s3veil")
	whole := vaultPolicy(t)
	root := openTransit(t, transit.Options{Address: v.Address, Key: "s3veil", Token: transit.Secret(v.Root)})
	_, blob, err := root.Generate(t.Context(), "s3veil", realm)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range append(strings.Split(strings.TrimSpace(whole), "\n"), "nothing") {
		login := appRole(t, v, map[string]string{"s3veil": strings.ReplaceAll(whole, line, "")}, nil)
		p := openTransit(t, transit.Options{Address: v.Address, Key: "s3veil", AppRole: login})
		refused := 0
		_, _, err1 := p.Generate(t.Context(), "s3veil", realm)
		_, err2 := p.Unwrap(t.Context(), "s3veil", blob, realm)
		_, err3 := p.Wrap(t.Context(), "s3veil", base.Key32{1}, realm)
		_, _, err4 := p.Rewrap(t.Context(), "s3veil", "s3veil", blob, realm)
		for _, err := range []error{err1, err2, err3, err4} {
			if errors.Is(err, base.ErrAccessDenied) {
				refused++
			} else if err != nil {
				t.Errorf("without %s: %v", line, err)
			}
		}
		if (refused == 0) != (line == "nothing") {
			t.Errorf("without %s: %d calls refused", line, refused)
		}
	}
}

func TestVaultKeyVersions(t *testing.T) {
	v := servers.MustVault(t)
	vaultKey(t, v, "s3veil")
	p := openTransit(t, transit.Options{Address: v.Address, Key: "s3veil", AppRole: appRole(t, v, map[string]string{"s3veil": vaultPolicy(t)}, nil)})
	key, first, err := p.Generate(t.Context(), "s3veil", realm)
	if err != nil {
		t.Fatal(err)
	}
	v.Must(t, "POST", "transit/keys/s3veil/rotate", nil, nil)
	if back, err := p.Unwrap(t.Context(), "s3veil", first, realm); err != nil || back != key {
		t.Errorf("after a rotation: %v", err)
	}
	second, changed, err := p.Rewrap(t.Context(), "s3veil", "s3veil", first, realm)
	if err != nil || !changed || !strings.HasPrefix(string(second), "vault:v2:") {
		t.Fatalf("rewrap: %q, %v, %v", second, changed, err)
	}
	v.Must(t, "POST", "transit/keys/s3veil/config", map[string]any{"min_decryption_version": 2}, nil)
	if _, err := p.Unwrap(t.Context(), "s3veil", first, realm); !errors.Is(err, base.ErrKeyDisabled) {
		t.Errorf("a retired version: %v", err)
	}
	if back, err := p.Unwrap(t.Context(), "s3veil", second, realm); err != nil || back != key {
		t.Errorf("the new version: %v", err)
	}
	// Vault opens version 0 as version 1; s3veil accepts one spelling of a blob.
	v.Must(t, "POST", "transit/keys/s3veil/config", map[string]any{"min_decryption_version": 1}, nil)
	forged := strings.Replace(string(first), "vault:v1:", "vault:v0:", 1)
	body := map[string]any{"ciphertext": forged, "context": base64.StdEncoding.EncodeToString(realm.Canonical())}
	if err := v.Do("POST", "transit/decrypt/s3veil", body, nil); err != nil {
		t.Errorf("Vault itself: %v", err)
	}
	if _, err := p.Unwrap(t.Context(), "s3veil", []byte(forged), realm); !errors.Is(err, base.ErrBadCiphertext) {
		t.Errorf("version 0: %v", err)
	}
}

func TestVaultKeysThatIgnoreTheContextAreRefused(t *testing.T) {
	v := servers.MustVault(t)
	v.Must(t, "POST", "transit/keys/flat", map[string]any{}, nil)
	v.Must(t, "POST", "transit/keys/signing", map[string]any{"type": "ed25519"}, nil)
	v.Must(t, "POST", "transit/keys/rsa", map[string]any{"type": "rsa-2048"}, nil)
	p := openTransit(t, transit.Options{Address: v.Address, Key: "flat", Token: transit.Secret(v.Root)})
	for key, class := range map[string]error{"flat": base.ErrKeyDisabled, "signing": base.ErrAccessDenied, "rsa": base.ErrKeyDisabled} {
		if _, _, err := p.Generate(t.Context(), key, realm); !errors.Is(err, class) {
			t.Errorf("%s: %v", key, err)
		}
		if _, err := p.Wrap(t.Context(), key, base.Key32{1}, realm); !errors.Is(err, class) {
			t.Errorf("%s: Wrap: %v", key, err)
		}
	}
}

func TestVaultThrottles(t *testing.T) {
	v := servers.MustVault(t)
	vaultKey(t, v, "s3veil")
	p := openTransit(t, transit.Options{Address: v.Address, Key: "s3veil", Token: transit.Secret(v.Root)})
	if err := p.Health(t.Context()); err != nil {
		t.Fatal(err)
	}
	v.Must(t, "POST", "sys/quotas/rate-limit/transit", map[string]any{"path": "transit/", "rate": 1, "interval": "1h"}, nil)
	var err error
	for range 5 {
		err = p.Health(t.Context())
	}
	if !errors.Is(err, base.ErrThrottled) {
		t.Errorf("%v", err)
	}
	v.Must(t, "DELETE", "sys/quotas/rate-limit/transit", nil, nil)
	if err := p.Health(t.Context()); err != nil {
		t.Errorf("without the quota: %v", err)
	}
}

// eventually waits until a call succeeds; every failure before must have one class.
func eventually(t *testing.T, what string, class error, call func() error) {
	t.Helper()
	deadline := time.Now().Add(40 * time.Second)
	for {
		err := call()
		if err == nil {
			return
		}
		if !errors.Is(err, class) || time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// TestVaultSessions: tokens that end, tokens that are revoked, a server that is sealed and opened again.
func TestVaultSessions(t *testing.T) {
	v := servers.MustVault(t)
	vaultKey(t, v, "s3veil")
	policies := map[string]string{"s3veil": vaultPolicy(t)}
	login := appRole(t, v, policies, map[string]any{"token_ttl": "2s", "token_max_ttl": "6s"})
	short := openTransit(t, transit.Options{Address: v.Address, Key: "s3veil", AppRole: login})
	login = appRole(t, v, policies, map[string]any{"token_ttl": "1h", "token_max_ttl": "24h"})
	long := openTransit(t, transit.Options{Address: v.Address, Key: "s3veil", AppRole: login})
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if err := short.Health(t.Context()); err != nil { // renewed and replaced in time: no call may notice
			t.Fatalf("tokens of two seconds: %v", err)
		}
		if err := long.Health(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	v.Must(t, "PUT", "sys/leases/revoke-prefix/auth/approle/login", nil, nil)
	eventually(t, "after revocation", base.ErrAccessDenied, func() error { return long.Health(t.Context()) })
	v.Seal(t)
	if err := long.Health(t.Context()); !errors.Is(err, base.ErrUnavailable) || !strings.Contains(err.Error(), "sealed") {
		t.Errorf("sealed: %v", err)
	}
	v.Unseal(t)
	eventually(t, "unsealed", base.ErrUnavailable, func() error { return long.Health(t.Context()) })
}

// TestVaultKubernetesLogin: Vault asks the API server of the cluster who a service account's token belongs to. That server is a
// double here, which knows one token.
func TestVaultKubernetesLogin(t *testing.T) {
	const name = "system:serviceaccount:storage:s3veil"
	jwt, public := serviceAccountToken(t)
	reviews := 0
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review map[string]any
		if r.URL.Path != "/apis/authentication.k8s.io/v1/tokenreviews" || json.NewDecoder(r.Body).Decode(&review) != nil {
			http.NotFound(w, r)
			return
		}
		reviews++
		spec, _ := review["spec"].(map[string]any)
		review["status"] = map[string]any{"authenticated": spec["token"] == jwt, "user": map[string]any{"username": name, "uid": "u-1",
			"groups": []string{"system:serviceaccounts"}}}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(review)
	}))
	defer api.Close()
	v := servers.MustVault(t)
	vaultKey(t, v, "s3veil")
	v.Must(t, "PUT", "sys/policies/acl/s3veil", map[string]any{"policy": vaultPolicy(t)}, nil)
	v.Must(t, "POST", "sys/auth/kubernetes", map[string]any{"type": "kubernetes"}, nil)
	v.Must(t, "POST", "auth/kubernetes/config", map[string]any{"kubernetes_host": api.URL, "token_reviewer_jwt": jwt,
		"kubernetes_ca_cert":   string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw})),
		"disable_local_ca_jwt": true, "pem_keys": []string{public}}, nil)
	v.Must(t, "POST", "auth/kubernetes/role/s3veil", map[string]any{"bound_service_account_names": []string{"s3veil"},
		"bound_service_account_namespaces": []string{"storage"}, "token_policies": []string{"s3veil"}}, nil)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(jwt), 0o644); err != nil {
		t.Fatal(err)
	}
	p := openTransit(t, transit.Options{Address: v.Address, Key: "s3veil", Kubernetes: transit.Kubernetes{Role: "s3veil", TokenFile: file}})
	if err := p.Health(t.Context()); err != nil {
		t.Error(err)
	}
	other := openTransit(t, transit.Options{Address: v.Address, Key: "s3veil", Kubernetes: transit.Kubernetes{Role: "another", TokenFile: file}})
	if err := other.Health(t.Context()); !errors.Is(err, base.ErrAccessDenied) {
		t.Errorf("another role: %v", err)
	}
	if reviews == 0 {
		t.Error("nobody has asked who the token belongs to")
	}
}

// serviceAccountToken is a token as Kubernetes makes it, and the public key of its signature.
func serviceAccountToken(t *testing.T) (jwt, public string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	claims := fmt.Sprintf(`{"iss":"kubernetes/serviceaccount","sub":"system:serviceaccount:storage:s3veil","exp":%d,"iat":%d,
		"kubernetes.io":{"namespace":"storage","serviceaccount":{"name":"s3veil","uid":"u-1"}}}`, time.Now().Add(time.Hour).Unix(), time.Now().Unix())
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	return text + "." + signES256(t, key, text), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func signES256(t *testing.T, key *ecdsa.PrivateKey, text string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	raw := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return base64.RawURLEncoding.EncodeToString(raw)
}
