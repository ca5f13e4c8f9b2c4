package azurekv

import (
	"context"
	"crypto/aes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"s3veil/crypto/kms/kmstest"
)

// The vaults of the fake, which it serves at one address.
const (
	vault = "https://tests.vault.azure.net"
	hsm   = "https://tests.managedhsm.azure.net"
)

// fake speaks wrapkey and unwrapkey as the API reference has them ("Key Vault REST API 7.4, Keys"), with RSA-OAEP-256 for the
// keys rsa… and A256KW for all others.
type fake struct {
	mu       sync.Mutex
	keys     map[string][]version // by name, the newest last; a disabled or deleted key keeps its versions
	disabled map[string]bool
	deleted  map[string]bool
	fault    kmstest.Fault
	bad      bool
	body     string // what the fault kmstest.Garbage answers
	stop     chan struct{}
	seen     []string // paths
	algs     []string
	tokens   []string
	token    string // accepted alone; empty for all
	rename   string // kid of every answer
}

type version struct {
	id   string
	aes  [32]byte
	rsa  *rsa.PrivateKey
	name string
}

func newFake(t testing.TB) (*fake, string) {
	f := &fake{keys: map[string][]version{}, disabled: map[string]bool{}, deleted: map[string]bool{}, stop: make(chan struct{})}
	srv := httptest.NewServer(f)
	t.Cleanup(func() { close(f.stop); srv.CloseClientConnections(); srv.Close() })
	return f, srv.URL
}

