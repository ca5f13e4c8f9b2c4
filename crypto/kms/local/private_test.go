//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package local_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"s3veil/crypto/kms/local"
)

func TestFilesOpenToOthersAreRefused(t *testing.T) {
	for _, mode := range []os.FileMode{0o600, 0o400, 0o604, 0o660, 0o644, 0o610, 0o602} {
		path := put(t, "["+line("main", "active", 0)+"]")
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := local.Open(path)
		if private := mode&0o077 == 0; private != (err == nil) {
			t.Errorf("mode %04o: %v", mode, err)
		} else if !private && !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %04o: %v does not say what to do", mode, err)
		}
	}
}

func TestWrittenFilesArePrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	if err := local.New(path, "main", day); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
		if _, err := local.Rotate(path, "main", day); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOnlyRegularFilesAreRead(t *testing.T) {
	if _, err := local.Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("directory: %v", err)
	}
	if _, err := local.Open(put(t, strings.Repeat(" ", 1<<20+1))); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("huge file: %v", err)
	}
}
