package transit_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/kmstest"
	"s3veil/crypto/kms/transit"
)

var realm = kms.RealmContext("r", nil)

func TestConforms(t *testing.T) {
	f := newFake("a", "b")
	p := provider(t, transit.Options{Address: f.start(t)})
	kmstest.Run(t, kmstest.Subject{Provider: p, Key: "a", Other: "b", Unknown: "nobody", Fault: f.breaks, Answer: f.answers})
	if f.keys["nobody"] != nil {
		t.Error("wrapping under an unknown key created it")
	}
}

// The suite is content with a KMS that knows no context; this one does.
func TestContextIsBoundByTheServer(t *testing.T) {
	f := newFake("a")
	p := provider(t, transit.Options{Address: f.start(t)})
	_, blob, err := p.Generate(t.Context(), "a", realm)
	if err != nil {
		t.Fatal(err)
	}
	for _, ec := range []kms.Context{nil, kms.RealmContext("s", nil), kms.RealmContext("r", kms.Context{"team": "red"})} {
		if key, err := p.Unwrap(t.Context(), "a", blob, ec); !errors.Is(err, kms.ErrBadCiphertext) || key != (kms.Key32{}) {
			t.Errorf("%v: %v", ec, err)
		}
		if _, _, err := p.Rewrap(t.Context(), "a", "a", blob, ec); !errors.Is(err, kms.ErrBadCiphertext) {
			t.Errorf("%v: Rewrap: %v", ec, err)
		}
	}
}

// A key that ignores the context would let a blob move between realms at the server. It must not wrap.
func TestKeysThatIgnoreTheContextAreRefused(t *testing.T) {
	f := newFake("a")
	f.keys["a"].derived = false
	p := provider(t, transit.Options{Address: f.start(t)})
	if key, blob, err := p.Generate(t.Context(), "a", realm); !errors.Is(err, kms.ErrKeyDisabled) || key != (kms.Key32{}) || blob != nil {
		t.Errorf("Generate: %v", err)
	}
	if blob, err := p.Wrap(t.Context(), "a", kms.Key32{1}, realm); !errors.Is(err, kms.ErrKeyDisabled) || blob != nil {
		t.Errorf("Wrap: %v", err)
	}
	if err := p.Health(t.Context()); !errors.Is(err, kms.ErrKeyDisabled) || !strings.Contains(err.Error(), "derived=true") {
		t.Errorf("Health: %v", err)
	}
}

func TestAKeyIsCheckedOnce(t *testing.T) {
	f := newFake("a")
	p := provider(t, transit.Options{Address: f.start(t)})
	for range 5 {
		if _, _, err := p.Generate(t.Context(), "a", realm); err != nil {
			t.Fatal(err)
		}
	}
	if n, m := f.count("transit/datakey/plaintext/a"), f.count("transit/decrypt/a"); n != 5 || m != 1 {
		t.Errorf("%d data keys, %d blobs opened", n, m)
	}
}

// The servers take several spellings of one blob; s3veil takes one, and does not ask the server about the others.
func TestOtherSpellingsOfABlobAreRefused(t *testing.T) {
	f := newFake("a")
	p := provider(t, transit.Options{Address: f.start(t)})
	_, blob, err := p.Generate(t.Context(), "a", realm)
	if err != nil {
		t.Fatal(err)
	}
	before := f.count("transit/decrypt/a")
	sealed := strings.TrimPrefix(string(blob), "vault:v1:")
	for _, text := range []string{"vault:v0:" + sealed, "vault:v01:" + sealed, "vault:v+1:" + sealed, "vault:v1:" + sealed + "\n",
		"vault:v1:" + sealed[:8] + "\r\n" + sealed[8:], "vault:v1:" + strings.TrimRight(sealed, "=") + "====", "vault:v9999999999:" + sealed,
		"Vault:v1:" + sealed, "vault:v1" + sealed, "vault:v1::" + sealed} {
		if _, err := p.Unwrap(t.Context(), "a", []byte(text), realm); !errors.Is(err, kms.ErrBadCiphertext) {
			t.Errorf("%q: %v", text, err)
		}
		if _, _, err := p.Rewrap(t.Context(), "a", "a", []byte(text), realm); !errors.Is(err, kms.ErrBadCiphertext) {
			t.Errorf("%q: Rewrap: %v", text, err)
		}
	}
	if n := f.count("transit/decrypt/a") + f.count("transit/rewrap/a"); n != before {
		t.Errorf("%d calls", n-before)
	}
}

