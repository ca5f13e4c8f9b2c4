//go:build !nodevstore && (linux || darwin || freebsd)

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"s3veil/cmd/s3veil/internal/devstore"
)

// The page of the program itself: an object that somebody changed in the store is in it, and no secret of the process.
func TestStatusShowsDamageAndNoSecret(t *testing.T) {
	dir := t.TempDir()
	r := begin(t, "dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", dir)
	secret, err := readSecret(filepath.Join(dir, devSecret))
	if err != nil {
		t.Fatal(err)
	}
	c := r.client("dev", secret.reveal())
	const text = "plaintext-canary of an object"
	if err := put(t.Context(), c, devBucket, "damaged", text); err != nil {
		t.Fatal(err)
	}
	file := devstore.ObjectFile(dir, devBucket, "damaged")
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	body[len(body)-1] ^= 1
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := get(t.Context(), c, devBucket, "damaged"); err == nil {
		t.Fatalf("read %q", got)
	}
	var page, figures string
	await(t, "the failure is on the page", func() bool {
		_, page = r.adminGet(t, "/status")
		_, figures = r.adminGet(t, "/status.json")
		return strings.Contains(page, "<td>stream<td>GetObject<td>") && strings.Contains(figures, `"class":"stream"`)
	})
	secrets := []string{secret.reveal(), text[:19]}
	for _, name := range []string{devKeys} {
		keys, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range strings.FieldsFunc(string(keys), func(r rune) bool { return strings.ContainsRune("\"{}[]:, \n", r) }) {
			if len(word) >= 40 {
				secrets = append(secrets, word)
			}
		}
	}
	if len(secrets) < 3 {
		t.Fatal("no key material to look for")
	}
	for _, s := range secrets {
		if slices.ContainsFunc([]string{page, figures}, func(shown string) bool { return strings.Contains(shown, s) }) {
			t.Errorf("%q is shown", s)
		}
	}
}
