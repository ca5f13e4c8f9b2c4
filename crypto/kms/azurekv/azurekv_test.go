package azurekv

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/kmstest"
)

func options(key, endpoint string) Options {
	return Options{Key: key, Endpoint: endpoint, Identity: Identity{source: &tokens{life: time.Hour}}}
}

func open(t testing.TB, o Options) *Provider {
	t.Helper()
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestSymmetricKeysKeepTheContract(t *testing.T) {
	f, url := newFake(t)
	for _, name := range []string{"main", "other", "off", "gone"} {
		f.create(name)
	}
	kmstest.Run(t, kmstest.Subject{Provider: open(t, options(hsm+"/keys/main", url)), Key: hsm + "/keys/main", Other: hsm + "/keys/other",
		Unknown: hsm + "/keys/none", Disabled: hsm + "/keys/off", Deleted: hsm + "/keys/gone", Fault: f.set, Answer: f.answer,
		Disable: func() { f.lock(func() { f.disabled["off"] = true }) }, Delete: func() { f.lock(func() { f.deleted["gone"] = true }) }})
}

// family are the providers of several RSA keys: each has a file of its own.
type family map[string]*Provider

func (f family) of(kek string) *Provider          { return f[kek] }
func (f family) Name() string                     { return "azurekv" }
func (f family) Health(ctx context.Context) error { return f[vault+"/keys/rsa-main"].Health(ctx) }
func (f family) Generate(ctx context.Context, kek string, ec kms.Context) (kms.Key32, []byte, error) {
	return f.of(kek).Generate(ctx, kek, ec)
}
func (f family) Wrap(ctx context.Context, kek string, key kms.Key32, ec kms.Context) ([]byte, error) {
	return f.of(kek).Wrap(ctx, kek, key, ec)
}
func (f family) Unwrap(ctx context.Context, kek string, wrapped []byte, ec kms.Context) (kms.Key32, error) {
	return f.of(kek).Unwrap(ctx, kek, wrapped, ec)
}

// rsaKey makes a key and its file.
func rsaKey(t testing.TB, f *fake, url, name string) Options {
	t.Helper()
	f.create(name)
	o := options(vault+"/keys/"+name, url)
	o.File = filepath.Join(t.TempDir(), name+".json")
	if err := MakeFile(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestRSAKeysKeepTheContract(t *testing.T) {
	f, url := newFake(t)
	all := family{}
	for _, name := range []string{"rsa-main", "rsa-other", "rsa-off", "rsa-gone", "rsa-none"} {
		all[vault+"/keys/"+name] = open(t, rsaKey(t, f, url, name))
	}
	delete(f.keys, "rsa-none")
	kmstest.Run(t, kmstest.Subject{Provider: all, Key: vault + "/keys/rsa-main", Other: vault + "/keys/rsa-other",
		Unknown: vault + "/keys/rsa-none", Disabled: vault + "/keys/rsa-off", Deleted: vault + "/keys/rsa-gone", Fault: f.set, Answer: f.answer,
		Disable: func() { f.lock(func() { f.disabled["rsa-off"] = true }) }, Delete: func() { f.lock(func() { f.deleted["rsa-gone"] = true }) }})
}

// TestRSAKeysWrapNoIntermediateKey: who has the public half must not be able to make a blob (FORMAT.md B.1).
func TestRSAKeysWrapNoIntermediateKey(t *testing.T) {
	f, url := newFake(t)
	o := rsaKey(t, f, url, "rsa")
	p := open(t, o)
	forged, _, err := p.call(t.Context(), "rsa", "", "wrapkey", algRSA, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Unwrap(t.Context(), o.Key, forged, realm()); !errors.Is(err, kms.ErrBadCiphertext) {
		t.Errorf("a blob by the public half: %v", err)
	}
	f.seen = nil
	_, blob, err := p.Generate(t.Context(), o.Key, realm())
	if err != nil || len(blob) != kms.BlobSize {
		t.Fatalf("%d bytes, %v", len(blob), err)
	}
	for _, path := range f.seen {
		if !strings.HasSuffix(path, "/unwrapkey") {
			t.Errorf("%s was asked for", path)
		}
	}
	o.File = ""
	if _, err := New(o); err == nil || !strings.Contains(err.Error(), "no symmetric keys") {
		t.Errorf("a key of a vault without a file: %v", err)
	}
}

func realm() kms.Context { return kms.RealmContext("r", nil) }

func TestFileOfAnotherKey(t *testing.T) {
	f, url := newFake(t)
	o := rsaKey(t, f, url, "rsa")
	f.create("rsa-other")
	p := open(t, o)
	_, blob, err := p.Generate(t.Context(), o.Key, realm())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Unwrap(t.Context(), vault+"/keys/rsa-other", blob, realm()); !errors.Is(err, kms.ErrKeyNotFound) {
		t.Errorf("Unwrap: %v", err)
	}
	if _, err := p.Wrap(t.Context(), vault+"/keys/rsa-other", kms.Key32{1}, realm()); !errors.Is(err, kms.ErrKeyNotFound) {
		t.Errorf("Wrap: %v", err)
	}
}

// TestContextIsBoundByTheFilesKey: B.3 binds more than a vault could.
func TestContextIsBoundByTheFilesKey(t *testing.T) {
	f, url := newFake(t)
	o := rsaKey(t, f, url, "rsa")
	p := open(t, o)
	_, blob, err := p.Generate(t.Context(), o.Key, kms.RealmContext("a", nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Unwrap(t.Context(), o.Key, blob, kms.RealmContext("b", nil)); !errors.Is(err, kms.ErrBadCiphertext) {
		t.Errorf("another realm: %v", err)
	}
}

func TestBlobsOutliveRotation(t *testing.T) {
	f, url := newFake(t)
	f.create("main")
	p := open(t, options(hsm+"/keys/main", url))
	rsa := rsaKey(t, f, url, "rsa")
	q := open(t, rsa)
	key, old, err := p.Generate(t.Context(), p.key, realm())
	if err != nil {
		t.Fatal(err)
	}
	keyR, oldR, err := q.Generate(t.Context(), rsa.Key, realm())
	if err != nil {
		t.Fatal(err)
	}
	f.create("main")
	f.create("rsa")
	if back, err := p.Unwrap(t.Context(), p.key, old, realm()); err != nil || back != key {
		t.Errorf("symmetric: %v", err)
	}
	if back, err := q.Unwrap(t.Context(), rsa.Key, oldR, realm()); err != nil || back != keyR {
		t.Errorf("RSA: %v", err)
	}
	_, fresh, err := p.Generate(t.Context(), p.key, realm())
	if err != nil || bytes.Equal(fresh[1:17], old[1:17]) {
		t.Errorf("the new version does not wrap: %v", err)
	}
	if want := "/keys/main/" + hex.EncodeToString(old[1:17]) + "/unwrapkey"; !slices.Contains(f.seen, want) {
		t.Errorf("requests %q, want %s", f.seen, want)
	}
}

func TestAnswersOfAnotherKeyAreRefused(t *testing.T) {
	f, url := newFake(t)
	f.create("main")
	p := open(t, options(hsm+"/keys/main", url))
	_, blob, err := p.Generate(t.Context(), p.key, realm())
	if err != nil {
		t.Fatal(err)
	}
	v := strings.Repeat("0", 32)
	for _, kid := range []string{hsm + "/keys/other/" + v, hsm + "/keys/main/" + v, hsm + "/keys/main", hsm + "/keys/main/x", "%"} {
		f.lock(func() { f.rename = kid })
		if key, err := p.Unwrap(t.Context(), p.key, blob, realm()); !errors.Is(err, kms.ErrUnavailable) || key != (kms.Key32{}) {
			t.Errorf("%s: %v", kid, err)
		}
	}
}

func TestErrorClasses(t *testing.T) {
	for _, c := range []struct {
		e    answerError
		want error
	}{
		{answerError{403, "Forbidden", "KeyDisabled", ""}, kms.ErrKeyDisabled},
		{answerError{403, "Forbidden", "", "Operation unwrapKey is not allowed on a disabled key."}, kms.ErrKeyDisabled},
		{answerError{403, "Forbidden", "", "Operation wrapKey is not allowed on an expired key."}, kms.ErrKeyDisabled},
		{answerError{403, "Forbidden", "ForbiddenByRbac", "Caller is not authorized"}, kms.ErrAccessDenied},
		{answerError{403, "Forbidden", "ForbiddenByFirewall", "Client address is not authorized"}, kms.ErrAccessDenied},
		{answerError{403, "", "", ""}, kms.ErrUnavailable},
		{answerError{401, "Unauthorized", "", ""}, kms.ErrAccessDenied},
		{answerError{404, "KeyNotFound", "", ""}, kms.ErrKeyNotFound},
		{answerError{404, "", "", ""}, kms.ErrUnavailable},
		{answerError{409, "Conflict", "ObjectIsBeingDeleted", ""}, kms.ErrKeyDisabled},
		{answerError{400, "BadParameter", "", ""}, kms.ErrBadCiphertext},
		{answerError{429, "", "", ""}, kms.ErrThrottled},
		{answerError{408, "x", "", ""}, kms.ErrUnavailable},
		{answerError{500, "InternalError", "", ""}, kms.ErrUnavailable},
		{answerError{301, "", "", ""}, kms.ErrUnavailable},
	} {
		if got := c.e.class(kms.ErrBadCiphertext); got != c.want {
			t.Errorf("%v: %v, want %v", &c.e, got, c.want)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := options(hsm+"/keys/main", "")
	for name, change := range map[string]func(*Options){
		"no key":            func(o *Options) { o.Key = "" },
		"plain http":        func(o *Options) { o.Key = "http://x.managedhsm.azure.net/keys/main" },
		"a version":         func(o *Options) { o.Key += "/" + strings.Repeat("0", 32) },
		"a secret":          func(o *Options) { o.Key = vault + "/secrets/main" },
		"a name to climb":   func(o *Options) { o.Key = hsm + "/keys/.." },
		"http to others":    func(o *Options) { o.Endpoint = "http://10.0.0.1" },
		"endpoint's path":   func(o *Options) { o.Endpoint = "https://localhost/keys" },
		"half an identity":  func(o *Options) { o.Identity.Secret = "s" },
		"a file not there":  func(o *Options) { o.File = "none.json" },
		"symmetric, vault":  func(o *Options) { o.Key = vault + "/keys/main" },
		"symmetric, china":  func(o *Options) { o.Key = "https://a.vault.azure.cn/keys/main" },
		"a user in the key": func(o *Options) { o.Key = "https://u@a.managedhsm.azure.net/keys/main" },
	} {
		o := good
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
	p := open(t, good)
	for _, kek := range []string{"", "main", vault + "/keys/main", hsm + "/keys/", hsm + "/keys/a/b", hsm + "/keys/main?x"} {
		if _, _, err := p.Generate(t.Context(), kek, nil); !errors.Is(err, kms.ErrKeyNotFound) {
			t.Errorf("%q: %v", kek, err)
		}
	}
}

func TestScopes(t *testing.T) {
	for host, want := range map[string]string{
		"a.vault.azure.net": "https://vault.azure.net/.default", "a.managedhsm.azure.net": "https://managedhsm.azure.net/.default",
		"a.vault.azure.cn": "https://vault.azure.cn/.default", "localhost": "https://vault.azure.net/.default", "127.0.0.1": "https://vault.azure.net/.default",
	} {
		if got := scopeOf(host); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}

func TestFilesAreChecked(t *testing.T) {
	f, url := newFake(t)
	o := rsaKey(t, f, url, "rsa")
	good, err := os.ReadFile(o.File)
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(o.File); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if err := MakeFile(t.Context(), o); !errors.Is(err, os.ErrExist) {
		t.Errorf("made twice: %v", err)
	}
	for name, change := range map[string]func(string) string{
		"another key":       func(s string) string { return strings.Replace(s, "/keys/rsa/", "/keys/rsb/", 1) },
		"another vault":     func(s string) string { return strings.Replace(s, "tests.", "other.", 1) },
		"another algorithm": func(s string) string { return strings.Replace(s, "RSA-OAEP-256", "RSA1_5", 1) },
		"unknown member":    func(s string) string { return strings.Replace(s, `"alg"`, `"x":1,"alg"`, 1) },
		"two documents":     func(s string) string { return s + s },
		"not base64":        func(s string) string { return strings.Replace(s, `"value":"`, `"value":"!`, 1) },
		"empty":             func(string) string { return "" },
	} {
		if err := os.WriteFile(o.File, []byte(change(string(good))), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := os.WriteFile(o.File, good, 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, o)
	if err := os.Chmod(o.File, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := New(o); err == nil {
		t.Error("a file that others can read was accepted")
	}
}

func TestNoFileIsLeftWithoutAKey(t *testing.T) {
	f, url := newFake(t)
	f.create("main") // not an RSA key
	o := options(vault+"/keys/main", url)
	o.File = filepath.Join(t.TempDir(), "k.json")
	if err := MakeFile(t.Context(), o); !errors.Is(err, kms.ErrAccessDenied) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(o.File); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file is there: %v", err)
	}
}

// TestKeyWrap checks the fake with the test vector of RFC 3394, 4.6.
func TestKeyWrap(t *testing.T) {
	kek, _ := hex.DecodeString("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F")
	key, _ := hex.DecodeString("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F")
	got, _ := wrapAES(kek, key)
	if want := "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"; hex.EncodeToString(got) != want {
		t.Errorf("got %x", got)
	}
	if back, ok := unwrapAES(kek, got); !ok || !bytes.Equal(back, key) {
		t.Errorf("back %x", back)
	}
}
