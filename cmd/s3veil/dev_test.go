//go:build !nodevstore && (linux || darwin || freebsd)

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"s3veil/cmd/s3veil/internal/devstore"
)

func TestDevKeepsCiphertextAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	r := begin(t, "dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", dir)
	secret, err := readSecret(filepath.Join(dir, devSecret))
	if err != nil {
		t.Fatal(err)
	}
	c := r.client("dev", secret.reveal())
	const text = "a sentence the store must never see"
	if err := put(t.Context(), c, devBucket, "a/b.txt", text); err != nil {
		t.Fatal(err)
	}
	if got, err := get(t.Context(), c, devBucket, "a/b.txt"); err != nil || got != text {
		t.Errorf("read %q, %v", got, err)
	}
	if got, err := get(t.Context(), c, devBucket, devKey); err != nil || got != devText {
		t.Errorf("first object reads %q, %v", got, err)
	}
	stored, err := os.ReadFile(devstore.ObjectFile(dir, devBucket, "a/b.txt"))
	if err != nil || len(stored) <= len(text) {
		t.Errorf("%d bytes on disk, %v", len(stored), err)
	}
	out := r.out.String()
	for _, want := range []string{"http://" + r.Listen, "http://" + r.Admin, secret.reveal(), devBucket, dir, "On disk", "|"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if code := r.end(t); code != exitOK {
		t.Errorf("exit code %d: %s", code, r.out)
	}
	searchPlaintext(t, dir, text, "never seen this sentence")

	again := begin(t, "dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data", dir)
	if got, err := get(t.Context(), again.client("dev", secret.reveal()), devBucket, "a/b.txt"); err != nil || got != text {
		t.Errorf("after a restart: %q, %v", got, err)
	}
}

// searchPlaintext fails when one of the texts lies anywhere below dir.
func searchPlaintext(t *testing.T, dir string, texts ...string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		content, err := os.ReadFile(name)
		for _, text := range texts {
			if strings.Contains(string(content), text) {
				t.Errorf("%s contains %q", name, text)
			}
		}
		return err
	})
	if err != nil || files < 4 {
		t.Errorf("%d files searched, %v", files, err)
	}
}

func TestDevRemovesItsTemporaryDirectory(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	r := begin(t, "dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--access-key", "me", "--secret-key", "given-secret")
	if got, err := get(t.Context(), r.client("me", "given-secret"), devBucket, devKey); err != nil || got != devText {
		t.Errorf("first object reads %q, %v", got, err)
	}
	m := regexp.MustCompile(`(?m)^  data +(\S+)`).FindStringSubmatch(r.out.String())
	if m == nil {
		t.Fatalf("no directory in:\n%s", r.out)
	}
	if _, err := os.Stat(m[1]); err != nil {
		t.Error(err)
	}
	if code := r.end(t); code != exitOK {
		t.Errorf("exit code %d: %s", code, r.out)
	}
	if _, err := os.Stat(m[1]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is left behind: %v", m[1], err)
	}
}

func TestDevReportsAnAddressInUse(t *testing.T) {
	r := begin(t, "dev", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
	taken := r.Listen
	r.end(t)
	first := begin(t, "dev", "--listen", taken, "--admin", "127.0.0.1:0")
	code, _, errs := s3veil(nil, "dev", "--listen", "127.0.0.1:0", "--admin", first.Admin)
	if code != exitFailed || errs == "" {
		t.Errorf("exit code %d: %s", code, errs)
	}
}
