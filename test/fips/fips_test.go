// Package fips runs s3veil in FIPS 140-3 mode: what works, and what is refused with its reason (docs/OPERATIONS.md 10).
package fips

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

func TestMain(m *testing.M) { servers.Main(m, s3veil.RemoveBuild) }

const (
	on   = "GODEBUG=fips140=on"
	only = "GODEBUG=fips140=only"
)

// veilVersity are cases that the store itself answers otherwise than S3.
var veilVersity = map[string]string{"DeleteObjects_quiet": "ignores Quiet"}

// run runs a command of the program and returns what it prints.
func run(t *testing.T, program, mode string, args ...string) (out string, code int) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = servers.CleanEnv()
	if mode != "" {
		cmd.Env = append(cmd.Env, mode)
	}
	text, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// configuration writes a configuration with a key file beside it.
func configuration(t *testing.T, program, more string) (file string) {
	t.Helper()
	dir := t.TempDir()
	if out, code := run(t, program, "", "keys", "new", "--out", filepath.Join(dir, "keys.json")); code != 0 {
		t.Fatal(out)
	}
	file = filepath.Join(dir, "s3veil.yaml")
	text := `listen: 127.0.0.1:0
admin: off
upstream: {endpoint: "http://127.0.0.1:9", credentials: {access_key: a, secret_key: b}}
clients: [{access_key: app, secret_key: s, buckets: ["*"], actions: [read]}]
kms: {keys: [{id: main, provider: local, file: keys.json}]}
` + more
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// refusals are those of every build; mode switches FIPS mode on, empty where the build does.
func refusals(t *testing.T, program, mode string) {
	t.Helper()
	file := configuration(t, program, "format: {write: 2, read: [1, 2]}\n")
	out, code := run(t, program, mode, "serve", "--config", file, "--check-config")
	for _, want := range []string{"format.write: suite 2 (ChaCha20-Poly1305) is not part of the FIPS module",
		"format.read[1]: suite 2 (ChaCha20-Poly1305) is not part of the FIPS module"} {
		if code != 1 || !strings.Contains(out, want) {
			t.Errorf("suite 2: exit code %d, no %q in %s", code, want, out)
		}
	}
	if out, code := run(t, program, mode, "version"); code != 0 || !strings.Contains(out, "\nfips on (Go cryptographic module") {
		t.Errorf("version: %d, %s", code, out)
	}
	file = configuration(t, program, "")
	for _, args := range [][]string{{"serve", "--config", file}, {"serve", "--config", file, "--check-config"}, {"dev"},
		{"keys", "list", "--file", "x"}, {"inspect", "s3://b/k", "--config", file}} {
		if out, code := run(t, program, only, args...); code != 1 || !strings.HasPrefix(out, "s3veil: GODEBUG=fips140=only forbids AES-GCM with nonces") {
			t.Errorf("%s under fips140=only: exit code %d, %s", args[0], code, out)
		}
	}
	if out, code := run(t, program, only, "version"); code != 0 || !strings.Contains(out, "\nfips on") {
		t.Errorf("version under fips140=only: %d, %s", code, out)
	}
}

// TestModeOfAnOrdinaryBuild: the module of this Go release, which is not validated, in FIPS mode.
func TestModeOfAnOrdinaryBuild(t *testing.T) {
	program, err := s3veil.Build()
	if err != nil {
		t.Fatal(err)
	}
	if out, code := run(t, program, "GODEBUG=fips140=off", "version"); code != 0 || !strings.Contains(out, "\nfips off\n") {
		t.Errorf("version: %d, %s", code, out)
	}
	refusals(t, program, on)
	c := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), TLS: true, Env: []string{on}})
	meetsTheSuite(t, c)
}

// meetsTheSuite runs everything that any client may expect, so every primitive and every checksum of the program.
func meetsTheSuite(t *testing.T, c *s3veil.Cluster) {
	t.Helper()
	suite.Run(t, &c.Target, veilVersity)
	log, err := os.ReadFile(c.Replicas[0].Log)
	if err != nil || !bytes.Contains(log, []byte(`"fips":"on (Go cryptographic module`)) {
		t.Errorf("the log does not tell the mode: %v", err)
	}
}
