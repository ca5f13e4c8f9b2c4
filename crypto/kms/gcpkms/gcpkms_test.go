package gcpkms_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/gcpkms"
	"s3veil/crypto/kms/kmstest"
)

var realm = kms.RealmContext("r", nil)

func TestConforms(t *testing.T) {
	f := newFake(t, "a", "b", "off", "gone")
	f.keys[ring+"off"].versions[0].state = "DISABLED"
	f.keys[ring+"gone"].versions[0].state = "DESTROY_SCHEDULED"
	kmstest.Run(t, kmstest.Subject{Provider: f.provider(t), Key: ring + "a", Other: ring + "b", Unknown: ring + "nobody", Disabled: ring + "off",
		Deleted: ring + "gone", Fault: f.breaks, Answer: f.answers})
	if f.grants != 1 {
		t.Errorf("%d access tokens", f.grants)
	}
}

// The suite is content with a KMS that knows no context; this one does.
func TestContextIsBoundByTheAPI(t *testing.T) {
	f := newFake(t, "a")
	p := f.provider(t)
	_, blob, err := p.Generate(t.Context(), ring+"a", realm)
	if err != nil {
		t.Fatal(err)
	}
	for _, ec := range []kms.Context{nil, kms.RealmContext("s", nil), kms.RealmContext("r", kms.Context{"team": "red"})} {
		if key, err := p.Unwrap(t.Context(), ring+"a", blob, ec); !errors.Is(err, kms.ErrBadCiphertext) || key != (kms.Key32{}) {
			t.Errorf("%v: %v", ec, err)
		}
	}
}

func TestStatesOfKeyVersions(t *testing.T) {
	f := newFake(t, "a")
	p := f.provider(t)
	key, first, err := p.Generate(t.Context(), ring+"a", realm)
	if err != nil {
		t.Fatal(err)
	}
	if out, changed, err := p.Rewrap(t.Context(), ring+"a", ring+"a", first, realm); err != nil || changed || !bytes.Equal(out, first) {
		t.Errorf("Rewrap under the primary version: changed %v, %v", changed, err)
	}
	f.rotate("a")
	if back, err := p.Unwrap(t.Context(), ring+"a", first, realm); err != nil || back != key {
		t.Errorf("Unwrap of the old version: %v", err)
	}
	second, changed, err := p.Rewrap(t.Context(), ring+"a", ring+"a", first, realm)
	if err != nil || !changed || second[0] != 1 {
		t.Fatalf("Rewrap: changed %v, %v", changed, err)
	}
	for _, state := range []string{"DISABLED", "DESTROY_SCHEDULED", "DESTROYED"} {
		f.set(func() { f.keys[ring+"a"].versions[0].state = state })
		if _, err := p.Unwrap(t.Context(), ring+"a", first, realm); !errors.Is(err, kms.ErrKeyDisabled) || !strings.Contains(err.Error(), state) {
			t.Errorf("Unwrap of a version that is %s: %v", state, err)
		}
		if back, err := p.Unwrap(t.Context(), ring+"a", second, realm); err != nil || back != key {
			t.Errorf("Unwrap of the new version: %v", err)
		}
	}
	f.set(func() { f.keys[ring+"a"].versions[1].state = "DISABLED" })
	if err := p.Health(t.Context()); !errors.Is(err, kms.ErrKeyDisabled) {
		t.Errorf("Health with a disabled primary version: %v", err)
	}
}

