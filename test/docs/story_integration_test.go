//go:build integration

package docs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// folders that guides write to, and that a test has below its own directory.
var folders = []string{"/etc/s3veil", "/etc/systemd/system", "/usr/local/bin", "/usr/local/share/ca-certificates", "/var/log/s3veil", "/var/lib/s3veil"}

// story runs the blocks of a page in their order, in a directory of its own, as a reader would.
type story struct {
	t       *testing.T
	dir     string
	replace *strings.Replacer
	env     []string
	output  string // of the last commands
	spare   string // a free port
}

// newStory starts a store and prepares a directory that looks like a clone of the repository with an operator's machine around.
func newStory(t *testing.T, more ...string) *story {
	t.Helper()
	store := servers.MustStart(t, servers.Versity)
	ports, err := servers.FreePorts(5)
	if err != nil {
		t.Fatal(err)
	}
	s := &story{t: t, dir: t.TempDir(), spare: fmt.Sprint(ports[4])}
	address := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	pairs := append(more, "127.0.0.1:9000", strings.TrimPrefix(store.Endpoint, "http://"), "127.0.0.1:8080", address(0), "0.0.0.0:8080", address(0),
		"storage-port=8080", fmt.Sprint("storage-port=", ports[0]),
		"127.0.0.1:8081", address(1), "127.0.0.1:3128", address(2), "127.0.0.1:8082", address(3), "store-access-key", store.AccessKey, "store-secret-key", store.SecretKey,
		" -o s3veil -g s3veil", "")
	for _, f := range folders {
		pairs = append(pairs, f, s.dir+f)
		if err := os.MkdirAll(s.dir+f, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.replace = strings.NewReplacer(pairs...)
	s.furnish()
	t.Cleanup(s.end)
	return s
}

// furnish makes the doubles of programs that would change the machine, and the environment.
func (s *story) furnish() {
	s.t.Helper()
	program, err := s3veil.Build()
	if err != nil {
		s.t.Fatal(err)
	}
	root, err := servers.ModuleRoot()
	if err != nil {
		s.t.Fatal(err)
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Symlink(filepath.Join(root, e.Name()), filepath.Join(s.dir, e.Name())); err != nil && !os.IsExist(err) {
			s.t.Fatal(err)
		}
	}
	golang, err := exec.LookPath("go")
	if err != nil {
		s.t.Fatal(err)
	}
	gocache, err := exec.Command(golang, "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		s.t.Fatal(err)
	}
	caches := strings.Fields(string(gocache))
	doubles := map[string]string{
		// the user of the unit is the one who tests
		"sudo":    "while [ $# -gt 0 ]; do case $1 in -u) shift 2;; -*) shift;; *) break;; esac; done\nexec \"$@\"\n",
		"useradd": "", "update-ca-certificates": "",
		// builds in the repository, so that Go's cache serves
		"go": "here=$PWD; args=(); while [ $# -gt 0 ]; do if [ \"$1\" = -o ]; then args+=(-o \"$here/$2\"); shift 2; else args+=(\"$1\"); shift; fi; done\n" +
			"cd '" + root + "' && exec '" + golang + "' \"${args[@]}\"\n",
		"systemctl": systemctl,
	}
	bin := filepath.Join(s.dir, "doubles")
	if err := os.Mkdir(bin, 0o755); err != nil {
		s.t.Fatal(err)
	}
	for name, text := range doubles {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/usr/bin/env bash\nset -eu\n"+text), 0o755); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, copyTo := range []string{"s3veil", "usr/local/bin/s3veil"} {
		b, err := os.ReadFile(program)
		if err == nil {
			err = os.WriteFile(filepath.Join(s.dir, copyTo), b, 0o755)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	s.env = []string{"HOME=" + s.dir, "DIR=" + s.dir, "GOCACHE=" + caches[0], "GOMODCACHE=" + caches[1], "AWS_EC2_METADATA_DISABLED=true",
		"PATH=" + bin + ":" + s.dir + "/usr/local/bin:" + os.Getenv("PATH")}
	for _, v := range servers.CleanEnv() { // authorities of this machine's own would stand in for those of the guide
		name, _, _ := strings.Cut(v, "=")
		if name != "HOME" && name != "PATH" && !strings.HasSuffix(name, "CA_BUNDLE") {
			s.env = append(s.env, v)
		}
	}
}

// systemctl starts the program of a unit, and nothing else.
const systemctl = `
[ "$1" = daemon-reload ] && exit
unit=${!#}
line=$(sed -n 's/^ExecStart=//p' "$DIR/etc/systemd/system/$unit.service")
[ -n "$line" ]
if [ -e "$DIR/$unit.pid" ]; then
  pid=$(cat "$DIR/$unit.pid")
  [ "$1" = reload ] && exec kill -HUP "$pid"
  kill "$pid"
  tail --pid="$pid" -f /dev/null
fi
[ "$1" = stop ] && exit
setsid ${LAUNCH:-} $line >>"$DIR/$unit.log" 2>&1 </dev/null &
echo $! >"$DIR/$unit.pid"
echo $! >>"$DIR/pids"
`

// end kills what systemctl started.
func (s *story) end() {
	text, _ := os.ReadFile(filepath.Join(s.dir, "pids"))
	for _, line := range strings.Fields(string(text)) {
		if pid, err := strconv.Atoi(line); err == nil && pid > 1 {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
		}
	}
}

// play does what a block says. By-hand blocks, values and examples are passed over.
func (s *story) play(b block) {
	s.t.Helper()
	text := s.replace.Replace(b.text)
	if name, ok := strings.CutPrefix(b.mark, markFile); ok {
		path := s.replace.Replace(name)
		if !filepath.IsAbs(path) {
			path = filepath.Join(s.dir, path)
		}
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			mode := os.FileMode(0o644)
			if b.lang == "sh" {
				mode = 0o755
			}
			err = os.WriteFile(path, []byte(text), mode)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		return
	}
	switch b.mark {
	case markRun:
		s.run(b, text)
	case markServe:
		p, err := servers.StartProcess(servers.Spec{Name: "s3veil", Path: "bash", Args: []string{"-c", "exec " + text}, Env: s.env, Dir: s.dir,
			Log: filepath.Join(s.dir, "serve.log")})
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(p.Kill)
	}
}

// run runs commands in a shell that remembers its variables and folder from block to block.
func (s *story) run(b block, text string) {
	s.t.Helper()
	const before = "set -euo pipefail\nif [ -e \"$DIR/.env\" ]; then . \"$DIR/.env\"; fi\n"
	const after = "\n{ export -p; printf 'cd %q\\numask %s\\n' \"$PWD\" \"$(umask)\"; } >\"$DIR/.env\"\n"
	cmd := exec.Command("bash", "-c", before+text+after)
	cmd.Dir, cmd.Env, cmd.WaitDelay = s.dir, s.env, time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	timer := time.AfterFunc(6*time.Minute, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	s.output = string(out)
	if err != nil {
		logs := ""
		for _, name := range []string{"serve.log", "s3veil.log"} {
			logs += servers.Tail(filepath.Join(s.dir, name), 2000)
		}
		s.t.Fatalf("%s:%d: %v\n%s\n%s\n%s", b.page, b.line, err, text, out, logs)
	}
}

// tell plays the blocks of a page that belong to a story, and calls after behind each.
func (s *story) tell(page, name string, after func(b block)) {
	s.t.Helper()
	n := 0
	for _, b := range blocks(s.t, page) {
		if b.story != name {
			continue
		}
		s.play(b)
		if b.mark == markRun {
			n++
		}
		if after != nil {
			after(b)
		}
	}
	if n == 0 {
		s.t.Fatalf("%s has no commands", page)
	}
}
