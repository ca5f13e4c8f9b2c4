package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

// s3veil runs a command line in this process.
func s3veil(env []string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	p := &program{env: env, stdin: strings.NewReader(""), stdout: &out, stderr: &errs}
	code = p.run(args)
	return code, out.String(), errs.String()
}

func TestHelpListsWhatWorks(t *testing.T) {
	code, out, _ := s3veil(nil, "--help")
	if code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	for _, command := range []string{"serve", "dev", "keys", "inspect", "repair", "audit-log", "ca", "inject", "version"} {
		if !strings.Contains(out, "\n  "+command+" ") {
			t.Errorf("no %s in:\n%s", command, out)
		}
	}
	for _, later := range []string{"completion", "audit", "encrypt", "rewrap"} {
		if strings.Contains(out, "\n  "+later+" ") {
			t.Errorf("%s in:\n%s", later, out)
		}
	}
}

func TestMistakesOfTheCommandLine(t *testing.T) {
	for _, args := range [][]string{{"fly"}, {"serve", "now"}, {"serve", "--confg", "x"}, {"keys", "new"}, {"keys", "list"},
		{"keys", "rotate"}, {"inspect"}, {"inspect", "bucket/key"}, {"inspect", "s3://b"}, {"repair", "s3://b/"}, {"repair", "s3://b/k", "s3://b/l"}, {"keys", "lose"}, {"audit-log", "verify"}, {"audit-log", "verify", "--expect", "x", "f"}, {"audit-log", "read"}, {"ca", "x"}, {"ca", "--days", "0"}, {"ca", "--host", "*"}, {"ca", "bundle"}, {"inject"}, {"inject", "x"}, {"version", "2"}, {"help", "fly"}, {"help", "keys", "lose"}} {
		if code, out, errs := s3veil(nil, args...); code != exitUsage || out != "" || !strings.HasPrefix(errs, "s3veil: ") {
			t.Errorf("%q: exit code %d, %q, %q", args, code, out, errs)
		}
	}
	for near, want := range map[string]string{"verzion": `"version"`, "keys lst": `"list"`, "help sreve": `"serve"`} {
		if _, _, errs := s3veil(nil, strings.Fields(near)...); !strings.Contains(errs, "did you mean "+want) || !strings.Contains(errs, "--help") {
			t.Errorf("%s: %q", near, errs)
		}
	}
}

func TestHelpOfACommand(t *testing.T) {
	for _, args := range [][]string{{"help", "keys", "rotate"}, {"keys", "rotate", "--help"}} {
		if code, out, errs := s3veil(nil, args...); code != exitOK || !strings.Contains(out, "s3veil keys rotate") || errs != "" {
			t.Errorf("%q: exit code %d, %q, %q", args, code, out, errs)
		}
	}
}

func TestCheckConfig(t *testing.T) {
	withoutAWS(t)
	dir := t.TempDir()
	if code, _, errs := s3veil(nil, "keys", "new", "--out", filepath.Join(dir, "keys.json")); code != exitOK {
		t.Fatal(errs)
	}
	good, err := os.ReadFile("testdata/good-minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, filepath.Join(dir, "good.yaml"), string(good))
	if code, out, errs := s3veil(nil, "serve", "--check-config", "--config", file); code != exitOK || errs != "" || out == "" {
		t.Errorf("good: exit code %d, %q, %q", code, out, errs)
	}
	if code, _, errs := s3veil([]string{"S3VEIL_CONFIG=" + file}, "serve", "--check-config"); code != exitOK {
		t.Errorf("file by environment: exit code %d, %q", code, errs)
	}
	code, out, errs := s3veil([]string{"S3VEIL_LISTEN=x"}, "serve", "--check-config", "--config", file, "--log-level", "loud")
	want := "S3VEIL_LISTEN: listen: \"x\" is not host:port\n" +
		"--log-level: log.level: \"loud\" is not one of debug, info, warn, error\n"
	if code != exitFailed || out != "" || errs != want {
		t.Errorf("bad: exit code %d, %q, %q", code, out, errs)
	}
	code, _, errs = s3veil(nil, "serve", "--config", filepath.Join(dir, "nothing.yaml"))
	if code != exitFailed || !strings.Contains(errs, "nothing.yaml: no such file") {
		t.Errorf("missing: exit code %d, %q", code, errs)
	}
}

func TestKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.json")
	if code, out, errs := s3veil(nil, "keys", "new", "--out", file); code != exitOK || !strings.Contains(out, "main") {
		t.Fatalf("new: %d %q %q", code, out, errs)
	}
	if info, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if code, _, errs := s3veil(nil, "keys", "new", "--out", file); code != exitFailed || !strings.Contains(errs, "exists") {
		t.Errorf("new over an old one: %d %q", code, errs)
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) {
		t.Error("the file has been replaced")
	}
	if code, out, errs := s3veil(nil, "keys", "rotate", "--file", file); code != exitOK || !strings.Contains(out, "main.2") {
		t.Fatalf("rotate: %d %q %q", code, out, errs)
	}
	code, out, errs := s3veil(nil, "keys", "list", "--file", file)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != exitOK || len(lines) != 3 {
		t.Fatalf("list: %d %q %q", code, out, errs)
	}
	if !strings.HasPrefix(lines[1], "main ") || strings.Contains(lines[1], "writes") ||
		!strings.HasPrefix(lines[2], "main.2 ") || !strings.Contains(lines[2], "writes") {
		t.Errorf("list:\n%s", out)
	}
	text, _ := os.ReadFile(file)
	for _, part := range bytes.Split(text, []byte(`"key": "`))[1:] {
		if key, _, _ := bytes.Cut(part, []byte(`"`)); strings.Contains(out, string(key)) {
			t.Error("list shows a key")
		}
	}
}

func TestVersion(t *testing.T) {
	code, out, _ := s3veil(nil, "version")
	if code != exitOK || !strings.Contains(out, "go "+runtime.Version()) || !strings.Contains(out, "\nfips o") {
		t.Errorf("%d %q", code, out)
	}
	got := describe(&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"}}})
	want := build{"v1.2.3", "abc (modified)", "2026-01-02T03:04:05Z", runtime.Version()}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := describe(nil); got.version != "devel" || got.commit != "unknown" {
		t.Errorf("without build information: %+v", got)
	}
}
