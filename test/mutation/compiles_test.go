//go:build integration

package mutation

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	gotoken "go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryMutationCompiles holds for all of them, where the gate only runs a sample: what does not compile proves nothing. Packages
// are checked one by one against what the others export.
func TestEveryMutationCompiles(t *testing.T) {
	c := newChecker(t, "../..")
	for _, m := range every() {
		changed, err := m.apply("../..")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.check(m.file, changed); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
	if c.check("proxy/s3op/key.go", []byte("package s3op\n")) == nil {
		t.Error("a package without one of its files compiles")
	}
}

// checker knows the packages of the repository.
type checker struct {
	root  string
	files *gotoken.FileSet
	known types.Importer
	trees map[string]map[string]*ast.File // of a directory, by name
}

func newChecker(t *testing.T, root string) *checker {
	t.Helper()
	list := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", "./...")
	list.Dir, list.Stderr = root, os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if name, file, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			exports[name] = file
		}
	}
	c := &checker{root: root, files: gotoken.NewFileSet(), trees: map[string]map[string]*ast.File{}}
	c.known = importer.ForCompiler(c.files, "gc", func(name string) (io.ReadCloser, error) { return os.Open(exports[name]) })
	return c
}

// check checks the types of a package one of whose files is changed. Files of other builds, C for one, are left to their own tests.
func (c *checker) check(file string, changed []byte) error {
	dir, base := path.Split(file)
	if c.trees[dir] == nil {
		pkg, err := build.ImportDir(filepath.Join(c.root, filepath.FromSlash(dir)), 0)
		if err != nil {
			return err
		}
		trees := map[string]*ast.File{}
		for _, name := range pkg.GoFiles {
			if trees[name], err = parser.ParseFile(c.files, filepath.Join(pkg.Dir, name), nil, 0); err != nil {
				return err
			}
		}
		c.trees[dir] = trees
	}
	if c.trees[dir][base] == nil {
		return nil
	}
	all := []*ast.File{}
	for name, tree := range c.trees[dir] {
		if name == base {
			var err error
			if tree, err = parser.ParseFile(c.files, file, changed, 0); err != nil {
				return err
			}
		}
		all = append(all, tree)
	}
	config := types.Config{Importer: c.known}
	if _, err := config.Check("s3veil/"+path.Clean(dir), c.files, all, nil); err != nil {
		return fmt.Errorf("it does not compile: %w", err)
	}
	return nil
}
