package canary

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A search that finds nothing is worth nothing unless it finds what is there.
func TestSearchFindsEveryForm(t *testing.T) {
	body := Stamp(make([]byte, 5000))
	sum, md := sha256.Sum256(body), md5.Sum(body)
	for name, content := range map[string]string{
		"plain":         "xx" + string(body[300:600]),
		"base64":        base64.StdEncoding.EncodeToString(body[301:600]),
		"hex":           hex.EncodeToString(body[300:600]),
		"sha256 hex":    "etag=" + hex.EncodeToString(sum[:]),
		"sha256 raw":    "\x00" + string(sum[:]),
		"md5 base64":    base64.StdEncoding.EncodeToString(md[:]),
		"md5 uppercase": strings.ToUpper(hex.EncodeToString(md[:])),
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "f"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, n, err := Search([]string{dir}, Digests(body))
		if err != nil || len(got) == 0 || n < int64(len(content)) {
			t.Errorf("%s: findings %q, searched %d, %v", name, got, n, err)
		}
	}
}

func TestSearchFindsNamesAndAttributes(t *testing.T) {
	body := Stamp(make([]byte, 100))
	md := md5.Sum(body)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, hex.EncodeToString(md[:])), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "attr")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want := 1
	if unix.Lsetxattr(path, "user.etag", []byte(hex.EncodeToString(md[:])), 0) == nil {
		want = 2 // the file system has attributes
	}
	got, _, err := Search([]string{dir}, Digests(body))
	if err != nil || len(got) != want {
		t.Errorf("findings %q, %v; want %d", got, err, want)
	}
}

func TestSearchIsQuietOnOtherData(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "f"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	got, n, err := Search([]string{dir}, Digests(Stamp(make([]byte, 1000))))
	if err != nil || len(got) != 0 || n != 1<<20 {
		t.Errorf("findings %q, searched %d, %v", got, n, err)
	}
	if _, _, err := Search([]string{dir + "/missing"}, nil); err == nil {
		t.Error("searching a missing directory succeeded")
	}
}
