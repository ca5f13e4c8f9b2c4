package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

func TestMain(m *testing.M) { servers.Main(m, s3veil.RemoveBuild) }

// fragment is what completes some keys to a configuration.
var fragment = map[string]any{
	"upstream": map[string]any{"endpoint": "http://127.0.0.1:9000", "credentials": map[string]any{"access_key": "a", "secret_key": "b"}},
	"clients": []any{map[string]any{"access_key": "app", "secret_key": "c", "buckets": []string{"*"},
		"actions": []string{"read", "write", "delete", "admin"}}},
	"kms": map[string]any{"keys": []any{map[string]any{"id": "main", "provider": "local", "file": "keys.json"}}},
}

// configurations are the blocks that hold one, of every document that has such blocks.
func configurations(t *testing.T) (out []block) {
	t.Helper()
	for _, page := range append(pages(t), "README.md", "docs/LEGACY.md") {
		for _, b := range blocks(t, page) {
			if b.lang == "yaml" && (b.mark == markConfig || strings.HasPrefix(b.mark, markFile) && strings.HasSuffix(b.mark, "s3veil.yaml") || page == "docs/LEGACY.md") {
				out = append(out, b)
			}
		}
	}
	return out
}

// TestConfigurationsAreAccepted gives them to `s3veil serve --check-config`, with a file for every name they mention.
func TestConfigurationsAreAccepted(t *testing.T) {
	program, err := s3veil.Build()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	run := func(args ...string) (string, error) {
		cmd := exec.Command(program, args...)
		cmd.Env, cmd.Dir = servers.CleanEnv(), dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, args := range [][]string{{"keys", "new", "--out", "keys.json"}, {"ca", "--out", ".", "--host", "aws", "--host", "minio.example.internal"}} {
		if out, err := run(args...); err != nil {
			t.Fatal(out, err)
		}
	}
	for _, name := range []string{"app.secret", "store.secret", "application.secret", "restic.secret", "barman.secret", "admin.token"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("secret"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range map[string]string{"ca.pem": "tls.pem", "ca.key": "tls.key"} {
		b, err := os.ReadFile(filepath.Join(dir, from))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, to), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	list := configurations(t)
	for _, b := range list {
		tree := map[string]any{}
		if err := yaml.Unmarshal([]byte(b.text), &tree); err != nil {
			t.Errorf("%s:%d: %v", b.page, b.line, err)
			continue
		}
		for key, value := range fragment {
			if _, ok := tree[key]; !ok {
				tree[key] = value
			}
		}
		text, err := yaml.Marshal(tree)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "s3veil.yaml"), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if out, err := run("serve", "--check-config", "--config", "s3veil.yaml"); err != nil {
			t.Errorf("%s:%d: %v\n%s", b.page, b.line, err, out)
		}
	}
	if len(list) < 4 {
		t.Errorf("%d configurations found", len(list))
	}
}
