package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestUnreadableSecretsSaySo looks at files that belong to root alone through the eyes of another user. Where the tests run
// as another user already, the file takes its own rights away.
func TestUnreadableSecretsSaySo(t *testing.T) {
	dir := fixtures(t)
	text := `
clients: [{access_key: app, secret_key_file: secret, buckets: ["*"], actions: [read]}]
admin_token_file: secret
tls: {cert_file: server.pem, key_file: server.key}
upstream: {endpoint: "http://127.0.0.1:9000", credentials: {access_key: a, secret_key: b}}
kms: {keys: [{id: main, provider: local, file: keys.json}]}
`
	file := filepath.Join(dir, "s3veil.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"s3veil.yaml": 0o644, "server.pem": 0o644, "secret": 0, "server.key": 0, "keys.json": 0} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	for d := dir; d != filepath.Dir(d) && strings.HasPrefix(d, os.TempDir()+string(filepath.Separator)); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// The identity for files belongs to the thread; the thread ends with this goroutine, which never unlocks it.
	done := make(chan []string)
	go func() {
		runtime.LockOSThread()
		if os.Geteuid() == 0 {
			if err := unix.Setfsuid(65534); err != nil {
				t.Error(err)
			}
		}
		done <- messages(check(sources{File: file}), file)
	}()
	got := strings.Join(<-done, "\n")
	want := strings.Join([]string{
		"2: clients[0].secret_key_file: open secret: permission denied",
		"3: admin_token_file: open secret: permission denied",
		"4: tls.key_file: open server.key: permission denied",
		"6: kms.keys[0].file: open keys.json: permission denied",
	}, "\n")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