func TestVersionsOfAKey(t *testing.T) {
	f := newFake("a")
	p := provider(t, transit.Options{Address: f.start(t)})
	key, first, err := p.Generate(t.Context(), "a", realm)
	if err != nil {
		t.Fatal(err)
	}
	if out, changed, err := p.Rewrap(t.Context(), "a", "a", first, realm); err != nil || changed || string(out) != string(first) {
		t.Errorf("Rewrap under the newest version: changed %v, %v", changed, err)
	}
	f.rotate("a")
	if back, err := p.Unwrap(t.Context(), "a", first, realm); err != nil || back != key {
		t.Errorf("Unwrap of the old version: %v", err)
	}
	second, changed, err := p.Rewrap(t.Context(), "a", "a", first, realm)
	if err != nil || !changed || !strings.HasPrefix(string(second), "vault:v2:") {
		t.Fatalf("Rewrap: changed %v, %v", changed, err)
	}
	if f.count("transit/encrypt/a") != 0 {
		t.Error("the key left the server to be rewrapped")
	}
	f.set(func() { f.keys["a"].min = 2 })
	if _, err := p.Unwrap(t.Context(), "a", first, realm); !errors.Is(err, kms.ErrKeyDisabled) {
		t.Errorf("Unwrap of a retired version: %v", err)
	}
	if _, _, err := p.Rewrap(t.Context(), "a", "a", first, realm); !errors.Is(err, kms.ErrKeyDisabled) {
		t.Errorf("Rewrap of a retired version: %v", err)
	}
	if back, err := p.Unwrap(t.Context(), "a", second, realm); err != nil || back != key {
		t.Errorf("Unwrap of the new version: %v", err)
	}
}

func TestClassesOfRefusals(t *testing.T) {
	for _, c := range []struct {
		status  int
		text    string
		key     error // of calls without a blob
		blob    error // of calls with one
		comment string
	}{
		{400, "encryption key not found", kms.ErrKeyNotFound, kms.ErrKeyNotFound, "missing key"},
		{400, "ciphertext or signature version is disallowed by policy (too old)", kms.ErrKeyDisabled, kms.ErrKeyDisabled, "retired version"},
		{400, "message encryption not supported for key type ed25519", kms.ErrAccessDenied, kms.ErrBadCiphertext, "signing key"},
		{400, "cipher: message authentication failed", kms.ErrAccessDenied, kms.ErrBadCiphertext, "forged"},
		{403, "permission denied", kms.ErrAccessDenied, kms.ErrAccessDenied, "policy"},
		{404, "no handler for route", kms.ErrKeyNotFound, kms.ErrKeyNotFound, "no such engine"},
		{405, "unsupported operation", kms.ErrAccessDenied, kms.ErrAccessDenied, "something else"},
		{412, "required index state not present", kms.ErrUnavailable, kms.ErrUnavailable, "replica lags"},
		{429, "request path rate limit quota exceeded", kms.ErrThrottled, kms.ErrThrottled, "quota"},
		{500, "internal error", kms.ErrUnavailable, kms.ErrUnavailable, "internal"},
		{503, "Vault is sealed", kms.ErrUnavailable, kms.ErrUnavailable, "sealed"},
	} {
		t.Run(c.comment, func(t *testing.T) {
			f := newFake("a")
			p := provider(t, transit.Options{Address: f.start(t)})
			_, blob, err := p.Generate(t.Context(), "a", realm)
			if err != nil {
				t.Fatal(err)
			}
			f.set(func() {
				f.hook = func(path string) (int, string) {
					if strings.HasPrefix(path, "transit/") {
						return c.status, c.text
					}
					return 0, ""
				}
			})
			_, _, err = p.Generate(t.Context(), "a", realm)
			expect(t, "Generate", err, c.key, c.text)
			_, err = p.Wrap(t.Context(), "a", kms.Key32{1}, realm)
			expect(t, "Wrap", err, c.key, c.text)
			_, err = p.Unwrap(t.Context(), "a", blob, realm)
			expect(t, "Unwrap", err, c.blob, c.text)
			_, _, err = p.Rewrap(t.Context(), "a", "a", blob, realm)
			expect(t, "Rewrap", err, c.blob, c.text)
			expect(t, "Health", p.Health(t.Context()), c.key, c.text)
		})
	}
}

