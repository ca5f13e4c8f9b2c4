package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"s3veil/crypto/kms/pkcs11"
)

// TestConfigurationsOfTheManualWork loads every example of docs/KMS.md and docs/MIGRATION.md, completed by a store and a client.
func TestConfigurationsOfTheManualWork(t *testing.T) {
	withoutAWS(t)
	dir := fixtures(t)
	text, err := os.ReadFile("../../docs/KMS.md")
	if err != nil {
		t.Fatal(err)
	}
	migration, err := os.ReadFile("../../docs/MIGRATION.md")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := os.ReadFile("../../crypto/s3ec/testdata/rsa.pem")
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"s3ec-aes.key": make([]byte, 32), "s3ec-rsa.pem": pair, "hsm.pin": []byte("1234")} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text = append(text, migration...)
	n := 0
	for block := range strings.SplitSeq(string(text), "```") {
		body, ok := strings.CutPrefix(block, "yaml\nkms:")
		if !ok {
			continue
		}
		n++
		file := filepath.Join(dir, "manual.yaml")
		whole := "kms:" + body + "upstream: {endpoint: \"http://127.0.0.1:9000\", credentials: {access_key: a, secret_key: b}}\n" +
			"clients: [{access_key: app, secret_key: s, buckets: [\"*\"], actions: [read]}]\n"
		if err := os.WriteFile(file, []byte(whole), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, m := range messages(check(sources{File: file}), file) {
			if !strings.HasSuffix(m, pkcs11.ErrNotBuilt.Error()) { // of a build of its own
				t.Errorf("example %d: %s", n, m)
			}
		}
	}
	if n < 3 {
		t.Errorf("%d examples found", n)
	}
}
