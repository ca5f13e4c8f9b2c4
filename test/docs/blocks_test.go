package docs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const top = "../.."

// pages are the documents whose blocks all carry a mark.
func pages(t *testing.T) []string {
	t.Helper()
	out := []string{"docs/INSTALL.md", "docs/RECIPES.md", "docs/RECOVERY.md", "docs/HARDENING.md", "docs/UPGRADE.md", "docs/SIZING.md"}
	guides, err := filepath.Glob(top + "/docs/install/*.md")
	if err != nil || len(guides) < 3 {
		t.Fatal(guides, err)
	}
	for _, g := range guides {
		out = append(out, "docs/install/"+filepath.Base(g))
	}
	return out
}

// The marks, which are the second word behind the opening of a block.
const (
	markRun      = "run"      // shell commands that the tests run
	markServe    = "serve"    // a command that stays in the foreground
	markFile     = "file="    // a file that the commands use
	markConfig   = "config"   // a configuration, or some keys of one
	markValues   = "values"   // of the chart: test/chart
	markHelm     = "helm"     // commands of Helm that test/chart repeats
	markManifest = "manifest" // of Kubernetes: test/chart
	markByHand   = "by-hand"
	markExample  = "example"
)

// block is a fenced block of a document.
type block struct {
	page, lang, mark string
	story            string // of the third word, story=NAME: commands of one page that do not belong together
	line             int    // of the opening
	text             string
}

// blocks reads the fenced blocks of a document.
func blocks(t *testing.T, page string) (out []block) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, page))
	if err != nil {
		t.Fatal(err)
	}
	var open *block
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		info, fence := strings.CutPrefix(strings.TrimRight(line, "\n"), "```")
		switch {
		case fence && open == nil:
			words := append(strings.Fields(info), "", "", "")
			open = &block{page: page, lang: words[0], mark: words[1], story: strings.TrimPrefix(words[2], "story="), line: n}
		case fence:
			out, open = append(out, *open), nil
		case open != nil:
			open.text += line
		}
	}
	if open != nil {
		t.Errorf("%s:%d: the block has no end", page, open.line)
	}
	return out
}

func TestEveryBlockSaysHowItIsTested(t *testing.T) {
	known := []string{markRun, markServe, markConfig, markValues, markHelm, markManifest, markByHand, markExample}
	for _, page := range pages(t) {
		for _, b := range blocks(t, page) {
			if !slices.Contains(known, b.mark) && !strings.HasPrefix(b.mark, markFile) {
				t.Errorf("%s:%d: mark %q of the block", page, b.line, b.mark)
			}
			if slices.Contains([]string{markRun, markServe, markHelm, markByHand}, b.mark) && b.lang != "sh" {
				t.Errorf("%s:%d: commands in %q", page, b.line, b.lang)
			}
			if strings.Contains(b.text, "s3veil.yaml") && b.mark == markExample {
				t.Errorf("%s:%d: a configuration that no test reads", page, b.line)
			}
		}
	}
}
