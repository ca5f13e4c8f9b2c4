package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestProgramLinksNoCopyleft looks at the licence file of every module that the released program links.
func TestProgramLinksNoCopyleft(t *testing.T) {
	modules := map[string]string{}
	for _, tags := range []string{"", "nodevstore", "nodevstore,pkcs11"} {
		for _, p := range list(t, tags, "./cmd/s3veil") {
			if p.Module != nil && p.Module.Path != module {
				modules[p.Module.Path] = p.Module.Dir
			}
		}
	}
	if len(modules) < 5 {
		t.Fatalf("only %d modules", len(modules))
	}
	for name, dir := range modules {
		text := licence(t, dir)
		if text == "" {
			t.Errorf("%s has no licence file", name)
		}
		upper := strings.ToUpper(text)
		for _, bad := range []string{"GNU AFFERO GENERAL PUBLIC", "GNU GENERAL PUBLIC LICENSE", "SERVER SIDE PUBLIC LICENSE", "BUSINESS SOURCE LICENSE"} {
			if strings.Contains(upper, bad) && !strings.Contains(upper, "MOZILLA PUBLIC LICENSE") {
				t.Errorf("%s: %s", name, bad)
			}
		}
	}
}

// licence returns the text of a module's licence files.
func licence(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		name := strings.ToUpper(e.Name())
		if e.Type().IsRegular() && (strings.HasPrefix(name, "LICEN") || strings.HasPrefix(name, "COPYING")) {
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			b.Write(text)
		}
	}
	return b.String()
}
