package main

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write expected results anew")

// wantMark begins the lines at the end of a fixture that say what is wrong with it: line: path: message.
const wantMark = "# want: "

// check runs every stage that `serve --check-config` runs.
func check(src sources) *loaded {
	l := load(src)
	validate(l)
	wire(context.Background(), l, nil, slog.New(slog.DiscardHandler))
	return l
}

// withoutAWS keeps credentials of the machine out of a test.
func withoutAWS(t *testing.T) {
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "credentials"))
}

func messages(l *loaded, file string) []string {
	err := l.bad.err()
	if err == nil {
		return nil
	}
	var out []string
	dir, _ := filepath.Abs(filepath.Dir(file))
	for line := range strings.SplitSeq(err.Error(), "\n") {
		line = strings.TrimPrefix(line, file+":")
		out = append(out, strings.ReplaceAll(line, dir+string(filepath.Separator), ""))
	}
	return out
}

func TestFixtures(t *testing.T) {
	withoutAWS(t)
	dir := fixtures(t)
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d fixtures, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			body, _, _ := strings.Cut(string(text), wantMark)
			var want []string
			for line := range strings.Lines(strings.TrimPrefix(string(text), body)) {
				want = append(want, strings.TrimSuffix(strings.TrimPrefix(line, wantMark), "\n"))
			}
			copied := filepath.Join(dir, filepath.Base(file))
			got := messages(check(sources{File: copied}), copied)
			if *update {
				for _, m := range got {
					body += wantMark + m + "\n"
				}
				if err := os.WriteFile(file, []byte(body), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if good := strings.HasPrefix(filepath.Base(file), "good-"); good != (len(want) == 0) {
				t.Fatalf("%d mistakes expected of %s", len(want), file)
			}
			if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
				t.Errorf("mistakes:\n%s\nwant:\n%s", g, w)
			}
		})
	}
}