// rsaKeys are made once: they take long.
var rsaKeys = sync.OnceValue(func() (out [2]*rsa.PrivateKey) {
	for i := range out {
		out[i], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	return out
})

// create makes a key, or a new version of it.
func (f *fake) create(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v := version{name: name}
	_, _ = rand.Read(v.aes[:])
	var id keyVersion
	_, _ = rand.Read(id[:])
	v.id = id.String()
	if strings.HasPrefix(name, "rsa") {
		v.rsa = rsaKeys()[len(f.keys[name])%2]
	}
	f.keys[name] = append(f.keys[name], v)
}

func (f *fake) set(k kmstest.Fault) (undo func()) { return f.fails(k, "<html>a proxy's page</html>") }

func (f *fake) answer(body string) (undo func()) { return f.fails(kmstest.Garbage, body) }

func (f *fake) fails(k kmstest.Fault, body string) (undo func()) {
	f.mu.Lock()
	f.fault, f.body, f.bad = k, body, true
	f.mu.Unlock()
	return func() {
		f.mu.Lock()
		f.bad = false
		f.mu.Unlock()
	}
}

// lock runs something between two requests.
func (f *fake) lock(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var op operation
	err := json.NewDecoder(r.Body).Decode(&op)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen, f.algs, f.tokens = append(f.seen, r.URL.Path), append(f.algs, op.Algorithm), append(f.tokens, r.Header.Get("Authorization"))
	if f.bad {
		f.fail(w)
		return
	}
	parts := strings.Split(r.URL.Path, "/") // "", keys, name, version, method
	if len(parts) == 4 {
		parts = slices.Insert(parts, 3, "")
	}
	switch {
	case f.token != "" && r.Header.Get("Authorization") != "Bearer "+f.token:
		w.Header().Set("WWW-Authenticate", `Bearer authorization="https://login.microsoftonline.com/`+tenant+`", resource="https://vault.azure.net"`)
		refuse(w, 401, "Unauthorized", "", "AKV10000: Request is missing a Bearer or PoP token.")
	case err != nil || len(parts) != 5 || parts[1] != "keys" || r.Method != http.MethodPost || r.URL.Query().Get("api-version") == "":
		refuse(w, 400, "BadParameter", "", "The request URI contains an invalid name")
	case f.deleted[parts[2]] || len(f.keys[parts[2]]) == 0:
		refuse(w, 404, "KeyNotFound", "", "A key with (name/id) "+parts[2]+" was not found in this key vault.")
	case f.disabled[parts[2]]:
		refuse(w, 403, "Forbidden", "KeyDisabled", "Operation "+parts[4]+" is not allowed on a disabled key.")
	default:
		f.serve(w, f.keys[parts[2]], parts[3], parts[4], op)
	}
}

func (f *fake) serve(w http.ResponseWriter, versions []version, id, method string, op operation) {
	v := versions[len(versions)-1]
	for _, c := range versions {
		if c.id == id {
			v = c
		}
	}
	if id != "" && v.id != id {
		refuse(w, 404, "KeyNotFound", "", "version not found")
		return
	}
	var out []byte
	var err error
	ok := true
	switch {
	case (v.rsa != nil) != (op.Algorithm == algRSA) || v.rsa == nil && op.Algorithm != algAES:
		ok = false
	case method == "wrapkey" && v.rsa != nil:
		out, err = rsa.EncryptOAEP(sha256.New(), rand.Reader, &v.rsa.PublicKey, op.Value, nil)
	case method == "unwrapkey" && v.rsa != nil:
		out, err = rsa.DecryptOAEP(sha256.New(), nil, v.rsa, op.Value, nil)
	case method == "wrapkey":
		out, ok = wrapAES(v.aes[:], op.Value)
	case method == "unwrapkey":
		out, ok = unwrapAES(v.aes[:], op.Value)
	default:
		ok = false
	}
	if err != nil || !ok {
		refuse(w, 400, "BadParameter", "", "The parameter is incorrect.")
		return
	}
	kid := vault + "/keys/" + v.name + "/" + v.id
	if f.rename != "" {
		kid = f.rename
	}
	answer(w, 200, result{kid, out})
}

func answer(w http.ResponseWriter, status int, doc any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(doc)
}

func refuse(w http.ResponseWriter, status int, code, inner, message string) {
	e := map[string]any{"code": code, "message": message}
	if inner != "" {
		e["innererror"] = map[string]any{"code": inner}
	}
	answer(w, status, map[string]any{"error": e})
}

// fail answers with the present fault.
func (f *fake) fail(w http.ResponseWriter) {
	switch f.fault {
	case kmstest.Throttle:
		refuse(w, 429, "Throttled", "", "Request was not processed because too many requests were received.")
	case kmstest.ServerError:
		refuse(w, 503, "ServiceUnavailable", "", "")
	case kmstest.Denied:
		refuse(w, 403, "Forbidden", "ForbiddenByRbac", "Caller is not authorized to perform action on resource.")
	case kmstest.NoAnswer:
		panic(http.ErrAbortHandler)
	case kmstest.Garbage:
		_, _ = w.Write([]byte(f.body))
	case kmstest.Empty:
		answer(w, 200, map[string]any{})
	case kmstest.ShortKey:
		v := f.keys["main"]
		if v == nil {
			v = f.keys["rsa-main"]
		}
		answer(w, 200, result{vault + "/keys/" + v[0].name + "/" + v[0].id, make([]byte, 16)})
	case kmstest.Hang:
		f.mu.Unlock()
		<-f.stop
		f.mu.Lock()
	}
}

// wrapAES is RFC 3394, section 2.2.1.
func wrapAES(kek, plain []byte) ([]byte, bool) {
	if len(plain)%8 != 0 || len(plain) < 16 {
		return nil, false
	}
	block, _ := aes.NewCipher(kek)
	n := len(plain) / 8
	out := append([]byte{0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6}, plain...)
	var b [16]byte
	for t := uint64(1); t <= uint64(6*n); t++ {
		r := out[8*((int(t)-1)%n+1):][:8]
		copy(b[:8], out[:8])
		copy(b[8:], r)
		block.Encrypt(b[:], b[:])
		binary.BigEndian.PutUint64(out[:8], binary.BigEndian.Uint64(b[:8])^t)
		copy(r, b[8:])
	}
	return out, true
}

// unwrapAES is RFC 3394, section 2.2.2.
func unwrapAES(kek, wrapped []byte) ([]byte, bool) {
	if len(wrapped)%8 != 0 || len(wrapped) < 24 {
		return nil, false
	}
	block, _ := aes.NewCipher(kek)
	n := len(wrapped)/8 - 1
	out := append([]byte(nil), wrapped...)
	var b [16]byte
	for t := uint64(6 * n); t > 0; t-- {
		r := out[8*((int(t)-1)%n+1):][:8]
		binary.BigEndian.PutUint64(b[:8], binary.BigEndian.Uint64(out[:8])^t)
		copy(b[8:], r)
		block.Decrypt(b[:], b[:])
		copy(out[:8], b[:8])
		copy(r, b[8:])
	}
	return out[8:], subtle.ConstantTimeCompare(out[:8], []byte{0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6}) == 1
}

// tokens gives "token-1", "token-2", ….
type tokens struct {
	mu     sync.Mutex
	n      int
	life   time.Duration
	scopes []string
	err    error
}

func (s *tokens) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return azcore.AccessToken{}, s.err
	}
	s.n++
	s.scopes = append(s.scopes, o.Scopes...)
	return azcore.AccessToken{Token: "token-" + string(rune('0'+s.n)), ExpiresOn: time.Now().Add(s.life)}, nil
}

// calls is how many requests there have been.
func (f *fake) calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen)
}
