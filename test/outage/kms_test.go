package outage

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// fakeKMS is a KMS with one key whose moods the test decides. It speaks as much of AWS KMS and of the transit engine of Vault
// as s3veil uses.
type fakeKMS struct {
	addr string
	aead cipher.AEAD
	over chan struct{} // closed at the end of the test

	mu    sync.Mutex
	mood  mood
	calls map[string]int // by operation: generate, wrap, unwrap; refused and hanging ones too
}

// mood is how the KMS behaves.
type mood string

const (
	well       mood = "well"
	hanging    mood = "hanging"    // connections are taken, nothing is answered
	throttling mood = "throttling" // 400 ThrottlingException, 429
	failing    mood = "failing"    // 500
	cutting    mood = "cutting"    // connections are closed without an answer
	denying    mood = "denying"    // 400 AccessDeniedException, 403
)

// keyARN is the key's name at AWS KMS.
const keyARN = "arn:aws:kms:us-east-1:111122223333:key/0f2c"

func newKMS(t *testing.T) *fakeKMS {
	t.Helper()
	block, err := aes.NewCipher([]byte("a key of the tests of 32 bytes.."))
	if err != nil {
		t.Fatal(err)
	}
	k := &fakeKMS{mood: well, calls: map[string]int{}, over: make(chan struct{})}
	if k.aead, err = cipher.NewGCM(block); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(k)
	k.addr = s.URL
	t.Cleanup(func() { close(k.over); s.Close() })
	return k
}

// config is the key's entry in kms.keys.
func (k *fakeKMS) config(provider string) map[string]any {
	if provider == "transit" {
		return map[string]any{"id": "main", "provider": provider, "address": k.addr, "key": "s3veil", "token": "hvs.test"}
	}
	return map[string]any{"id": "main", "provider": provider, "endpoint": k.addr, "key": keyARN,
		"credentials": map[string]any{"access_key": "kms", "secret_key": "kms-secret"}}
}

func (k *fakeKMS) set(m mood) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mood = m
}

// count returns the calls of some operations, of all without arguments.
func (k *fakeKMS) count(ops ...string) (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(ops) == 0 {
		ops = []string{"generate", "wrap", "unwrap"}
	}
	for _, op := range ops {
		n += k.calls[op]
	}
	return n
}

// operations are the calls by what names them: the target header of AWS, the path of Vault.
var operations = map[string]string{
	"TrentService.GenerateDataKey": "generate", "TrentService.Encrypt": "wrap", "TrentService.Decrypt": "unwrap",
	"/v1/transit/datakey/plaintext/s3veil": "generate", "/v1/transit/encrypt/s3veil": "wrap", "/v1/transit/decrypt/s3veil": "unwrap",
}

func (k *fakeKMS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target := r.Header.Get("X-Amz-Target")
	aws := target != ""
	if !aws {
		target = r.URL.Path
	}
	op := operations[target]
	k.mu.Lock()
	k.calls[op]++
	m := k.mood
	k.mu.Unlock()
	payload, err := io.ReadAll(r.Body) // only then the server notices that its client has gone
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	switch m {
	case hanging:
		select {
		case <-r.Context().Done():
		case <-k.over:
		}
		panic(http.ErrAbortHandler)
	case cutting:
		panic(http.ErrAbortHandler)
	case well:
	default:
		refuse(w, aws, m)
		return
	}
	var body map[string]any
	if err := json.Unmarshal(payload, &body); err != nil && r.Method == http.MethodPost {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if aws {
		k.serveAWS(w, op, body)
	} else {
		k.serveVault(w, op, body)
	}
}

// refuse answers as a KMS in that mood.
func refuse(w http.ResponseWriter, aws bool, m mood) {
	status := map[mood]int{throttling: 429, failing: 500, denying: 403}[m]
	if !aws {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"errors": []string{string(m)}})
		return
	}
	code := map[mood]string{throttling: "ThrottlingException", failing: "KMSInternalException", denying: "AccessDeniedException"}[m]
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(max(400, status-status%500)) // 400 for refusals, 500 for failures
	_ = json.NewEncoder(w).Encode(map[string]any{"__type": code, "message": string(m)})
}

func (k *fakeKMS) seal(plain, context []byte) []byte {
	nonce := make([]byte, 12)
	_, _ = rand.Read(nonce)
	return k.aead.Seal(nonce, nonce, plain, context)
}

func (k *fakeKMS) open(blob, context []byte) []byte {
	if len(blob) < 12 {
		return nil
	}
	plain, err := k.aead.Open(nil, blob[:12], blob[12:], context)
	if err != nil {
		return nil
	}
	return plain
}

func (k *fakeKMS) serveAWS(w http.ResponseWriter, op string, body map[string]any) {
	context, _ := json.Marshal(body["EncryptionContext"])
	field := func(name string) []byte { b, _ := base64.StdEncoding.DecodeString(fmt.Sprint(body[name])); return b }
	out := map[string]any{"KeyId": keyARN}
	switch op {
	case "generate":
		plain := make([]byte, 32)
		_, _ = rand.Read(plain)
		out["Plaintext"], out["CiphertextBlob"] = plain, k.seal(plain, context)
	case "wrap":
		out["CiphertextBlob"] = k.seal(field("Plaintext"), context)
	case "unwrap":
		plain := k.open(field("CiphertextBlob"), context)
		if plain == nil {
			w.WriteHeader(400)
			out = map[string]any{"__type": "InvalidCiphertextException"}
			break
		}
		out["Plaintext"] = plain
	}
	_ = json.NewEncoder(w).Encode(out)
}

func (k *fakeKMS) serveVault(w http.ResponseWriter, op string, body map[string]any) {
	field := func(name string) []byte { b, _ := base64.StdEncoding.DecodeString(fmt.Sprint(body[name])); return b }
	blob := func(plain []byte) string {
		return "vault:v1:" + base64.StdEncoding.EncodeToString(k.seal(plain, field("context")))
	}
	out := map[string]any{}
	switch op {
	case "generate":
		plain := make([]byte, 32)
		_, _ = rand.Read(plain)
		out["plaintext"], out["ciphertext"] = plain, blob(plain)
	case "wrap":
		out["ciphertext"] = blob(field("plaintext"))
	case "unwrap":
		raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(fmt.Sprint(body["ciphertext"]), "vault:v1:"))
		plain := k.open(raw, field("context"))
		if plain == nil {
			w.WriteHeader(400)
			_ = json.NewEncoder(w).Encode(map[string]any{"errors": []string{"cipher: message authentication failed"}})
			return
		}
		out["plaintext"] = plain
	default: // the token's own life
		out["ttl"], out["renewable"] = 0, false
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"data": out})
}
