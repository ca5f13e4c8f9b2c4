package transit_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"s3veil/crypto/kms/kmstest"
	"s3veil/crypto/kms/transit"
)

// fake speaks as much of the protocol of Vault as the adapter uses, with the answers of a Vault 1.13.1.
type fake struct {
	mu        sync.Mutex
	keys      map[string]*fakeKey
	tokens    map[string]*fakeToken
	namespace string
	logins    int                                  // successful ones
	calls     map[string]int                       // by endpoint
	hook      func(path string) (int, string)      // answers in the place of the fake; status 0 for none
	lease     time.Duration                        // of logins
	most      time.Duration                        // longest life of a login, 0 for any
	body      *string                              // what every such call is answered, with success
	fault     *kmstest.Fault                       // what goes wrong with every call of transit
	login     map[string]func(map[string]any) bool // by path
}

type fakeKey struct {
	versions [][]byte
	derived  bool
	min      int
}

type fakeToken struct {
	ends      time.Time // zero for never
	last      time.Time // no renewal reaches beyond; zero for none
	lease     time.Duration
	renewable bool
	powerless bool
}

const rootToken = "hvs.root"

func newFake(keys ...string) *fake {
	f := &fake{keys: map[string]*fakeKey{}, tokens: map[string]*fakeToken{rootToken: {}}, calls: map[string]int{},
		lease: time.Hour, login: map[string]func(map[string]any) bool{}}
	for _, k := range keys {
		f.keys[k] = &fakeKey{derived: true, min: 1}
		f.rotate(k)
	}
	return f
}

func (f *fake) rotate(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	f.keys[key].versions = append(f.keys[key].versions, secret)
}

func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fake) count(endpoint string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[endpoint]
}

// start serves the fake over TCP and returns its address.
func (f *fake) start(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}

// RoundTrip answers without a network.
func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w.Result(), r.Context().Err()
}

func provider(t *testing.T, o transit.Options) *transit.Provider {
	t.Helper()
	if o.Key == "" {
		o.Key = "a"
	}
	if o.Token == "" && o.TokenFile == "" && o.AppRole == (transit.AppRole{}) && o.Kubernetes == (transit.Kubernetes{}) {
		o.Token = rootToken
	}
	p, err := transit.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v1/")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[path]++
	if f.body != nil && strings.HasPrefix(path, "transit/") {
		_, _ = io.WriteString(w, *f.body)
		return
	}
	if f.fault != nil && strings.HasPrefix(path, "transit/") {
		fault := *f.fault
		f.mu.Unlock() // a fault may hang, and does not touch the fake
		defer f.mu.Lock()
		serveFault(w, r, fault)
		return
	}
	if f.hook != nil {
		if status, text := f.hook(path); status != 0 {
			fail(w, status, text)
			return
		}
	}
	var body map[string]any
	if r.Method == http.MethodPost && json.NewDecoder(r.Body).Decode(&body) != nil {
		fail(w, 400, "failed to parse JSON input")
		return
	}
	if r.Header.Get("X-Vault-Namespace") != f.namespace {
		fail(w, 404, "no handler for route")
		return
	}
	if check := f.login[path]; check != nil {
		f.serveLogin(w, check(body))
		return
	}
	name := r.Header.Get("X-Vault-Token")
	tok := f.tokens[name]
	if tok == nil || !tok.ends.IsZero() && !time.Now().Before(tok.ends) {
		fail(w, 403, "permission denied")
		return
	}
	switch {
	case strings.HasPrefix(path, "auth/token/"):
		f.serveToken(w, path, name, tok)
	case tok.powerless:
		fail(w, 403, "1 error occurred:\n\t* permission denied\n\n")
	case strings.HasPrefix(path, "transit/"):
		f.serveTransit(w, strings.TrimPrefix(path, "transit/"), body)
	default:
		fail(w, 404, "no handler for route")
	}
}

func fail(w http.ResponseWriter, status int, text string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []string{text}})
}

func answer(w http.ResponseWriter, data, auth any) {
	_ = json.NewEncoder(w).Encode(map[string]any{"request_id": "1", "data": data, "auth": auth, "warnings": nil})
}

func (f *fake) serveLogin(w http.ResponseWriter, ok bool) {
	if !ok {
		fail(w, 400, "invalid role or secret ID")
		return
	}
	f.logins++
	name := fmt.Sprintf("hvs.login-%d", f.logins)
	t := &fakeToken{ends: time.Now().Add(f.lease), lease: f.lease, renewable: true}
	if f.most > 0 {
		t.last = time.Now().Add(f.most)
	}
	f.tokens[name] = t
	answer(w, nil, map[string]any{"client_token": name, "lease_duration": int(f.lease.Seconds()), "renewable": true})
}

