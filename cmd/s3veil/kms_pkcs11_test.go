package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"s3veil/crypto/kms/pkcs11"
)

func TestMistakesOfTokens(t *testing.T) {
	text := `kms:
  keys:
    - {id: a, provider: pkcs11, key: one, module: lib.so, pin: "1"}
    - {id: b, provider: pkcs11, key: one, module: lib.so, pin: "1", mechanism: aes-gcm, token_nonce: true, sessions: 1}
    - {id: c, provider: pkcs11}
    - {id: d, provider: pkcs11, key: one, module: lib.so, pin: "1", mechanism: aes-cbc, sessions: 0}
    - {id: e, provider: pkcs11, key: one, module: lib.so, pin: "1", mechanism: aes-key-wrap, token_nonce: true}
`
	file := write(t, filepath.Join(t.TempDir(), "c.yaml"), text)
	l := load(sources{File: file})
	for i := range l.KMS.Keys {
		l.checkToken(index("kms.keys", i), &l.KMS.Keys[i])
	}
	want := []string{
		"5: kms.keys[2].key: missing",
		"5: kms.keys[2].module: missing",
		"5: kms.keys[2].pin: missing: pin_file, or pin",
		`6: kms.keys[3].mechanism: "aes-cbc" is not one of aes-gcm, aes-key-wrap-pad, aes-key-wrap`,
		"6: kms.keys[3].sessions: must be between 1 and 1024",
		"7: kms.keys[4].token_nonce: aes-key-wrap has no nonce",
	}
	got := messages(l, file)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%s", strings.Join(got, "\n"))
	}
}

func TestTokensTakeTheirBuild(t *testing.T) {
	withoutAWS(t)
	file := write(t, filepath.Join(t.TempDir(), "c.yaml"), `
kms: {keys: [{id: hsm, provider: pkcs11, key: one, module: missing.so, pin: "1", address: "https://vault:8200"}]}
upstream: {endpoint: "http://127.0.0.1:9000", credentials: {access_key: a, secret_key: b}}
clients: [{access_key: app, secret_key: s, buckets: ["*"], actions: [read]}]
`)
	got := strings.Join(messages(check(sources{File: file}), file), "\n")
	want := "2: kms.keys[0].provider: pkcs11: not in this build: it takes cgo and -tags pkcs11"
	if strings.Contains(got, want) == pkcs11.Built {
		t.Errorf("got %s", got)
	}
	if want := "2: kms.keys[0].address: is not a key of the provider pkcs11"; !strings.Contains(got, want) {
		t.Errorf("got %s", got)
	}
}
