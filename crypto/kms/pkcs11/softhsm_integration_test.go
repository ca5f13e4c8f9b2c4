//go:build integration && pkcs11 && cgo

package pkcs11_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	p11 "github.com/miekg/pkcs11"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/kmstest"
	"s3veil/crypto/kms/pkcs11"
)

const (
	userPIN = "123456"
	soPIN   = "87654321"
)

// softhsm is the library of SoftHSM 2, where Debian has it.
const softhsm = "/usr/lib/softhsm/libsofthsm2.so"

// newToken makes a token with keys: label → id. The library reads its configuration when a process first uses it, so all
// tests share one directory of tokens.
func newToken(t *testing.T, keys map[string]string) (label string) {
	t.Helper()
	dir := tokens()
	label = fmt.Sprintf("t%d", time.Now().UnixNano())
	tool(t, dir, "softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", soPIN, "--pin", userPIN)
	for name, id := range keys {
		makeKey(t, label, name, id)
	}
	return label
}

func makeKey(t *testing.T, token, label, id string, more ...string) {
	t.Helper()
	args := []string{"--module", softhsm, "--token-label", token, "--login", "--pin", userPIN, "--keygen", "--key-type", "AES:32", "--id", id, "--label", label}
	tool(t, tokens(), "pkcs11-tool", append(args, more...)...)
}

// tokens is the directory of the process.
var tokens = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "s3veil-softhsm-")
	if err == nil {
		err = os.Mkdir(filepath.Join(dir, "tokens"), 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "softhsm2.conf"), []byte("directories.tokendir = "+dir+"/tokens\nobjectstore.backend = file\nlog.level = ERROR\n"), 0o600)
	}
	if err == nil {
		err = os.Setenv("SOFTHSM2_CONF", filepath.Join(dir, "softhsm2.conf")) // for the library in this process
	}
	if err != nil {
		panic(err)
	}
	return dir
})

