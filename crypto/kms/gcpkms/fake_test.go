package gcpkms_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"s3veil/crypto/kms/gcpkms"
	"s3veil/crypto/kms/kmstest"
)

// The API has no emulator that is maintained, runs here and knows key states and checksums. fake follows the reference of
// cloudkms v1 (projects.locations.keyRings.cryptoKeys.encrypt and decrypt) and the messages of the API as its users quote
// them. It has a token endpoint, as a service account's JSON names it, and a metadata server.
type fake struct {
	*httptest.Server
	mu      sync.Mutex
	keys    map[string]*fakeKey
	body    *string                                           // what every such call is answered, with success
	fault   *kmstest.Fault                                    // what goes wrong with every call of a key
	grants  int                                               // tokens given
	revoked map[string]bool                                   // tokens
	hook    func(w http.ResponseWriter, r *http.Request) bool // answers in the place of the API
	mangle  func(answer map[string]any)                       // changes answers
	charged map[string]bool                                   // projects in X-Goog-User-Project
	refuse  int                                               // status of the token endpoint; 0 for tokens
}

type fakeKey struct {
	versions []version
	primary  int // index
}

type version struct {
	aead  cipher.AEAD
	state string // ENABLED, DISABLED, DESTROY_SCHEDULED, DESTROYED
}

const ring = "projects/p1/locations/europe-west3/keyRings/r/cryptoKeys/"

func newFake(t *testing.T, keys ...string) *fake {
	t.Helper()
	f := &fake{keys: map[string]*fakeKey{}, revoked: map[string]bool{}, charged: map[string]bool{}}
	for _, k := range keys {
		f.keys[ring+k] = &fakeKey{primary: -1}
		f.rotate(k)
	}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fake) rotate(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	block, _ := aes.NewCipher(secret)
	aead, _ := cipher.NewGCM(block)
	k := f.keys[ring+key]
	k.versions = append(k.versions, version{aead, "ENABLED"})
	k.primary++
}

func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case r.URL.Path == "/token" || strings.HasSuffix(r.URL.Path, "/service-accounts/default/token"):
		f.serveToken(w)
	case strings.HasPrefix(r.URL.Path, "/computeMetadata/"):
		fmt.Fprint(w, "p1")
	case r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/v1/"):
		if f.body != nil {
			_, _ = io.WriteString(w, *f.body)
			return
		}
		if f.fault != nil {
			fault := *f.fault
			f.mu.Unlock() // a fault may hang, and does not touch the fake
			defer f.mu.Lock()
			serveFault(w, r, fault)
			return
		}
		if f.hook == nil || !f.hook(w, r) {
			f.serveKey(w, r)
		}
	default:
		http.NotFound(w, r)
	}
}

