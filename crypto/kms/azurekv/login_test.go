package azurekv

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/kmstest"
)

// authority is the token endpoint of Microsoft Entra ID.
type authority struct {
	mu     sync.Mutex
	forms  []url.Values
	status int
	url    string
}

const tenant = "11111111-2222-3333-4444-555555555555"

func newAuthority(t testing.TB) (*authority, *http.Client) {
	a := &authority{status: 200}
	srv := httptest.NewTLSServer(a)
	t.Cleanup(srv.Close)
	a.url = srv.URL
	return a, srv.Client()
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	base := a.url + "/" + tenant
	switch {
	case strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration"):
		_ = json.NewEncoder(w).Encode(map[string]any{"authorization_endpoint": base + "/oauth2/v2.0/authorize",
			"token_endpoint": base + "/oauth2/v2.0/token", "issuer": base + "/v2.0"})
	case strings.HasSuffix(r.URL.Path, "/oauth2/v2.0/token"):
		_ = r.ParseForm()
		a.forms = append(a.forms, r.PostForm)
		if a.status != 200 {
			w.WriteHeader(a.status)
			_ = json.NewEncoder(w).Encode(map[string]any{"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret."})
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"token_type": "Bearer", "expires_in": 3600, "access_token": fmt.Sprintf("entra-%d", len(a.forms))})
	default:
		w.WriteHeader(404)
	}
}

func TestLoginBySecretAndByWorkloadIdentity(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("a service account's token"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		identity Identity
		field    string
		value    string
	}{
		"secret":            {Identity{Secret: "hush"}, "client_secret", "hush"},
		"workload identity": {Identity{TokenFile: file}, "client_assertion", "a service account's token"},
	} {
		t.Run(name, func(t *testing.T) {
			f, endpoint := newFake(t)
			f.create("main")
			f.token = "entra-1"
			a, client := newAuthority(t)
			o := options(hsm+"/keys/main", endpoint)
			o.Identity = c.identity
			o.Identity.Tenant, o.Identity.ClientID, o.Identity.authority, o.Identity.client = tenant, "app", a.url, client
			p := open(t, o)
			for range 3 {
				if err := p.Health(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if len(a.forms) != 1 {
				t.Fatalf("%d logins", len(a.forms))
			}
			form := a.forms[0]
			if form.Get(c.field) != c.value || form.Get("client_id") != "app" || !strings.Contains(form.Get("scope"), "https://managedhsm.azure.net/.default") {
				t.Errorf("form %v", form)
			}
		})
	}
}

func TestRefusedLoginsHaveTheirClass(t *testing.T) {
	for status, want := range map[int]error{401: kms.ErrAccessDenied, 400: kms.ErrAccessDenied, 429: kms.ErrThrottled, 503: kms.ErrUnavailable} {
		_, endpoint := newFake(t)
		a, client := newAuthority(t)
		a.status = status
		o := options(hsm+"/keys/main", endpoint)
		o.Identity = Identity{Secret: "hush", Tenant: tenant, ClientID: "app", authority: a.url, client: client}
		err := open(t, o).Health(t.Context())
		if !errors.Is(err, want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestTokensAreReplaced(t *testing.T) {
	f, endpoint := newFake(t)
	f.create("main")
	source := &tokens{life: time.Hour}
	o := options(hsm+"/keys/main", endpoint)
	o.Identity = Identity{source: source}
	p := open(t, o)
	if err := p.Health(t.Context()); err != nil || source.n != 1 {
		t.Fatalf("%d tokens, %v", source.n, err)
	}
	f.lock(func() { f.token = "token-2" })
	if err := p.Health(t.Context()); !errors.Is(err, kms.ErrAccessDenied) || source.n != 1 {
		t.Errorf("a fresh token was replaced: %d tokens, %v", source.n, err)
	}
	p.login.current.got = time.Now().Add(-time.Minute)
	if err := p.Health(t.Context()); err != nil || source.n != 2 {
		t.Errorf("a refused token was kept: %d tokens, %v", source.n, err)
	}
	f.lock(func() { f.token = "" })
	p.login.current.token.ExpiresOn = time.Now().Add(time.Minute)
	if err := p.Health(t.Context()); err != nil || source.n != 3 {
		t.Errorf("a token about to end: %d tokens, %v", source.n, err)
	}
	p.login.current.token.ExpiresOn = time.Now().Add(time.Minute)
	source.err = errors.New("no authority")
	if err := p.Health(t.Context()); err != nil {
		t.Errorf("a token that is still good: %v", err)
	}
	p.login.current.token.ExpiresOn = time.Now().Add(-time.Minute)
	if err := p.Health(t.Context()); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("no token: %v", err)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	text := fmt.Sprintf("%v %+v %#v %s", Identity{Secret: "hush"}, Identity{Secret: "hush"}, Identity{Secret: "hush"}, Secret("hush"))
	if strings.Contains(text, "hush") {
		t.Error(text)
	}
}

// TestOneRequestPerTry: keycache repeats what is worth it.
func TestOneRequestPerTry(t *testing.T) {
	f, endpoint := newFake(t)
	f.create("main")
	p := open(t, options(hsm+"/keys/main", endpoint))
	for _, fault := range []kmstest.Fault{kmstest.Throttle, kmstest.ServerError, kmstest.NoAnswer} {
		undo := f.set(fault)
		before := f.calls()
		if _, _, err := p.Generate(t.Context(), p.key, realm()); err == nil {
			t.Error("no error")
		}
		if n := f.calls() - before; n != 1 {
			t.Errorf("fault %d: %d requests", fault, n)
		}
		undo()
	}
}
