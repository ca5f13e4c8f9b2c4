package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	notSlug = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
	cited   = regexp.MustCompile(`\]\(([^)\s]+\.md)\), section ([0-9]+)`)
	code    = regexp.MustCompile("`[^`\n]*`")
)

// documents are all pages of the repository.
func documents(t *testing.T) (out []string) {
	t.Helper()
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".md") {
			out = append(out, path)
		}
		return nil
	})
	if err != nil || len(out) < 15 {
		t.Fatal(out, err)
	}
	return out
}

// prose is a document without its fenced blocks.
func prose(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	inside := false
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "```") {
			inside = !inside
		} else if !inside {
			out.WriteString(line)
		}
	}
	return out.String()
}

// anchors are the names that GitHub gives to the headings of a document.
func anchors(text string) map[string]bool {
	out := map[string]bool{}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			continue
		}
		title := strings.TrimSpace(strings.TrimLeft(line, "#"))
		out[strings.ReplaceAll(notSlug.ReplaceAllString(strings.ToLower(title), ""), " ", "-")] = true
	}
	return out
}

func TestAnchorsAreThoseOfGitHub(t *testing.T) {
	got := anchors("# A\n## 1. Keys, and `secrets`\n### What a_b is\n")
	for _, want := range []string{"a", "1-keys-and-secrets", "what-a_b-is"} {
		if !got[want] {
			t.Errorf("no %s in %v", want, got)
		}
	}
}

func TestLinksLeadSomewhere(t *testing.T) {
	n := 0
	for _, path := range documents(t) {
		text := prose(t, path)
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(text, ""), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			n++
			file := path
			if target != "" {
				file = filepath.Join(filepath.Dir(path), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: %s: %v", path, m[1], err)
			} else if anchor != "" && !anchors(prose(t, file))[anchor] {
				t.Errorf("%s: %s has no heading %s", path, file, anchor)
			}
		}
		for _, m := range cited.FindAllStringSubmatch(text, -1) {
			file := filepath.Join(filepath.Dir(path), m[1])
			if !regexp.MustCompile(`(?m)^## ` + m[2] + `\. `).MatchString(prose(t, file)) {
				t.Errorf("%s cites section %s of %s, which does not exist", path, m[2], m[1])
			}
		}
	}
	if n < 30 {
		t.Errorf("%d links found", n)
	}
}