func (f *fake) serveToken(w http.ResponseWriter, path, name string, tok *fakeToken) {
	left := func() int {
		if tok.ends.IsZero() {
			return 0
		}
		return int(time.Until(tok.ends).Seconds())
	}
	switch path {
	case "auth/token/lookup-self":
		answer(w, map[string]any{"ttl": left(), "renewable": tok.renewable}, nil)
	case "auth/token/renew-self":
		if !tok.renewable {
			fail(w, 400, "lease is not renewable")
			return
		}
		tok.ends = time.Now().Add(tok.lease)
		if !tok.last.IsZero() && tok.ends.After(tok.last) {
			tok.ends = tok.last
		}
		answer(w, nil, map[string]any{"client_token": name, "lease_duration": left(), "renewable": true})
	default:
		fail(w, 404, "unsupported path")
	}
}

func (f *fake) serveTransit(w http.ResponseWriter, path string, body map[string]any) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		fail(w, 404, "unsupported path")
		return
	}
	op, name := path[:i], path[i+1:]
	text := func(field string) []byte { b, _ := base64.StdEncoding.DecodeString(fmt.Sprint(body[field])); return b }
	context := text("context")
	k := f.keys[name]
	if k == nil && op == "encrypt" { // created on the way, as by Vault for a token that may
		k = &fakeKey{derived: len(context) > 0, min: 1, versions: [][]byte{make([]byte, 32)}}
		f.keys[name] = k
	}
	if k == nil {
		fail(w, 400, "encryption key not found")
		return
	}
	switch op {
	case "datakey/plaintext", "encrypt":
		plain := text("plaintext")
		if op != "encrypt" {
			plain = make([]byte, int(body["bits"].(float64))/8)
			_, _ = rand.Read(plain)
		}
		data := map[string]any{"ciphertext": k.seal(context, plain)}
		if op != "encrypt" {
			data["plaintext"] = plain
		}
		answer(w, data, nil)
	case "decrypt", "rewrap":
		plain, problem := k.open(context, fmt.Sprint(body["ciphertext"]))
		switch {
		case problem != "":
			fail(w, 400, problem)
		case op == "rewrap":
			answer(w, map[string]any{"ciphertext": k.seal(context, plain)}, nil)
		default:
			answer(w, map[string]any{"plaintext": plain}, nil)
		}
	default:
		fail(w, 404, "unsupported path")
	}
}

func (k *fakeKey) cipher(version int, context []byte) cipher.AEAD {
	if !k.derived {
		context = nil
	}
	derived, _ := hkdf.Key(sha256.New, k.versions[version-1], nil, string(context), 32)
	block, _ := aes.NewCipher(derived)
	aead, _ := cipher.NewGCM(block)
	return aead
}

func (k *fakeKey) seal(context, plain []byte) string {
	version := len(k.versions)
	nonce := make([]byte, 12)
	_, _ = rand.Read(nonce)
	return fmt.Sprintf("vault:v%d:%s", version, base64.StdEncoding.EncodeToString(k.cipher(version, context).Seal(nonce, nonce, plain, nil)))
}

func (k *fakeKey) open(context []byte, text string) (plain []byte, problem string) {
	rest, ok := strings.CutPrefix(text, "vault:v")
	if !ok {
		return nil, "invalid ciphertext: no prefix"
	}
	number, sealed, _ := strings.Cut(rest, ":")
	version, err := strconv.Atoi(number)
	if err != nil {
		return nil, "invalid ciphertext: version number could not be decoded"
	}
	version = max(version, 1) // as Vault: version 0 is version 1
	switch {
	case version > len(k.versions):
		return nil, "invalid ciphertext: version is too new"
	case version < k.min:
		return nil, "ciphertext or signature version is disallowed by policy (too old)"
	}
	raw, err := base64.StdEncoding.DecodeString(sealed)
	if err != nil || len(raw) < 12 {
		return nil, "invalid ciphertext: could not decode base64"
	}
	if plain, err = k.cipher(version, context).Open(nil, raw[:12], raw[12:], nil); err != nil {
		return nil, "cipher: message authentication failed"
	}
	return plain, ""
}

// breaks makes every call of transit go wrong until undo.
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
		fail(w, 429, "request path \"transit\": rate limit quota exceeded")
	case kmstest.ServerError:
		fail(w, 503, "Vault is sealed")
	case kmstest.Denied:
		fail(w, 403, "1 error occurred:\n\t* permission denied\n\n")
	case kmstest.Hang:
		_, _ = io.Copy(io.Discard, r.Body) // so that the end of the connection is noticed
		<-r.Context().Done()
	case kmstest.NoAnswer:
		panic(http.ErrAbortHandler)
	case kmstest.Garbage:
		_, _ = io.WriteString(w, "<html>not Vault</html>")
	case kmstest.Empty:
		answer(w, map[string]any{}, nil)
	case kmstest.ShortKey:
		answer(w, map[string]any{"plaintext": make([]byte, 16), "ciphertext": "vault:v1:" + strings.Repeat("A", 80)}, nil)
	}
}
