package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const (
	manual     = "../../docs/CONFIGURATION.md"
	tableStart = "<!-- keys: made from cmd/s3veil/config.go by `go test ./cmd/s3veil -run Manual -update` -->\n"
	tableEnd   = "<!-- end of keys -->\n"
)

// fieldComments reads the comments of every field of every struct of the program, by "Type.Field".
func fieldComments(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		readComments(file, out)
	}
	return out
}

func readComments(file *ast.File, out map[string]string) {
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if st, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range st.Fields.List {
				for _, name := range f.Names {
					out[spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
				}
			}
		}
		return true
	})
}

// rows lists the keys below a struct as rows of the manual's table.
func rows(t *testing.T, typ reflect.Type, path string, comments map[string]string) (out []string) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		key, inline := yamlKey(f)
		if of, ok := f.Tag.Lookup("of"); inline && ok {
			for _, row := range rows(t, f.Type, path, comments) {
				out = append(out, strings.Replace(row, " | ", " ("+of+") | ", 1))
			}
			continue
		}
		if inline {
			continue // documented where the struct stands by itself
		}
		key = join(path, key)
		comment := comments[typ.Name()+"."+f.Name]
		if comment == "" {
			t.Errorf("%s.%s (%s) has no comment", typ.Name(), f.Name, key)
		}
		ft := f.Type
		suffix := ""
		if ft.Kind() == reflect.Slice && ft.Elem().Kind() == reflect.Struct {
			ft, suffix = ft.Elem(), "[]"
		}
		def := "—"
		if text, ok := f.Tag.Lookup("default"); ok {
			def = "`" + text + "`"
		}
		shown := "`" + key + suffix + "`"
		if _, own := fieldByKey(reflect.New(typ).Elem(), f.Tag.Get("yaml")+"_file"); ft == secretType && !own {
			shown += ", `" + key + "_file`"
		}
		out = append(out, fmt.Sprintf("| %s | %s | %s |\n", shown, def, strings.ReplaceAll(comment, "|", `\|`)))
		if ft.Kind() == reflect.Struct && !isScalar(ft) {
			out = append(out, rows(t, ft, key+suffix, comments)...)
		}
	}
	return out
}

func TestManualListsEveryKey(t *testing.T) {
	list := rows(t, reflect.TypeFor[Config](), "", fieldComments(t))
	table := tableStart + "| Key | Default | Meaning |\n|---|---|---|\n" + strings.Join(list, "") + tableEnd
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), tableStart)
	_, tail, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("%s has lost the marks around its table", manual)
	}
	want := head + table + tail
	if *update {
		if err := os.WriteFile(manual, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Errorf("%s does not fit config.go; run the command in its mark", manual)
	}
}
