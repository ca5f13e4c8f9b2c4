package awskms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	base "s3veil/crypto/kms"
	"s3veil/crypto/kms/kmstest"
)

const (
	arnPrefix   = "arn:aws:kms:eu-central-1:111122223333:key/"
	mainKey     = arnPrefix + "1234abcd-12ab-34cd-56ef-1234567890ab"
	otherKey    = arnPrefix + "0987dcba-09fe-87dc-65ba-ab0987654321"
	disabledKey = arnPrefix + "00000000-0000-0000-0000-00000000d15a"
	deletedKey  = arnPrefix + "00000000-0000-0000-0000-00000000de1e"
	unknownKey  = arnPrefix + "00000000-0000-0000-0000-000000000000"
)

// fake speaks the protocol of the API reference (JSON 1.1, TrentService). It is stricter than the double that the integration
// tests run: disabled keys and keys pending deletion refuse every operation.
type fake struct {
	mu    sync.Mutex
	keys  map[string]cipher.AEAD
	fault kmstest.Fault
	bad   bool
	body  string            // what the fault kmstest.Garbage answers
	state map[string]string // by ARN: "disabled", "deleted"
	deny  string            // operation that the policy leaves out
	named string            // key that every answer names, in place of the one that was asked for
	stop  chan struct{}
	seen  []string // "operation key"
	ec    map[string]string
	auth  string
}

func newFake(t testing.TB) (*fake, string) {
	f := &fake{keys: map[string]cipher.AEAD{}, state: map[string]string{}, stop: make(chan struct{})}
	for _, arn := range []string{mainKey, otherKey, disabledKey, deletedKey} {
		material := make([]byte, 32)
		_, _ = rand.Read(material)
		block, _ := aes.NewCipher(material)
		f.keys[arn], _ = cipher.NewGCM(block)
	}
	srv := httptest.NewServer(f)
	t.Cleanup(func() { close(f.stop); srv.CloseClientConnections(); srv.Close() })
	return f, srv.URL
}

// set brings a fault over every request.
func (f *fake) set(k kmstest.Fault) (undo func()) { return f.fails(k, "<html>a proxy's page</html>") }

// reply gives every request one answer.
func (f *fake) reply(body string) (undo func()) { return f.fails(kmstest.Garbage, body) }

// leave takes a key out of service.
func (f *fake) leave(arn, state string) func() {
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.state[arn] = state
	}
}

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

type call struct {
	KeyId, SourceKeyId, DestinationKeyId                                     string
	EncryptionContext, SourceEncryptionContext, DestinationEncryptionContext map[string]string
	Plaintext, CiphertextBlob                                                []byte
	KeySpec                                                                  string
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var c call
	op := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
		f.answer(w, 400, map[string]any{"__type": "SerializationException"})
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen, f.ec, f.auth = append(f.seen, op+" "+c.KeyId), c.EncryptionContext, r.Header.Get("Authorization")
	if f.bad {
		f.fail(w)
		return
	}
	if op == f.deny {
		f.answer(w, 400, map[string]any{"__type": "AccessDeniedException", "Message": "not authorized to perform: kms:" + op})
		return
	}
	switch op {
	case "GenerateDataKey":
		key := make([]byte, 32)
		_, _ = rand.Read(key)
		if blob := f.seal(w, c.KeyId, c.EncryptionContext, key); blob != nil {
			f.answer(w, 200, map[string]any{"KeyId": f.arn(c.KeyId), "Plaintext": key, "CiphertextBlob": blob})
		}
	case "Encrypt":
		if blob := f.seal(w, c.KeyId, c.EncryptionContext, c.Plaintext); blob != nil {
			f.answer(w, 200, map[string]any{"KeyId": f.arn(c.KeyId), "CiphertextBlob": blob})
		}
	case "Decrypt":
		if key := f.open(w, c.KeyId, c.EncryptionContext, c.CiphertextBlob); key != nil {
			f.answer(w, 200, map[string]any{"KeyId": f.arn(c.KeyId), "Plaintext": key})
		}
	case "ReEncrypt":
		if key := f.open(w, c.SourceKeyId, c.SourceEncryptionContext, c.CiphertextBlob); key != nil {
			if blob := f.seal(w, c.DestinationKeyId, c.DestinationEncryptionContext, key); blob != nil {
				f.answer(w, 200, map[string]any{"KeyId": f.arn(c.DestinationKeyId), "SourceKeyId": f.arn(c.SourceKeyId), "CiphertextBlob": blob})
			}
		}
	default:
		f.answer(w, 400, map[string]any{"__type": "UnknownOperationException"})
	}
}

