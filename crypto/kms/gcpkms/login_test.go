package gcpkms_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/gcpkms"
)

// noDefaults takes away what the machine may have as application default credentials.
func noDefaults(t *testing.T) {
	t.Helper()
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("HOME", t.TempDir())
	t.Setenv("APPDATA", t.TempDir())
}

func works(t *testing.T, what string, p *gcpkms.Provider) {
	t.Helper()
	if err := p.Health(t.Context()); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

func TestDefaultCredentialsOfTheEnvironment(t *testing.T) {
	f := newFake(t, "a")
	noDefaults(t)
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", f.serviceAccount(t, map[string]any{"quota_project_id": "payer"}))
	works(t, "with a service account", open(t, gcpkms.Options{Key: ring + "a", Endpoint: f.URL}))
	if !f.charged["payer"] || f.grants != 1 {
		t.Errorf("charged %v, %d tokens", f.charged, f.grants)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(t.TempDir(), "absent"))
	expect(t, "without the file", open(t, gcpkms.Options{Key: ring + "a", Endpoint: f.URL}).Health(t.Context()), kms.ErrAccessDenied)
}

func TestDefaultCredentialsOfGcloud(t *testing.T) {
	f := newFake(t, "a")
	noDefaults(t)
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("APPDATA", filepath.Join(home, ".config"))
	text, err := os.ReadFile(f.serviceAccount(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(home, ".config", "gcloud")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "application_default_credentials.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	works(t, "with the file of gcloud", open(t, gcpkms.Options{Key: ring + "a", Endpoint: f.URL}))
}

func TestDefaultCredentialsOfGoogleCloud(t *testing.T) {
	f := newFake(t, "a")
	noDefaults(t)
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(f.URL, "http://"))
	works(t, "with the metadata server", open(t, gcpkms.Options{Key: ring + "a", Endpoint: f.URL}))
}

// Workload identity federation: a token of another cloud or of Kubernetes is exchanged for one of Google.
func TestWorkloadIdentityFederation(t *testing.T) {
	f := newFake(t, "a")
	subject := filepath.Join(t.TempDir(), "subject")
	if err := os.WriteFile(subject, []byte("jwt"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got string
	exchange := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.FormValue("subject_token")
		f.set(func() { f.serveToken(w) })
	}))
	defer exchange.Close()
	file := filepath.Join(t.TempDir(), "federation.json")
	text := fmt.Sprintf(`{"type":"external_account","audience":"//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
		"subject_token_type":"urn:ietf:params:oauth:token-type:jwt","token_url":%q,"credential_source":{"file":%q}}`, exchange.URL, subject)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil { // no secret: it may be a ConfigMap
		t.Fatal(err)
	}
	p := open(t, gcpkms.Options{Key: ring + "a", Endpoint: f.URL, CredentialsFile: file})
	works(t, "with an exchanged token", p)
	if got != "jwt" {
		t.Errorf("exchanged %q", got)
	}
}

func TestCredentialFilesThatCannotBeUsed(t *testing.T) {
	f := newFake(t, "a")
	open644 := f.serviceAccount(t, nil)
	if err := os.Chmod(open644, 0o644); err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{"absent": "/nonexistent", "for all to read": open644, "not JSON": text,
		"of no known kind": f.serviceAccount(t, map[string]any{"type": "other"})} {
		err := open(t, gcpkms.Options{Key: ring + "a", Endpoint: f.URL, CredentialsFile: file}).Health(t.Context())
		expect(t, name, err, kms.ErrAccessDenied)
	}
	if f.grants != 0 {
		t.Errorf("%d tokens", f.grants)
	}
}

func TestFailuresToObtainATokenHaveTheirClass(t *testing.T) {
	for status, class := range map[int]error{400: kms.ErrAccessDenied, 401: kms.ErrAccessDenied, 403: kms.ErrAccessDenied, 429: kms.ErrThrottled, 500: kms.ErrUnavailable, 503: kms.ErrUnavailable} {
		f := newFake(t, "a")
		f.refuse = status
		p := f.provider(t)
		_, err := p.Unwrap(t.Context(), ring+"a", []byte("blob"), realm)
		expect(t, fmt.Sprint(status), err, class)
		f.set(func() { f.refuse = 0 })
		works(t, "afterwards", p)
	}
}

func TestOneTokenForAllCallers(t *testing.T) {
	f := newFake(t, "a")
	p := f.provider(t)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() { works(t, "at once", p) })
	}
	wg.Wait()
	if f.grants != 1 {
		t.Errorf("%d tokens", f.grants)
	}
}

func TestARevokedTokenIsReplaced(t *testing.T) {
	f := newFake(t, "a")
	p := f.provider(t)
	works(t, "at first", p)
	f.set(func() { f.revoked["1"] = true })
	expect(t, "a young token", p.Health(t.Context()), kms.ErrAccessDenied)
	p.Age(time.Minute)
	works(t, "an older one", p)
	if f.grants != 2 {
		t.Errorf("%d tokens", f.grants)
	}
}

// A token endpoint that hangs must not hold a caller beyond its deadline.
func TestACallerDoesNotWaitForATokenBeyondItsTime(t *testing.T) {
	f := newFake(t, "a")
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hangs.Close()
	defer close(release)
	p := open(t, gcpkms.Options{Key: ring + "a", Endpoint: f.URL, CredentialsFile: f.serviceAccount(t, map[string]any{"token_uri": hangs.URL})})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Health(ctx); err == nil || ctx.Err() == nil {
		t.Errorf("%v", err)
	}
}
