// Package conformance runs versitygw's own S3 test suite against s3veil in front of versitygw, and compares the failures
// with a list that gives a reason for each.
package conformance

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"s3veil/test/servers"
)

// Result is what one run of the suite said, by case name.
type Result struct {
	Passed map[string]bool
	Failed map[string]string // with the message
	// Reworded cases got the right status and error code, in other words than versitygw's. The texts of messages are no
	// contract of S3's.
	Reworded map[string]string
}

// admin is the program that the suite calls as ./versitygw for its admin API, which is the store's and not S3: the
// endpoint that follows -er becomes the store's.
const admin = `#!/bin/sh
set -eu
for arg do
  shift
  if [ "${replace:-}" = 1 ]; then arg=%q; replace=0; fi
  if [ "$arg" = -er ]; then replace=1; fi
  set -- "$@" "$arg"
done
exec %q "$@"
`

// Run executes the suite against endpoint, with the store's root credentials, in dir. more are further arguments
// of full-flow.
func Run(ctx context.Context, dir, endpoint string, store *servers.Store, log io.Writer, more ...string) (*Result, error) {
	return run(ctx, dir, endpoint, store, log, append([]string{"full-flow", "--parallel"}, more...)...)
}

// Again runs one case alone and reports whether it passes: some cases wait for a second or two and fail on a busy machine.
func Again(ctx context.Context, dir, endpoint string, store *servers.Store, log io.Writer, name string) (bool, error) {
	res, err := run(ctx, dir, endpoint, store, log, name)
	if err != nil {
		return false, err
	}
	return res.Passed[name] && res.Failed[name] == "", nil
}

func run(ctx context.Context, dir, endpoint string, store *servers.Store, log io.Writer, what ...string) (*Result, error) {
	program, err := servers.VersityProgram()
	if err != nil {
		return nil, err
	}
	script := fmt.Sprintf(admin, store.Endpoint, program)
	if err := os.WriteFile(filepath.Join(dir, "versitygw"), []byte(script), 0o755); err != nil {
		return nil, err
	}
	args := []string{"test", "-a", store.AccessKey, "-s", store.SecretKey, "-e", endpoint}
	cmd := exec.CommandContext(ctx, program, append(args, what...)...)
	cmd.Dir, cmd.Env = dir, servers.CleanEnv()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	res := parse(io.TeeReader(out, log))
	// The suite ends with a failure status when a case failed: the list decides here.
	if err := cmd.Wait(); ctx.Err() != nil {
		return res, fmt.Errorf("the suite did not end in time: %w", err)
	}
	return res, nil
}

var verdict = regexp.MustCompile(`^(?:\x1b\[[0-9;]*m)*(PASS|FAIL) (?:\x1b\[[0-9;]*m)*([A-Za-z0-9_]+)(?::\s*(.*))?`)

// wording are failures that compare nothing but the text of an error message, or the details that versitygw adds to one.
var wording = regexp.MustCompile(`^(?:test(?: case)? \S+ failed: )?expected error (?:message|AWSAccessKeyId|Content-MD5) to be `)

func parse(r io.Reader) *Result {
	res := &Result{Passed: map[string]bool{}, Failed: map[string]string{}, Reworded: map[string]string{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		m := verdict.FindStringSubmatch(lines.Text())
		switch {
		case m == nil:
		case m[1] == "FAIL" && wording.MatchString(m[3]):
			res.Reworded[m[2]] = m[3]
		case m[1] == "FAIL":
			res.Failed[m[2]] = m[3]
		default:
			res.Passed[m[2]] = true
		}
	}
	return res
}

// Expected reads a list of failures: "name: reason" per line, # comments.
func Expected(path string) (map[string]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for i, line := range strings.Split(string(b), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, reason, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(reason) == "" {
			return nil, fmt.Errorf("%s:%d: no reason", path, i+1)
		}
		if out[name] != "" {
			return nil, fmt.Errorf("%s:%d: %s stands twice", path, i+1, name)
		}
		out[name] = strings.TrimSpace(reason)
	}
	return out, nil
}