// expect checks that err has one class and tells the operator what the server said.
func expect(t *testing.T, what string, err, class error, text string) {
	t.Helper()
	for _, one := range []error{kms.ErrAccessDenied, kms.ErrKeyDisabled, kms.ErrKeyNotFound, kms.ErrThrottled, kms.ErrUnavailable, kms.ErrBadCiphertext} {
		if errors.Is(err, one) != (one == class) {
			t.Errorf("%s: %v is or is not %v", what, err, one)
		}
	}
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: %v does not say %q", what, err, text)
	}
}

func TestAServerThatAnswersNonsenseIsUnavailable(t *testing.T) {
	bodies := []string{"", "<html>", `{"data":null}`, `{"data":{"plaintext":"AAAA","ciphertext":"vault:v1:AAAA"}}`, `{"data":{"plaintext":7}}`,
		`{"data":{"plaintext":"` + strings.Repeat("A", 1<<20) + `"}}`}
	var body string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
	defer s.Close()
	p := provider(t, transit.Options{Address: s.URL})
	for _, body = range bodies {
		if key, blob, err := p.Generate(t.Context(), "a", realm); !errors.Is(err, kms.ErrUnavailable) || key != (kms.Key32{}) || blob != nil {
			t.Errorf("Generate, answer %.40q: %v", body, err)
		}
	}
}

