package policy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// citation is a document name with an optional list of sections: FORMAT.md 7.3, FORMAT.md section 8, DATAPATH.md 3 rule 1.
var citation = regexp.MustCompile(`([A-Za-z0-9_./-]*[A-Za-z0-9_-]+\.md)\b((?:[ \t]*,?[ \t]*(?:and |sections? |§)?(?:[0-9]+|[A-C])(?:\.[0-9]+)*\b)*)`)

var (
	heading = regexp.MustCompile(`(?m)^#+ (?:Appendix )?((?:[0-9]+|[A-C])(?:\.[0-9]+)*)\b`)
	section = regexp.MustCompile(`(?:[0-9]+|[A-C])(?:\.[0-9]+)*`)
)

// documents maps the name that comments use to the document of this repository: FORMAT.md, any other in docs, README.md.
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
					sections[doc] = map[string]bool{}
					text, err := os.ReadFile(filepath.Join(top, doc))
					if err != nil {
						t.Fatal(err)
					}
					for _, h := range heading.FindAllStringSubmatch(string(text), -1) {
						sections[doc][h[1]] = true
					}
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
