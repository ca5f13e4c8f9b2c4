package azurekv

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"s3veil/crypto/kms"
)

// FuzzFile: what is taken says which version of the very key opens it.
func FuzzFile(f *testing.F) {
	const key = vault + "/keys/rsa"
	good := `{"kid":"` + key + `/0123456789abcdef0123456789abcdef","alg":"RSA-OAEP-256","value":"AAAA"}`
	f.Add([]byte(good))
	f.Add([]byte(good + good))
	f.Add([]byte(strings.Replace(good, "rsa", "RSA", 1)))
	f.Add([]byte(strings.Replace(good, "AAAA", "AAA=", 1)))
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := parseFile(b, "file", key)
		if err != nil {
			if w != nil {
				t.Error("a mistake came with a key")
			}
			return
		}
		var d document
		if json.Unmarshal(b, &d) != nil || len(w.value) == 0 || !bytes.Equal(d.Value, w.value) {
			t.Fatalf("%+v", w)
		}
		if want := strings.ToLower(key + "/" + w.version.String()); !strings.HasPrefix(strings.ToLower(d.KeyID), want) {
			t.Errorf("kid %q, version %s", d.KeyID, w.version)
		}
	})
}

// FuzzAnswer: whatever a server answers, there is a class, and a key only with the version that was asked for.
func FuzzAnswer(f *testing.F) {
	f.Add(200, []byte(`{"kid":"https://x/keys/main/0123456789abcdef0123456789abcdef","value":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`))
	f.Add(403, []byte(`{"error":{"code":"Forbidden","message":"m","innererror":{"code":"KeyDisabled"}}}`))
	f.Add(429, []byte(`{"error":null}`))
	f.Add(502, []byte(`<html>`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status == 200 {
			var out result
			if json.Unmarshal(body, &out) == nil {
				if v, ok := versionOf(out.KeyID, "main"); ok && !strings.Contains(strings.ToLower(out.KeyID), v.String()) {
					t.Errorf("kid %q, version %s", out.KeyID, v)
				}
			}
			return
		}
		err := ofBlob(newAnswerError(status, body))
		for _, class := range []error{kms.ErrAccessDenied, kms.ErrKeyDisabled, kms.ErrKeyNotFound, kms.ErrThrottled, kms.ErrUnavailable, kms.ErrBadCiphertext} {
			if errors.Is(err, class) {
				return
			}
		}
		t.Errorf("%v has no class", err)
	})
}
