//go:build integration

package mutation

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

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
			case strings.Contains(out, "panic: test timed out") && !hangs(out):
				t.Errorf("the tests ran out of time, which proves nothing:\n%s", out)
			case !strings.Contains(out, "--- FAIL") && !strings.Contains(out, "panic:"):
				t.Errorf("the tests did not run:\n%s", out)
			}
		})
	}
}

// limit is the time of the tests of one mutation. A test that takes most of it hangs: some wait for what then never comes.
const limit = 150 * time.Second

var runningTest = regexp.MustCompile(`(?m)^\t\tTest\S+ \(([0-9ms.]+)\)$`)

// hangs reports whether a test was still running at the end of the time that had run for most of it.
func hangs(out string) bool {
	for _, m := range runningTest.FindAllStringSubmatch(out, -1) {
		if d, err := time.ParseDuration(m[1]); err == nil && d > limit*2/3 {
			return true
		}
	}
	return false
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
	args := []string{"test", "-count=1", "-failfast", "-timeout=" + limit.String(), "-vet=off", "-overlay", file}
	if strings.HasPrefix(m.file, "crypto/kms/pkcs11/") {
		args = append(args, "-tags", "integration,pkcs11")
	}
	cmd := exec.Command("go", append(args, packages(m.file)...)...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	return string(out), err
}
