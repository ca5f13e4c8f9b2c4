package policy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// citation is a document name with an optional list of sections: FORMAT.md 7.3, FORMAT.md section 8.
var citation = regexp.MustCompile(`([A-Za-z0-9_./-]*[A-Za-z0-9_-]+\.md)\b((?:[ \t]*,?[ \t]*(?:and |sections? |§)?(?:[0-9]+|[A-C])(?:\.[0-9]+)*\b)*)`)

var (
	heading = regexp.MustCompile(`^#+ (?:Appendix )?((?:[0-9]+|[A-C])(?:\.[0-9]+)*)\b`)
	item    = regexp.MustCompile(`^([0-9]+)\. `)
	section = regexp.MustCompile(`(?:[0-9]+|[A-C])(?:\.[0-9]+)*`)
)

// sectionsOf returns the numbers of a document's headings, and of the items of numbered lists as heading.item.
func sectionsOf(text string) map[string]bool {
	found, current := map[string]bool{}, ""
	for line := range strings.Lines(text) {
		if m := heading.FindStringSubmatch(line); m != nil {
			current = m[1]
			found[current] = true
		} else if m := item.FindStringSubmatch(line); m != nil {
			found[current+"."+m[1]] = true
		}
	}
	return found
}

// document maps the name that comments use to the file in this repository.
func document(top, name string) (string, bool) {
	base := filepath.Base(name)
	for _, p := range []string{filepath.Join("crypto", base), filepath.Join("docs", base), base, name} {
		if _, err := os.Stat(filepath.Join(top, p)); err == nil {
			return p, true
		}
	}
	return "", false
}

func TestCommentsCiteWhatExists(t *testing.T) {
	top := root(t)
	sections := map[string]map[string]bool{}
	for _, s := range allSources(t) {
		for _, group := range s.file.Comments {
			for _, m := range citation.FindAllStringSubmatch(group.Text(), -1) {
				if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "/") {
					continue
				}
				doc, ok := document(top, m[1])
				if !ok {
					t.Errorf("%s:%d cites %s, which is not in the repository", s.path, s.line(group.Pos()), m[1])
					continue
				}
				if sections[doc] == nil {
					text, err := os.ReadFile(filepath.Join(top, doc))
					if err != nil {
						t.Fatal(err)
					}
					sections[doc] = sectionsOf(string(text))
				}
				for _, number := range section.FindAllString(m[2], -1) {
					if !sections[doc][number] {
						t.Errorf("%s:%d cites %s %s, which does not exist", s.path, s.line(group.Pos()), doc, number)
					}
				}
			}
		}
	}
	if len(sections["crypto/FORMAT.md"]) < 50 {
		t.Errorf("FORMAT.md is cited with %d sections known", len(sections["crypto/FORMAT.md"]))
	}
}
