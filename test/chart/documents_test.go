//go:build integration

package chart

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"s3veil/test/s3veil"
)

const (
	gatewayGuide = "../../docs/install/gateway.md"
	podGuide     = "../../docs/install/sidecar.md"
)

// documentBlocks returns the blocks of a page that carry a mark (docs/INSTALL.md section 4).
func documentBlocks(t *testing.T, page, mark string) (out []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for i, piece := range strings.Split("\n"+string(text), "\n```") {
		info, body, _ := strings.Cut(piece, "\n")
		if words := strings.Fields(info); i%2 == 1 && len(words) > 1 && words[1] == mark {
			out = append(out, body+"\n")
		}
	}
	if len(out) == 0 {
		t.Fatalf("%s has no block with the mark %s", page, mark)
	}
	return out
}

// guideValues are the values of the guide as arguments: the first block, and the first with each other one.
func guideValues(t *testing.T) (out [][]string) {
	t.Helper()
	dir := t.TempDir()
	for i, text := range documentBlocks(t, gatewayGuide, "values") {
		file := filepath.Join(dir, fmt.Sprint(i, ".yaml"))
		write(t, file, text)
		args := []string{"-f", file}
		if i > 0 {
			args = append([]string{}, append(out[0], args...)...)
		}
		out = append(out, args)
	}
	return out
}

// The commands of the guide that ask no cluster do what they say.
func TestGuideOfTheGatewayRuns(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	values := guideValues(t)[0][1]
	for _, line := range strings.Split(strings.TrimSpace(documentBlocks(t, gatewayGuide, "helm")[0]), "\n") {
		args, ok := strings.CutPrefix(line, "helm ")
		if !ok {
			t.Errorf("another command: %s", line)
			continue
		}
		cmd := exec.Command(tool(t, "S3VEIL_TEST_HELM"), strings.Fields(strings.ReplaceAll(args, "values.yaml", values))...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
}

// The configuration in the pod that is written by hand passes the program, with the files that the pod mounts.
func TestPodOfTheGuideIsConfigured(t *testing.T) {
	program, err := s3veil.Build()
	if err != nil {
		t.Fatal(err)
	}
	dir, text := t.TempDir(), documentBlocks(t, podGuide, "manifest")[0]
	var m struct {
		Data map[string]string `yaml:"data"`
	}
	if err := yaml.NewDecoder(strings.NewReader(text)).Decode(&m); err != nil || m.Data["s3veil.yaml"] == "" {
		t.Fatal(err, m)
	}
	if out, err := exec.Command(program, "keys", "new", "--out", filepath.Join(dir, "keys.json")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	write(t, filepath.Join(dir, "app.secret"), "a")
	write(t, filepath.Join(dir, "store.secret"), "b")
	config := filepath.Join(dir, "s3veil.yaml")
	write(t, config, strings.ReplaceAll(m.Data["s3veil.yaml"], "/run/s3veil/secrets", dir))
	if out, err := exec.Command(program, "serve", "--check-config", "--config", config).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
