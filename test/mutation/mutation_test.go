//go:build integration

// Package mutation switches the defences of the object format off, one at a time, and requires that the tests notice
// (FORMAT.md 14.3). It needs nothing but Go; it is slow, because every case compiles.
package mutation

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// mutation is one defence switched off.
type mutation struct {
	name     string
	file     string // below the root of the repository
	old, new string // old occurs exactly once
}

// packages run for a file, arguments of go test: those whose tests must notice.
func packages(file string) []string {
	dir := "./" + path.Dir(file)
	if dir == "./crypto/stream" {
		return []string{dir, "./crypto/vector"} // the vectors of streams and objects
	}
	if tests := filters[file]; tests != "" {
		return []string{"-run=" + tests, dir}
	}
	return []string{dir}
}

func every() []mutation {
	return slices.Concat(mutations, streamMutations, processMutations, encryptionMutations)
}

func TestEveryDefenceIsTested(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range sample(t, every()) {
		t.Run(path.Base(path.Dir(m.file))+"/"+m.name, func(t *testing.T) {
			out, err := run(t, root, m)
			switch {
			case err == nil:
				t.Errorf("no test of %v fails", packages(m.file))
			case !strings.Contains(out, "--- FAIL") && !strings.Contains(out, "panic:"):
				t.Errorf("the tests did not run:\n%s", out)
			}
		})
	}
}

// sample is all of them, or as many as S3VEIL_TEST_MUTATIONS says, others in every run: each compiles, and the gate has no time
// for all. S3VEIL_TEST_SEED repeats a choice.
func sample(t *testing.T, all []mutation) []mutation {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("S3VEIL_TEST_MUTATIONS"))
	if err != nil || n >= len(all) {
		return all
	}
	seed, err := strconv.ParseUint(os.Getenv("S3VEIL_TEST_SEED"), 10, 64)
	if err != nil {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("%d of %d, S3VEIL_TEST_SEED=%d", n, len(all), seed)
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:n]
}

// TestEveryMutationApplies holds for all of them, where the gate only runs a sample: code that moves takes its mutations along.
func TestEveryMutationApplies(t *testing.T) {
	names := map[string]bool{}
	for _, m := range every() {
		if _, err := m.apply("../.."); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		if name := m.file + " " + m.name; names[name] {
			t.Errorf("two are named %q", name)
		} else {
			names[name] = true
		}
	}
}

// apply returns the mutated file.
func (m mutation) apply(root string) ([]byte, error) {
	source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.file)))
	if err != nil {
		return nil, err
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		return nil, fmt.Errorf("%s has %q %d times", m.file, m.old, n)
	}
	return []byte(strings.Replace(string(source), m.old, m.new, 1)), nil
}

// run runs the tests with the mutated file laid over the checked-in one.
func run(t *testing.T, root string, m mutation) (string, error) {
	t.Helper()
	original := filepath.Join(root, filepath.FromSlash(m.file))
	changed, err := m.apply(root)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	mutated := filepath.Join(dir, "mutated.go")
	if err := os.WriteFile(mutated, changed, 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{original: mutated}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"test", "-count=1", "-failfast", "-timeout=60s", "-vet=off", "-overlay", file}
	if strings.HasPrefix(m.file, "crypto/kms/pkcs11/") {
		args = append(args, "-tags", "integration,pkcs11")
	}
	cmd := exec.Command("go", append(args, packages(m.file)...)...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	return string(out), err
}
