package policy

import (
	"bytes"
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func readFile(path string) ([]byte, error) { return os.ReadFile(path) }

// The limits of lengths; exceptions are named with a reason.
const (
	maxFile = 600
	maxFunc = 100
)

// longFiles and longFuncs are exceptions: path, or path:function, and why.
var (
	longFiles = map[string]string{}
	longFuncs = map[string]string{}
)

func TestFilesAndFunctionsAreShort(t *testing.T) {
	files, funcs := map[string]bool{}, map[string]bool{}
	for _, s := range allSources(t) {
		if n := bytes.Count(s.text, []byte("\n")); n > maxFile {
			files[s.path] = true
			if longFiles[s.path] == "" {
				t.Errorf("%s has %d lines", s.path, n)
			}
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			if n := s.line(f.End()) - s.line(f.Pos()) + 1; n > maxFunc {
				name := s.path + ":" + f.Name.Name
				funcs[name] = true
				if longFuncs[name] == "" {
					t.Errorf("%s has %d lines", name, n)
				}
			}
		}
	}
	for name := range longFiles {
		if !files[name] {
			t.Errorf("%s needs no exception", name)
		}
	}
	for name := range longFuncs {
		if !funcs[name] {
			t.Errorf("%s needs no exception", name)
		}
	}
}

func TestEveryPackageIsDocumented(t *testing.T) {
	docs := map[string]bool{}
	for _, s := range allSources(t) {
		dir := path.Dir(s.path)
		if _, seen := docs[dir]; !seen {
			docs[dir] = false
		}
		if s.file.Doc != nil && len(strings.TrimSpace(s.file.Doc.Text())) > 20 {
			docs[dir] = true
		}
	}
	for dir, ok := range docs {
		if !ok {
			t.Errorf("%s has no package comment", dir)
		}
	}
}

// forbidden are texts that must not stand in Go files. The patterns are put together so that this file does not match.
var forbidden = []struct {
	pattern *regexp.Regexp
	why     string
}{
	{regexp.MustCompile(`\bT` + `ODO\b|\bF` + `IXME\b|\bX` + `XX\b`), "unfinished work"},
	{regexp.MustCompile(`future ` + `work|not implemented ` + `yet`), "a promise"},
	{regexp.MustCompile(`\.Skip` + `(f|Now)?\(`), "a test that skips itself checks nothing"},
	{regexp.MustCompile(`panic\("` + `stub"\)`), "a stub"},
	{regexp.MustCompile(`SetBodyStream\([A-Za-z.]*\.RequestBodyStream` + `\(\)`), "gives the pooled stream two owners (DATAPATH.md 3, rule 1)"},
	{regexp.MustCompile(`(^|[^A-Za-z0-9_])/(wo` + `rk|fa` + `rm|ro` + `ot)/`), "a path of one machine"},
}

func TestSourcesHoldNothingForbidden(t *testing.T) {
	for _, s := range allSources(t) {
		for i, line := range strings.Split(string(s.text), "\n") {
			for _, f := range forbidden {
				if f.pattern.MatchString(line) {
					t.Errorf("%s:%d: %s: %s", s.path, i+1, f.why, strings.TrimSpace(line))
				}
			}
		}
	}
}

func TestFuzzTargetsHaveSeeds(t *testing.T) {
	n := 0
	for _, s := range allSources(t) {
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !s.isTest() || !strings.HasPrefix(f.Name.Name, "Fuzz") {
				continue
			}
			n++
			dir := filepath.Join(root(t), path.Dir(s.path), "testdata", "fuzz", f.Name.Name)
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) == 0 {
				t.Errorf("%s: %s has no seeds in testdata/fuzz: %v", s.path, f.Name.Name, err)
			}
		}
	}
	if n < 8 {
		t.Errorf("only %d fuzz targets", n)
	}
}
