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
	Verdicts int // some cases run twice, under one name
	// Silent cases began and came to no verdict.
	Silent map[string]bool
}

// admin is the program that the suite calls as ./versitygw for its admin API, which is the store's and not S3: the
// endpoint that follows -er becomes the store's. A user that the suite has made there is then entered at s3veil, which is what
// an administrator of both does; the enrolment answers when it is in force.
const admin = `#!/bin/sh
set -eu
made= access= secret=
for arg do
  shift
  case "${before:-}" in
  -er) arg=%[1]q ;;
  -a) access=$arg ;;
  -s) secret=$arg ;;
  esac
  before=$arg
  if [ "$arg" = create-user ]; then made=1; fi
  set -- "$@" "$arg"
done
%[2]q "$@"
if [ -n "$made" ] && [ -n %[3]q ]; then curl -fsS --noproxy '*' -d "$access $secret" %[3]q; fi
`

// Run is a run of the suite: against Endpoint, with the store's root credentials, in Dir. The users that it makes are told to
// Enrol, where that is not empty: "access secret" by POST.
type Run struct {
	Dir, Endpoint, Enrol string
	Store                *servers.Store
	Log                  io.Writer
}

// All executes the suite. more are further arguments of full-flow.
func (r Run) All(ctx context.Context, more ...string) (*Result, error) {
	return r.run(ctx, append([]string{"full-flow", "--parallel"}, more...)...)
}

// Alone runs one case in an empty store: some cases wait for a second or two and fail on a busy machine, and some count the
// buckets, those that failed cases have left behind among them.
func (r Run) Alone(ctx context.Context, name string, more ...string) (*Result, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	return r.run(ctx, append([]string{name}, more...)...)
}

// Again reports whether a case passes alone.
func (r Run) Again(ctx context.Context, name string, more ...string) (bool, error) {
	res, err := r.Alone(ctx, name, more...)
	if err != nil {
		return false, err
	}
	return res.Passed[name] && res.Failed[name] == "", nil
}

// empty removes every bucket, below the store: the settings of some keep their objects.
func (r Run) empty() error {
	for _, below := range []string{"data", "versions", "sidecar"} {
		dir := filepath.Join(r.Store.Dir, below)
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r Run) run(ctx context.Context, what ...string) (*Result, error) {
	program, err := servers.VersityProgram()
	if err != nil {
		return nil, err
	}
	script := fmt.Sprintf(admin, r.Store.Endpoint, program, r.Enrol)
	if err := os.WriteFile(filepath.Join(r.Dir, "versitygw"), []byte(script), 0o755); err != nil {
		return nil, err
	}
	args := []string{"test", "-a", r.Store.AccessKey, "-s", r.Store.SecretKey, "-e", r.Endpoint}
	cmd := exec.CommandContext(ctx, program, append(args, what...)...)
	cmd.Dir, cmd.Env = r.Dir, servers.CleanEnv()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = r.Log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	res := parse(io.TeeReader(out, r.Log))
	// The suite ends with a failure status when a case failed: the list decides here.
	if err := cmd.Wait(); ctx.Err() != nil {
		return res, fmt.Errorf("the suite did not end in time: %w", err)
	}
	return res, nil
}

// verdict is the beginning of what a case says, in the colours of the suite: what a clean-up says before it ends no line.
var verdict = regexp.MustCompile(`\x1b\[3[126]m(RUN|PASS|FAIL) +\x1b\[0m([A-Za-z0-9_]+)(?::\s*)?`)

// wording are failures that compare nothing but the text of an error message, or the details that versitygw adds to one.
var wording = regexp.MustCompile(`^(?:test(?: case)? \S+ failed: )?expected error (?:message|AWSAccessKeyId|Content-MD5) to be `)

func parse(r io.Reader) *Result {
	res := &Result{Passed: map[string]bool{}, Failed: map[string]string{}, Reworded: map[string]string{}, Silent: map[string]bool{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		line := lines.Text()
		found := verdict.FindAllStringSubmatchIndex(line, -1)
		for i, m := range found {
			end := len(line)
			if i+1 < len(found) {
				end = found[i+1][0]
			}
			res.add(line[m[2]:m[3]], line[m[4]:m[5]], line[m[1]:end])
		}
	}
	return res
}

func (r *Result) add(verdict, name, message string) {
	switch {
	case verdict == "RUN":
		r.Silent[name] = true
		return
	case verdict == "FAIL" && wording.MatchString(message):
		r.Reworded[name] = message
	case verdict == "FAIL":
		r.Failed[name] = message
	default:
		r.Passed[name] = true
	}
	delete(r.Silent, name)
	r.Verdicts++
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