// Every checksum of an answer that does not fit, or is missing, must stop the answer.
func TestDamagedAnswersAreNotUsed(t *testing.T) {
	f := newFake(t, "a")
	p := f.provider(t)
	_, blob, err := p.Generate(t.Context(), ring+"a", realm)
	if err != nil {
		t.Fatal(err)
	}
	for name, mangle := range map[string]func(map[string]any){
		"ciphertext":              func(a map[string]any) { flip(a, "ciphertext") },
		"sum of the ciphertext":   func(a map[string]any) { a["ciphertextCrc32c"] = "1" },
		"no sum of ciphertext":    func(a map[string]any) { delete(a, "ciphertextCrc32c") },
		"plaintext not verified":  func(a map[string]any) { a["verifiedPlaintextCrc32c"] = false },
		"plaintext not mentioned": func(a map[string]any) { delete(a, "verifiedPlaintextCrc32c") },
		"context not verified":    func(a map[string]any) { delete(a, "verifiedAdditionalAuthenticatedDataCrc32c") },
		"no ciphertext":           func(a map[string]any) { a["ciphertext"], a["ciphertextCrc32c"] = "", "0" },
		"too long": func(a map[string]any) {
			long := make([]byte, 1025)
			a["ciphertext"], a["ciphertextCrc32c"] = long, crc(long)
		},
	} {
		f.set(func() { f.mangle = mangle })
		if key, out, err := p.Generate(t.Context(), ring+"a", realm); !errors.Is(err, kms.ErrUnavailable) || out != nil || key != (kms.Key32{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, mangle := range map[string]func(map[string]any){
		"plaintext":           func(a map[string]any) { flip(a, "plaintext") },
		"sum of plaintext":    func(a map[string]any) { a["plaintextCrc32c"] = "1" },
		"no sum of plaintext": func(a map[string]any) { delete(a, "plaintextCrc32c") },
	} {
		f.set(func() { f.mangle = mangle })
		if key, err := p.Unwrap(t.Context(), ring+"a", blob, realm); !errors.Is(err, kms.ErrUnavailable) || key != (kms.Key32{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.set(func() { f.mangle = func(a map[string]any) { a["name"] = ring + "b/cryptoKeyVersions/1" } })
	if _, out, err := p.Generate(t.Context(), ring+"a", realm); !errors.Is(err, kms.ErrAccessDenied) || out != nil {
		t.Errorf("another key in the answer: %v", err)
	}
	f.set(func() {
		f.mangle = func(a map[string]any) { a["plaintext"], a["plaintextCrc32c"] = make([]byte, 16), crc(make([]byte, 16)) }
	})
	if _, err := p.Unwrap(t.Context(), ring+"a", blob, realm); !errors.Is(err, kms.ErrBadCiphertext) {
		t.Errorf("16 bytes: %v", err)
	}
}

func flip(a map[string]any, field string) {
	b := bytes.Clone(a[field].([]byte))
	b[len(b)-1] ^= 1
	a[field] = b
}

// A request that was damaged on its way is tried again, and never taken for a forged blob.
func TestDamagedRequestsAreUnavailable(t *testing.T) {
	f := newFake(t, "a")
	p := f.provider(t)
	_, blob, err := p.Generate(t.Context(), ring+"a", realm)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"plaintext", "ciphertext", "additionalAuthenticatedData"} {
		f.set(func() {
			f.hook = func(_ http.ResponseWriter, r *http.Request) bool {
				var q map[string]any
				_ = json.NewDecoder(r.Body).Decode(&q)
				if _, sums := q[field+"Crc32c"].(string); q[field] != nil && !sums {
					t.Errorf("no checksum of %s", field)
				}
				if q[field] != nil {
					q[field] = "AAAA"
				}
				text, _ := json.Marshal(q)
				r.Body = io.NopCloser(bytes.NewReader(text))
				return false
			}
		})
		if field != "ciphertext" {
			if _, err := p.Wrap(t.Context(), ring+"a", kms.Key32{1}, realm); !errors.Is(err, kms.ErrUnavailable) {
				t.Errorf("Wrap, %s: %v", field, err)
			}
		}
		if field != "plaintext" {
			if _, err := p.Unwrap(t.Context(), ring+"a", blob, realm); !errors.Is(err, kms.ErrUnavailable) || errors.Is(err, kms.ErrBadCiphertext) {
				t.Errorf("Unwrap, %s: %v", field, err)
			}
		}
	}
}

func TestClassesOfRefusals(t *testing.T) {
	for _, c := range []struct {
		code          int
		status, text  string
		encrypt, open error
	}{
		{400, "INVALID_ARGUMENT", "Decryption failed", kms.ErrAccessDenied, kms.ErrBadCiphertext},
		{400, "FAILED_PRECONDITION", "is not enabled, current state is: DESTROYED.", kms.ErrKeyDisabled, kms.ErrKeyDisabled},
		{403, "PERMISSION_DENIED", "Permission 'cloudkms.cryptoKeyVersions.useToEncrypt' denied", kms.ErrAccessDenied, kms.ErrAccessDenied},
		{404, "NOT_FOUND", "CryptoKey not found", kms.ErrKeyNotFound, kms.ErrKeyNotFound},
		{404, "", "<html>", kms.ErrUnavailable, kms.ErrUnavailable},
		{409, "ABORTED", "aborted", kms.ErrUnavailable, kms.ErrUnavailable},
		{429, "RESOURCE_EXHAUSTED", "Quota exceeded", kms.ErrThrottled, kms.ErrThrottled},
		{429, "", "slow down", kms.ErrThrottled, kms.ErrThrottled},
		{302, "", "", kms.ErrUnavailable, kms.ErrUnavailable},
		{418, "", "", kms.ErrAccessDenied, kms.ErrAccessDenied},
		{500, "INTERNAL", "internal", kms.ErrUnavailable, kms.ErrUnavailable},
		{503, "UNAVAILABLE", "away", kms.ErrUnavailable, kms.ErrUnavailable},
		{504, "DEADLINE_EXCEEDED", "late", kms.ErrUnavailable, kms.ErrUnavailable},
		{502, "", "<html>", kms.ErrUnavailable, kms.ErrUnavailable},
	} {
		t.Run(fmt.Sprintf("%d %s", c.code, c.status), func(t *testing.T) {
			f := newFake(t, "a")
			f.hook = func(w http.ResponseWriter, _ *http.Request) bool {
				if c.status == "" {
					w.WriteHeader(c.code)
					fmt.Fprint(w, c.text)
				} else {
					refusal(w, c.code, c.status, c.text)
				}
				return true
			}
			p := f.provider(t)
			_, _, err := p.Generate(t.Context(), ring+"a", realm)
			expect(t, "Generate", err, c.encrypt)
			_, err = p.Unwrap(t.Context(), ring+"a", []byte("blob"), realm)
			expect(t, "Unwrap", err, c.open)
			_, _, err = p.Rewrap(t.Context(), ring+"a", ring+"a", []byte("blob"), realm)
			expect(t, "Rewrap", err, c.open)
			if c.status != "" && !strings.Contains(err.Error(), c.text) {
				t.Errorf("%v does not say %q", err, c.text)
			}
		})
	}
}

func expect(t *testing.T, what string, err, class error) {
	t.Helper()
	for _, one := range []error{kms.ErrAccessDenied, kms.ErrKeyDisabled, kms.ErrKeyNotFound, kms.ErrThrottled, kms.ErrUnavailable, kms.ErrBadCiphertext} {
		if errors.Is(err, one) != (one == class) {
			t.Errorf("%s: %v is or is not %v", what, err, one)
		}
	}
}

func TestAnAPIThatAnswersNonsenseIsUnavailable(t *testing.T) {
	f := newFake(t, "a")
	p := f.provider(t)
	for _, body := range []string{"", "<html>", "[]", `{"plaintext":7}`, `{"plaintextCrc32c":"x"}`, `{"ciphertext":"` + strings.Repeat("A", 1<<20)} {
		f.set(func() {
			f.hook = func(w http.ResponseWriter, _ *http.Request) bool { fmt.Fprint(w, body); return true }
		})
		_, err := p.Wrap(t.Context(), ring+"a", kms.Key32{1}, realm)
		expect(t, fmt.Sprintf("%.20q", body), err, kms.ErrUnavailable)
	}
}

func TestNobodyThere(t *testing.T) {
	f := newFake(t, "a")
	s := httptest.NewServer(nil)
	s.Close()
	p := open(t, gcpkms.Options{Key: ring + "a", Endpoint: s.URL, CredentialsFile: f.serviceAccount(t, nil)})
	expect(t, "Health", p.Health(t.Context()), kms.ErrUnavailable)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Health(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, kms.ErrUnavailable) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, o := range []gcpkms.Options{
		{},
		{Key: "s3veil"},
		{Key: ring + "a/cryptoKeyVersions/1"},
		{Key: ring + "../a"},
		{Key: ring},
		{Key: "/" + ring + "a"},
		{Key: ring + "a", Endpoint: "cloudkms.googleapis.com"},
		{Key: ring + "a", Endpoint: "http://cloudkms.googleapis.com"},
		{Key: ring + "a", Endpoint: "https://u:p@cloudkms.googleapis.com"},
		{Key: ring + "a", Endpoint: "https://cloudkms.googleapis.com/v1"},
	} {
		if _, err := gcpkms.New(o); err == nil {
			t.Errorf("%+v: accepted", o)
		}
	}
	for _, o := range []gcpkms.Options{
		{Key: ring + "a"},
		{Key: "projects/example.com:p-1/locations/global/keyRings/R_1/cryptoKeys/K-1"},
		{Key: ring + "a", Endpoint: "https://cloudkms-eu.p.googleapis.com/"},
		{Key: ring + "a", Endpoint: "http://[::1]:8080"},
	} {
		if _, err := gcpkms.New(o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