func TestABlobOfSomethingElseIsBadCiphertext(t *testing.T) {
	f := newFake("a")
	p := provider(t, transit.Options{Address: f.start(t)})
	blob := f.keys["a"].seal(realm.Canonical(), make([]byte, 33))
	if key, err := p.Unwrap(t.Context(), "a", []byte(blob), realm); !errors.Is(err, kms.ErrBadCiphertext) || key != (kms.Key32{}) {
		t.Errorf("33 bytes: %v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	s := httptest.NewServer(nil)
	s.Close()
	p := provider(t, transit.Options{Address: s.URL})
	if err := p.Health(t.Context()); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Health(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestNamespaceGoesAlong(t *testing.T) {
	f := newFake("a")
	f.namespace = "team/storage"
	address := f.start(t)
	if err := provider(t, transit.Options{Address: address, Namespace: "team/storage"}).Health(t.Context()); err != nil {
		t.Error(err)
	}
	if err := provider(t, transit.Options{Address: address}).Health(t.Context()); !errors.Is(err, kms.ErrKeyNotFound) {
		t.Errorf("without: %v", err)
	}
}

func TestTheServerMustBeTrusted(t *testing.T) {
	f := newFake("a")
	s := httptest.NewUnstartedServer(f)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	if err := provider(t, transit.Options{Address: s.URL, TLS: &tls.Config{RootCAs: pool}}).Health(t.Context()); err != nil {
		t.Error(err)
	}
	if err := provider(t, transit.Options{Address: s.URL}).Health(t.Context()); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("with the system's authorities: %v", err)
	}
	if len(f.calls) != 3 {
		t.Errorf("calls %v", f.calls)
	}
}

func TestRedirectsOfStandbyNodes(t *testing.T) {
	f := newFake("a")
	active := f.start(t)
	standby := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, active+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer standby.Close()
	if err := provider(t, transit.Options{Address: standby.URL}).Health(t.Context()); err != nil {
		t.Error(err)
	}
	secure := httptest.NewTLSServer(standby.Config.Handler)
	defer secure.Close()
	cfg := secure.Client().Transport.(*http.Transport).TLSClientConfig
	if err := provider(t, transit.Options{Address: secure.URL, TLS: cfg}).Health(t.Context()); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("from https to http: %v", err)
	}
}

// HTTP_PROXY and HTTPS_PROXY may name s3veil itself.
func TestProxiesOfTheEnvironmentAreIgnored(t *testing.T) {
	if provider(t, transit.Options{Address: "https://vault:8200"}).UsesProxy() {
		t.Error("a proxy comes between")
	}
}

func TestNewRefuses(t *testing.T) {
	good := transit.Options{Address: "https://vault:8200", Key: "a", Token: "t"}
	for name, change := range map[string]func(*transit.Options){
		"no address":                func(o *transit.Options) { o.Address = "" },
		"no scheme":                 func(o *transit.Options) { o.Address = "vault:8200" },
		"other scheme":              func(o *transit.Options) { o.Address = "ftp://vault:8200" },
		"password":                  func(o *transit.Options) { o.Address = "https://a:b@vault:8200" },
		"query":                     func(o *transit.Options) { o.Address = "https://vault:8200/?a" },
		"clear text over a network": func(o *transit.Options) { o.Address = "http://vault:8200" },
		"clear text to an address":  func(o *transit.Options) { o.Address = "http://192.0.2.1:8200" },
		"mount with dots":           func(o *transit.Options) { o.Mount = "../sys" },
		"mount with a slash":        func(o *transit.Options) { o.Mount = "/transit" },
		"no key":                    func(o *transit.Options) { o.Key = "" },
		"key with a path":           func(o *transit.Options) { o.Key = "a/../b" },
		"no token":                  func(o *transit.Options) { o.Token = "" },
		"two tokens":                func(o *transit.Options) { o.TokenFile = "/x" },
		"token and AppRole":         func(o *transit.Options) { o.AppRole = transit.AppRole{RoleID: "r"} },
		"AppRole without a role id": func(o *transit.Options) { o.Token, o.AppRole = "", transit.AppRole{} },
		"AppRole with two secrets": func(o *transit.Options) {
			o.Token, o.AppRole = "", transit.AppRole{RoleID: "r", SecretID: "s", SecretIDFile: "f"}
		},
		"Kubernetes without a role": func(o *transit.Options) { o.Token, o.Kubernetes = "", transit.Kubernetes{} },
		"AppRole beside Kubernetes": func(o *transit.Options) {
			o.Token, o.AppRole, o.Kubernetes = "", transit.AppRole{RoleID: "r"}, transit.Kubernetes{Role: "r"}
		},
		"AppRole at a strange mount": func(o *transit.Options) { o.Token, o.AppRole = "", transit.AppRole{RoleID: "r", Mount: "a/../b"} },
	} {
		o := good
		change(&o)
		if _, err := transit.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, address := range []string{"https://vault:8200", "https://vault:8200/", "https://gate/vault", "http://127.0.0.1:8200", "http://[::1]:8200", "http://localhost:8200"} {
		o := good
		o.Address = address
		if _, err := transit.New(o); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// Keys come from the configuration, and from requests that name one: no name may lead to another endpoint.
func TestNamesOfKeysStayInTheirPath(t *testing.T) {
	f := newFake("a")
	p := provider(t, transit.Options{Address: f.start(t)})
	for _, name := range []string{"", ".", "..", "a/b", "../keys/a", "a?b", "a%2fb", "a\n", "-a"} {
		if _, _, err := p.Generate(t.Context(), name, realm); !errors.Is(err, kms.ErrKeyNotFound) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if len(f.calls) != 0 {
		t.Errorf("calls %v", f.calls)
	}
}

func TestSecretsDoNotPrintThemselves(t *testing.T) {
	o := transit.Options{Token: "hvs.secret", AppRole: transit.AppRole{SecretID: "hvs.secret"}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if text := fmt.Sprintf(verb, o) + fmt.Sprintf(verb, &o); strings.Contains(text, "hvs.secret") || strings.Contains(text, fmt.Sprintf("%x", "hvs.secret")) {
			t.Errorf("%s: %s", verb, text)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func tempFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	write(t, path, text)
	return path
}