func (f *fake) serveToken(w http.ResponseWriter) {
	if f.refuse != 0 {
		w.WriteHeader(f.refuse)
		fmt.Fprint(w, `{"error":"invalid_grant","error_description":"Invalid JWT Signature."}`)
		return
	}
	f.grants++
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"access_token":"ya29.%d","expires_in":3599,"token_type":"Bearer"}`, f.grants)
}

// refusal writes an error as Google APIs do.
func refusal(w http.ResponseWriter, code int, status, message string) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": code, "message": message, "status": status}})
}

type request struct {
	Plaintext, Ciphertext, AdditionalAuthenticatedData                   []byte
	PlaintextCrc32c, CiphertextCrc32c, AdditionalAuthenticatedDataCrc32c *string
}

func crc(b []byte) string {
	return strconv.FormatUint(uint64(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))), 10)
}

func (f *fake) serveKey(w http.ResponseWriter, r *http.Request) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ya29.")
	if n, err := strconv.Atoi(token); !ok || err != nil || n > f.grants || f.revoked[token] {
		refusal(w, 401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
		return
	}
	f.charged[r.Header.Get("X-Goog-User-Project")] = true
	name, method, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/"), ":")
	var q request
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		refusal(w, 400, "INVALID_ARGUMENT", "Invalid JSON payload received. "+err.Error())
		return
	}
	k := f.keys[name]
	if k == nil {
		refusal(w, 404, "NOT_FOUND", fmt.Sprintf("CryptoKey %s not found.", name))
		return
	}
	for _, c := range []struct {
		field string
		data  []byte
		sum   *string
	}{{"plaintext", q.Plaintext, q.PlaintextCrc32c}, {"ciphertext", q.Ciphertext, q.CiphertextCrc32c},
		{"additional_authenticated_data", q.AdditionalAuthenticatedData, q.AdditionalAuthenticatedDataCrc32c}} {
		if c.sum != nil && *c.sum != crc(c.data) {
			refusal(w, 400, "INVALID_ARGUMENT", fmt.Sprintf("The checksum in field %s_crc32c did not match the data in field %[1]s.", c.field))
			return
		}
	}
	var out map[string]any
	if method == "encrypt" {
		out = k.encrypt(w, name, &q)
	} else {
		out = k.decrypt(w, name, &q)
	}
	if out == nil {
		return
	}
	if f.mangle != nil {
		f.mangle(out)
	}
	_ = json.NewEncoder(w).Encode(out)
}

func notEnabled(w http.ResponseWriter, name string, n int, state string) {
	refusal(w, 400, "FAILED_PRECONDITION", fmt.Sprintf("%s/cryptoKeyVersions/%d is not enabled, current state is: %s.", name, n, state))
}

func (k *fakeKey) encrypt(w http.ResponseWriter, name string, q *request) map[string]any {
	v := k.versions[k.primary]
	if v.state != "ENABLED" {
		notEnabled(w, name, k.primary+1, v.state)
		return nil
	}
	sealed := make([]byte, 13)
	_, _ = rand.Read(sealed)
	sealed[0] = byte(k.primary)
	sealed = v.aead.Seal(sealed, sealed[1:13], q.Plaintext, q.AdditionalAuthenticatedData)
	return map[string]any{"name": fmt.Sprintf("%s/cryptoKeyVersions/%d", name, k.primary+1), "ciphertext": sealed, "ciphertextCrc32c": crc(sealed),
		"verifiedPlaintextCrc32c": q.PlaintextCrc32c != nil, "verifiedAdditionalAuthenticatedDataCrc32c": q.AdditionalAuthenticatedDataCrc32c != nil,
		"protectionLevel": "SOFTWARE"}
}

func (k *fakeKey) decrypt(w http.ResponseWriter, name string, q *request) map[string]any {
	const failed = "Decryption failed: verify that 'name' refers to the correct CryptoKey."
	c := q.Ciphertext
	if len(c) < 13 || int(c[0]) >= len(k.versions) {
		refusal(w, 400, "INVALID_ARGUMENT", failed)
		return nil
	}
	v := k.versions[c[0]]
	if v.state != "ENABLED" {
		notEnabled(w, name, int(c[0])+1, v.state)
		return nil
	}
	plain, err := v.aead.Open(nil, c[1:13], c[13:], q.AdditionalAuthenticatedData)
	if err != nil {
		refusal(w, 400, "INVALID_ARGUMENT", failed)
		return nil
	}
	return map[string]any{"plaintext": plain, "plaintextCrc32c": crc(plain), "usedPrimary": int(c[0]) == k.primary, "protectionLevel": "SOFTWARE"}
}

var serviceKey = sync.OnceValue(func() string {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
})

// serviceAccount writes the JSON of a service account whose token endpoint is the fake, with more fields on top.
func (f *fake) serviceAccount(t *testing.T, more map[string]any) string {
	t.Helper()
	account := map[string]any{"type": "service_account", "project_id": "p1", "private_key_id": "1", "private_key": serviceKey(),
		"client_email": "s3veil@p1.iam.gserviceaccount.com", "client_id": "1", "token_uri": f.URL + "/token"}
	for k, v := range more {
		account[k] = v
	}
	text, err := json.Marshal(account)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "account.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// provider uses the fake with a service account.
func (f *fake) provider(t *testing.T) *gcpkms.Provider {
	t.Helper()
	return open(t, gcpkms.Options{Key: ring + "a", Endpoint: f.URL, CredentialsFile: f.serviceAccount(t, nil)})
}

func open(t *testing.T, o gcpkms.Options) *gcpkms.Provider {
	t.Helper()
	p, err := gcpkms.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// breaks makes every call of a key go wrong until undo.
func (f *fake) breaks(what kmstest.Fault) (undo func()) {
	f.set(func() { f.fault = &what })
	return func() { f.set(func() { f.fault = nil }) }
}

// answers gives every call the same answer.
func (f *fake) answers(body string) (undo func()) {
	f.set(func() { f.body = &body })
	return func() { f.set(func() { f.body = nil }) }
}

func serveFault(w http.ResponseWriter, r *http.Request, fault kmstest.Fault) {
	switch fault {
	case kmstest.Throttle:
		refusal(w, 429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Cryptographic requests'.")
	case kmstest.ServerError:
		refusal(w, 503, "UNAVAILABLE", "The service is currently unavailable.")
	case kmstest.Denied:
		refusal(w, 403, "PERMISSION_DENIED", "Permission 'cloudkms.cryptoKeyVersions.useToDecrypt' denied on resource.")
	case kmstest.Hang:
		_, _ = io.Copy(io.Discard, r.Body) // so that the end of the connection is noticed
		<-r.Context().Done()
	case kmstest.NoAnswer:
		panic(http.ErrAbortHandler)
	case kmstest.Garbage:
		_, _ = io.WriteString(w, "<html>not Google</html>")
	case kmstest.Empty:
		_, _ = io.WriteString(w, "{}")
	case kmstest.ShortKey:
		short := make([]byte, 16)
		_ = json.NewEncoder(w).Encode(map[string]any{"plaintext": short, "plaintextCrc32c": crc(short)})
	}
}
