package policy

import (
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryThreatHasItsTest compares the table of docs/THREATS.md with threats.txt: every row names at least one test that
// exists, or says why it belongs to later work.
func TestEveryThreatHasItsTest(t *testing.T) {
	top := root(t)
	text, err := os.ReadFile(filepath.Join(top, "docs", "THREATS.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| ([0-9]+) \|`).FindAllStringSubmatch(string(text), -1) {
		rows[m[1]] = true
	}
	if len(rows) < 38 {
		t.Fatalf("the table has %d rows", len(rows))
	}
	mapping, err := os.ReadFile("threats.txt")
	if err != nil {
		t.Fatal(err)
	}
	tests := testFunctions(t)
	named, seen := map[string]int{}, map[string]bool{}
	for i, line := range strings.Split(string(mapping), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		row, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimSpace(rest)
		if seen[line] {
			t.Errorf("threats.txt:%d: twice", i+1)
		}
		seen[line] = true
		if !rows[row] {
			t.Errorf("threats.txt:%d: no row %s in docs/THREATS.md", i+1, row)
		}
		if reason, later := strings.CutPrefix(rest, "later:"); later {
			if len(strings.TrimSpace(reason)) < 10 {
				t.Errorf("threats.txt:%d: no reason", i+1)
			}
		} else if !tests[rest] {
			t.Errorf("threats.txt:%d: no test %s", i+1, rest)
		}
		named[row]++
	}
	for row := range rows {
		if named[row] == 0 {
			t.Errorf("row %s of docs/THREATS.md has no test", row)
		}
	}
	// The parts that strangers reach first each have a row of their own.
	for _, part := range []string{"forward proxy", "encryption client", "status page", "injector", "Customer keys|customer keys|SSE-C"} {
		if !regexp.MustCompile(`(?m)^\| [0-9]+ \| [^|]*(` + part + `)`).Match(text) {
			t.Errorf("no row about %s", part)
		}
	}
}

// testFunctions returns every test and fuzz function as directory.Name.
func testFunctions(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for _, s := range allSources(t) {
		if !s.isTest() {
			continue
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if ok && f.Recv == nil && (strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz")) {
				found[path.Dir(s.path)+"."+f.Name.Name] = true
			}
		}
	}
	return found
}
