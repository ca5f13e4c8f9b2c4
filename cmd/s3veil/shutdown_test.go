//go:build !nodevstore && (linux || darwin || freebsd)

package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/local"
)

// TestKeysAreOverwrittenAtTheEnd holds the providers of a proxy, of before and after a rotation, and looks at them once it has
// ended.
func TestKeysAreOverwrittenAtTheEnd(t *testing.T) {
	site := newSite(t)
	site.secret("one", "secret-one")
	started := make(chan endpoints, 1)
	p := &program{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard, signals: make(chan os.Signal),
		started: func(at endpoints) { started <- at }, poll: time.Hour}
	s, w, err := p.newService(t.Context(), sources{File: site.configure("", "one")})
	if err != nil {
		t.Fatal(err)
	}
	providers := []kms.Provider{w.settings.KEKs[0].Provider}
	if _, err := local.Rotate(filepath.Join(site.dir, "keys.json"), "main", time.Now()); err != nil {
		t.Fatal(err)
	}
	s.reload(t.Context(), "test")
	now := s.kept.files[Path(filepath.Join(site.dir, "keys.json"))]
	providers = append(providers, now.Provider())
	ec := kms.RealmContext("r", nil)
	for i, kid := range []string{"main", "main.2"} {
		if _, _, err := providers[i].Generate(t.Context(), kid, ec); err != nil {
			t.Fatalf("%s before the end: %v", kid, err)
		}
	}
	ended := make(chan struct{})
	close(ended)
	if err := s.run(t.Context(), w, ended); err != nil {
		t.Fatal(err)
	}
	<-started
	for i, kid := range []string{"main", "main.2"} {
		if _, _, err := providers[i].Generate(t.Context(), kid, ec); !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("%s after the end: %v", kid, err)
		}
	}
}

func TestOpenConfigurationWithSecretsIsWarnedAbout(t *testing.T) {
	site := newSite(t)
	site.secret("one", "secret-one")
	for _, c := range []struct {
		mode os.FileMode
		warn bool
	}{{0o600, false}, {0o644, true}} {
		file := site.configure("", "one")
		if err := os.Chmod(file, c.mode); err != nil {
			t.Fatal(err)
		}
		r := begin(t, "serve", "--config", file)
		r.end(t)
		if got := strings.Contains(r.out.String(), "s3veil.yaml has mode 0644, which lets every user in"); got != c.warn {
			t.Errorf("mode %04o: %s", c.mode, r.out)
		}
	}
	text := write(t, filepath.Join(site.dir, "files.yaml"), "clients: [{access_key: app, secret_key_file: one}]\n")
	if err := os.Chmod(text, 0o644); err != nil {
		t.Fatal(err)
	}
	if l := load(sources{File: text}); l.open != "" {
		t.Errorf("without secrets of its own: %s", l.open)
	}
}