func TestMain(m *testing.M) {
	dir := tokens()
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func tool(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+filepath.Join(dir, "softhsm2.conf"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

func pin(text string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(text), nil }
}

func open(t *testing.T, o pkcs11.Options) *pkcs11.Provider {
	t.Helper()
	o.Module = softhsm
	if o.PIN == nil {
		o.PIN = pin(userPIN)
	}
	p, err := pkcs11.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

var ec = kms.RealmContext("realm", kms.Context{"team": "red"})

func TestProviderConforms(t *testing.T) {
	for _, mechanism := range []string{"", pkcs11.GCM, pkcs11.KeyWrapPad, pkcs11.KeyWrap} {
		t.Run("mechanism "+mechanism, func(t *testing.T) {
			token := newToken(t, map[string]string{"one": "01", "two": "02", "idle": "03", "gone": "04"})
			p := open(t, pkcs11.Options{Token: token, Mechanism: mechanism, Keys: []string{"one", "#02"}})
			kmstest.Run(t, kmstest.Subject{Provider: p, Key: "one", Other: pkcs11.KeyName("two", []byte{2}), Unknown: "three",
				Disabled: "idle", Disable: func() {
					manage(t, token, "idle", func(ctx *p11.Ctx, h p11.SessionHandle, o p11.ObjectHandle) error {
						return ctx.SetAttributeValue(h, o, []*p11.Attribute{p11.NewAttribute(p11.CKA_ENCRYPT, false), p11.NewAttribute(p11.CKA_DECRYPT, false),
							p11.NewAttribute(p11.CKA_WRAP, false), p11.NewAttribute(p11.CKA_UNWRAP, false)})
					})
				},
				Deleted: "gone", Delete: func() {
					manage(t, token, "gone", func(ctx *p11.Ctx, h p11.SessionHandle, o p11.ObjectHandle) error { return ctx.DestroyObject(h, o) })
				}})
		})
	}
}

// manage does something to a key, as an administrator of the token would.
func manage(t *testing.T, token, label string, do func(*p11.Ctx, p11.SessionHandle, p11.ObjectHandle) error) {
	t.Helper()
	ctx, slot := intruder(t, token)
	h, err := ctx.OpenSession(slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION)
	if err != nil {
		t.Fatal(err)
	}
	defer ctx.CloseSession(h)
	if err := ctx.Login(h, p11.CKU_USER, userPIN); err != nil && !errors.Is(err, p11.Error(p11.CKR_USER_ALREADY_LOGGED_IN)) {
		t.Fatal(err)
	}
	err = ctx.FindObjectsInit(h, []*p11.Attribute{p11.NewAttribute(p11.CKA_LABEL, label)})
	if err != nil {
		t.Fatal(err)
	}
	found, _, err := ctx.FindObjects(h, 2)
	if err = errors.Join(err, ctx.FindObjectsFinal(h)); err != nil || len(found) != 1 {
		t.Fatalf("%d keys, %v", len(found), err)
	}
	if err := do(ctx, h, found[0]); err != nil {
		t.Fatal(err)
	}
}

// round wraps and unwraps a key, unless one of the two fails.
func round(t *testing.T, p *pkcs11.Provider, kek string) error {
	t.Helper()
	key, wrapped, err := p.Generate(t.Context(), kek, ec)
	if err != nil {
		return err
	}
	back, err := p.Unwrap(t.Context(), kek, wrapped, ec)
	if err == nil && back != key {
		t.Error("another key came back")
	}
	return err
}

func mustRound(t *testing.T, what string, p *pkcs11.Provider, kek string) {
	t.Helper()
	if err := round(t, p, kek); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

func TestContextIsAdditionalDataOfGCM(t *testing.T) {
	p := open(t, pkcs11.Options{Token: newToken(t, map[string]string{"one": "01"}), Mechanism: pkcs11.GCM})
	_, wrapped, err := p.Generate(t.Context(), "one", ec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Unwrap(t.Context(), "one", wrapped, kms.RealmContext("other", nil)); !errors.Is(err, kms.ErrBadCiphertext) {
		t.Errorf("under another context: %v", err)
	}
}

func TestBlobsOutliveAChangeOfMechanism(t *testing.T) {
	token := newToken(t, map[string]string{"one": "01"})
	var blobs [][]byte
	var keys []kms.Key32
	for _, mechanism := range []string{pkcs11.GCM, pkcs11.KeyWrapPad, pkcs11.KeyWrap} {
		key, wrapped, err := open(t, pkcs11.Options{Token: token, Mechanism: mechanism}).Generate(t.Context(), "one", ec)
		if err != nil {
			t.Fatal(err)
		}
		blobs, keys = append(blobs, wrapped), append(keys, key)
	}
	p := open(t, pkcs11.Options{Token: token})
	for i, b := range blobs {
		if key, err := p.Unwrap(t.Context(), "one", b, ec); err != nil || key != keys[i] {
			t.Errorf("form %d: %v", b[0], err)
		}
	}
}

// intruder is another user of the library in this process, as a second provider could be.
func intruder(t *testing.T, token string) (*p11.Ctx, uint) {
	t.Helper()
	ctx := p11.New(softhsm)
	if ctx == nil {
		t.Fatal("not loaded")
	}
	slots, err := ctx.GetSlotList(true)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range slots {
		if info, err := ctx.GetTokenInfo(s); err == nil && info.Label == token {
			return ctx, s
		}
	}
	t.Fatal("no slot")
	return nil, 0
}

func TestLostSessionsLoginsAndLibrariesComeBack(t *testing.T) {
	token := newToken(t, map[string]string{"one": "01", "two": "02"})
	p := open(t, pkcs11.Options{Token: token})
	mustRound(t, "at first", p, "one")
	for what, lose := range map[string]func(ctx *p11.Ctx, slot uint) error{
		"sessions closed": func(ctx *p11.Ctx, slot uint) error { return ctx.CloseAllSessions(slot) },
		"library ended":   func(ctx *p11.Ctx, slot uint) error { return ctx.Finalize() },
		"logged out": func(ctx *p11.Ctx, slot uint) error {
			h, err := ctx.OpenSession(slot, p11.CKF_SERIAL_SESSION)
			if err != nil {
				return err
			}
			return errors.Join(ctx.Logout(h), ctx.CloseSession(h))
		},
	} {
		for _, key := range []string{"one", "two"} { // one that was used before and one that was not, the first time
			ctx, slot := intruder(t, token)
			if err := lose(ctx, slot); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			mustRound(t, what+", key "+key, p, key)
			mustRound(t, what+" and all is well again, key "+key, p, key)
		}
	}
}

// A token that is taken out and put back, as far as a directory can be.
func TestTokenThatIsAwayComesBack(t *testing.T) {
	token := newToken(t, map[string]string{"one": "01"})
	p := open(t, pkcs11.Options{Token: token})
	mustRound(t, "at first", p, "one")
	ctx, _ := intruder(t, token)
	here, away := filepath.Join(tokens(), "tokens"), filepath.Join(tokens(), "away")
	if err := errors.Join(os.Rename(here, away), os.Mkdir(here, 0o700), ctx.Finalize()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := round(t, p, "one"); !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("away: %v", err)
		}
	}
	if err := errors.Join(os.RemoveAll(here), os.Rename(away, here)); err != nil {
		t.Fatal(err)
	}
	if err := round(t, p, "one"); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("looked for again at once: %v", err)
	}
	t.Cleanup(pkcs11.SetPatience(0))
	mustRound(t, "back again", p, "one")
}

func TestWrongPINIsTriedOnce(t *testing.T) {
	token := newToken(t, map[string]string{"one": "01"})
	now := "000000"
	p := open(t, pkcs11.Options{Token: token, PIN: func() ([]byte, error) { return []byte(now), nil }})
	if err := round(t, p, "one"); !errors.Is(err, kms.ErrAccessDenied) || strings.Contains(err.Error(), "not tried again") {
		t.Errorf("the first time: %v", err)
	}
	if err := round(t, p, "one"); !errors.Is(err, kms.ErrAccessDenied) || !strings.Contains(err.Error(), "not tried again until the PIN changes") {
		t.Errorf("the second time: %v", err)
	}
	now = userPIN
	mustRound(t, "with the right PIN", p, "one")
	p = open(t, pkcs11.Options{Token: newToken(t, nil), PIN: func() ([]byte, error) { return nil, errors.New("no file") }})
	if err := round(t, p, "one"); !errors.Is(err, kms.ErrAccessDenied) || !strings.Contains(err.Error(), "PIN: no file") {
		t.Errorf("without a PIN: %v", err)
	}
}

func TestTokensByLabelAndSerialNumber(t *testing.T) {
	token := newToken(t, map[string]string{"one": "01"})
	newToken(t, nil)
	ctx, slot := intruderAfter(t, token)
	info, err := ctx.GetTokenInfo(slot)
	if err != nil {
		t.Fatal(err)
	}
	mustRound(t, "by serial number", open(t, pkcs11.Options{Serial: info.SerialNumber}), "one")
	mustRound(t, "by both", open(t, pkcs11.Options{Serial: info.SerialNumber, Token: token}), "one")
	for want, o := range map[string]pkcs11.Options{
		"tokens fit; name one by its label or serial number": {},
		`no token "absent", serial ""; there are: `:          {Token: "absent"},
		fmt.Sprintf("no token %q, serial \"0\"", token):      {Token: token, Serial: "0"},
	} {
		if err := round(t, open(t, o), "one"); !errors.Is(err, kms.ErrUnavailable) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// intruderAfter is intruder in a test that has not opened the library yet.
func intruderAfter(t *testing.T, token string) (*p11.Ctx, uint) {
	open(t, pkcs11.Options{Token: token})
	return intruder(t, token)
}

func TestKeysThatCannotServe(t *testing.T) {
	token := newToken(t, map[string]string{"one": "01"})
	makeKey(t, token, "twice", "02")
	makeKey(t, token, "twice", "03")
	tool(t, tokens(), "pkcs11-tool", "--module", softhsm, "--token-label", token, "--login", "--pin", userPIN, "--keygen", "--key-type", "AES:16", "--label", "short")
	tool(t, tokens(), "pkcs11-tool", "--module", softhsm, "--token-label", token, "--login", "--pin", userPIN, "--keygen", "--key-type", "GENERIC:32", "--label", "generic")
	p := open(t, pkcs11.Options{Token: token})
	for kek, want := range map[string]string{
		"twice":    `several secret keys "twice"; name one by label and id`,
		"short":    `"short" is no AES key of 256 bits (key type 31, 16 bytes)`,
		"generic":  `"generic" is no AES key of 256 bits`,
		"one#02":   `no secret key "one#02"`,
		"twice#04": `no secret key "twice#04"`,
	} {
		if err := round(t, p, kek); !errors.Is(err, kms.ErrKeyNotFound) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", kek, err)
		}
	}
	for _, kek := range []string{"twice#02", "twice#03", "#01", "one#01"} {
		mustRound(t, kek, p, kek)
	}
}

// SoftHSM uses the nonce that it is given: as a token that was to make its own and does not, it must not be used.
func TestTokenThatMakesNoNonceIsRefused(t *testing.T) {
	p := open(t, pkcs11.Options{Token: newToken(t, map[string]string{"one": "01"}), Mechanism: pkcs11.GCM, ModuleIV: true})
	if err := round(t, p, "one"); !errors.Is(err, kms.ErrUnavailable) || !strings.Contains(err.Error(), "has not made a nonce of its own") {
		t.Errorf("%v", err)
	}
}

// ownNonce builds the library of testdata that makes nonces of its own, over SoftHSM.
func ownNonce(t *testing.T) (module string) {
	t.Helper()
	headers, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/miekg/pkcs11").Output()
	if err != nil {
		t.Fatal(err)
	}
	module = filepath.Join(t.TempDir(), "ownnonce.so")
	tool(t, tokens(), "gcc", "-shared", "-fPIC", "-Wall", "-Werror", "-I", strings.TrimSpace(string(headers)), "-o", module, "testdata/ownnonce.c", "-ldl")
	t.Setenv("S3VEIL_TEST_LIBRARY", softhsm)
	return module
}

// The nonce that is stored is the token's, however the library is asked.
func TestNonceOfTheTokenCounts(t *testing.T) {
	token, module := newToken(t, map[string]string{"one": "01"}), ownNonce(t)
	for _, moduleIV := range []bool{false, true} {
		p, err := pkcs11.Open(pkcs11.Options{Module: module, Token: token, PIN: pin(userPIN), Mechanism: pkcs11.GCM, ModuleIV: moduleIV, Sessions: 1})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			mustRound(t, fmt.Sprintf("nonces of the token demanded: %t", moduleIV), p, "one")
		}
		_ = p.Close()
	}
}

func TestProvidersShareALibrary(t *testing.T) {
	one, two := newToken(t, map[string]string{"one": "01"}), newToken(t, map[string]string{"two": "01"})
	p, q, r := open(t, pkcs11.Options{Token: one}), open(t, pkcs11.Options{Token: two}), open(t, pkcs11.Options{Token: one, Sessions: 1})
	mustRound(t, "first", p, "one")
	mustRound(t, "second", q, "two")
	mustRound(t, "third", r, "one")
	_ = p.Close()
	_ = p.Close()
	if err := round(t, p, "one"); !errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("closed: %v", err)
	}
	mustRound(t, "another token after the close", q, "two")
	mustRound(t, "the same token after the close", r, "one")
	_ = q.Close()
	_ = r.Close()
	mustRound(t, "the library loaded again", open(t, pkcs11.Options{Token: one}), "one")
}

func TestLibrariesThatAreNone(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.so")
	if err := os.WriteFile(text, []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	for module, want := range map[string]string{
		"/missing.so": "stat /missing.so: no such file or directory",
		text:          "cannot be loaded as a PKCS #11 library",
	} {
		if _, err := pkcs11.Open(pkcs11.Options{Module: module}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", module, err)
		}
	}
	if _, err := pkcs11.Open(pkcs11.Options{Module: softhsm, Mechanism: "aes-cbc"}); err == nil || !strings.Contains(err.Error(), `no mechanism "aes-cbc"`) {
		t.Errorf("mechanism: %v", err)
	}
}