func (f *fake) arn(key string) string {
	switch {
	case key == "alias/main":
		return mainKey
	case !strings.HasPrefix(key, "arn:"):
		return arnPrefix + key
	}
	return key
}

// find returns a usable key, or answers.
func (f *fake) find(w http.ResponseWriter, key string) cipher.AEAD {
	switch arn := f.arn(key); {
	case f.state[arn] == "disabled":
		f.answer(w, 400, map[string]any{"__type": "DisabledException", "message": arn + " is disabled."})
	case f.state[arn] == "deleted":
		f.answer(w, 400, map[string]any{"__type": "KMSInvalidStateException", "message": arn + " is pending deletion."})
	case f.keys[arn] == nil:
		f.answer(w, 400, map[string]any{"__type": "com.amazonaws.kms#NotFoundException", "message": "Key '" + arn + "' does not exist"})
	default:
		return f.keys[arn]
	}
	return nil
}

func (f *fake) seal(w http.ResponseWriter, key string, ec map[string]string, plain []byte) []byte {
	aead := f.find(w, key)
	if aead == nil {
		return nil
	}
	nonce := make([]byte, 12)
	_, _ = rand.Read(nonce)
	return aead.Seal(nonce, nonce, plain, base.Context(ec).Canonical())
}

func (f *fake) open(w http.ResponseWriter, key string, ec map[string]string, blob []byte) []byte {
	aead := f.find(w, key)
	if aead == nil {
		return nil
	}
	if len(blob) > 28 {
		if plain, err := aead.Open(nil, blob[:12], blob[12:], base.Context(ec).Canonical()); err == nil {
			return plain
		}
	}
	f.answer(w, 400, map[string]any{"__type": "InvalidCiphertextException"})
	return nil
}

func (f *fake) answer(w http.ResponseWriter, status int, doc any) {
	if m, ok := doc.(map[string]any); ok && m["KeyId"] != nil && f.named != "" {
		m["KeyId"] = f.named
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(doc)
}

// fail answers with the present fault.
func (f *fake) fail(w http.ResponseWriter) {
	switch f.fault {
	case kmstest.Throttle:
		f.answer(w, 400, map[string]any{"__type": "ThrottlingException", "message": "Rate exceeded"})
	case kmstest.ServerError:
		f.answer(w, 500, map[string]any{"__type": "KMSInternalException"})
	case kmstest.Denied:
		f.answer(w, 400, map[string]any{"__type": "AccessDeniedException", "Message": "not authorized to perform: kms:Decrypt"})
	case kmstest.NoAnswer:
		panic(http.ErrAbortHandler)
	case kmstest.Garbage:
		_, _ = w.Write([]byte(f.body))
	case kmstest.Empty:
		f.answer(w, 200, map[string]any{})
	case kmstest.ShortKey:
		f.answer(w, 200, map[string]any{"KeyId": mainKey, "Plaintext": make([]byte, 16), "CiphertextBlob": []byte("x")})
	case kmstest.Hang:
		f.mu.Unlock()
		<-f.stop
		f.mu.Lock()
	}
}

// calls is how many requests there have been.
func (f *fake) calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen)
}
