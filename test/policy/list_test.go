package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"s3veil/test/servers"
)

// module is the path of go.mod.
const module = "s3veil"

// listed is what go list says of a package.
type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Deps       []string
	Module     *struct{ Path, Version, Dir string }
}

// root is the top of the repository.
func root(t *testing.T) string {
	t.Helper()
	dir, err := servers.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// list runs go list -deps -json; tags may be empty.
func list(t *testing.T, tags string, patterns ...string) []listed {
	t.Helper()
	args := append([]string{"list", "-deps", "-json=ImportPath,Standard,Imports,Deps,Module", "-tags", tags}, patterns...)
	cmd := exec.Command("go", args...)
	cmd.Dir = root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// ours reports whether path is a package of this module.
func ours(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

// under reports whether path is prefix or lies below it.
func under(path, prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }

// source is one parsed Go file of the repository.
type source struct {
	path string // relative, with slashes
	text []byte
	file *ast.File
	fset *token.FileSet
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s source) line(p token.Pos) int { return s.fset.Position(p).Line }

// sources parses every Go file of the repository.
var sources = sync.OnceValues(func() ([]source, error) {
	top, err := servers.ModuleRoot()
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	var all []source
	err = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != top && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules") {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		text, err := readFile(path)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(fset, path, text, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, path)
		all = append(all, source{path: filepath.ToSlash(rel), text: text, file: f, fset: fset})
		return err
	})
	if err == nil && len(all) < 30 {
		err = fmt.Errorf("only %d Go files below %s", len(all), top)
	}
	return all, err
})

func allSources(t *testing.T) []source {
	t.Helper()
	s, err := sources()
	if err != nil {
		t.Fatal(err)
	}
	return s
}
