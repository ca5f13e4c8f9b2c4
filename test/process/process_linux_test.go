// Package process looks at the running program from outside: what other processes of its user and the kernel could take out
// of its memory (THREATS.md row 27).
package process

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

func TestMain(m *testing.M) { servers.Main(m, s3veil.RemoveBuild) }

// user is whom children run as: this process's user, or nobody where that is root, for whom nothing is closed.
func user() (uid int, attr *syscall.SysProcAttr) {
	attr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if uid = os.Geteuid(); uid != 0 {
		return uid, attr
	}
	uid = 65534
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	return uid, attr
}

// child is a process with everything it prints.
type child struct {
	*exec.Cmd
	done chan struct{}

	mu  sync.Mutex
	out bytes.Buffer
}

func (c *child) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(p)
}

func (c *child) printed() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.String()
}

// start runs a program behind a line of shell, such as a ulimit.
func start(t *testing.T, attr *syscall.SysProcAttr, shell string, args ...string) *child {
	t.Helper()
	c := &child{done: make(chan struct{})}
	c.Cmd = exec.Command("sh", append([]string{"-c", shell + `exec "$0" "$@"`}, args...)...)
	c.Env, c.SysProcAttr, c.Stdout, c.Stderr = servers.CleanEnv(), attr, c, c
	started := make(chan error)
	go func() { // Pdeathsig goes by the thread that starts
		err := c.Start()
		started <- err
		if err == nil {
			_ = c.Wait()
		}
		close(c.done)
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		<-c.done
	})
	return c
}

// veil is a folder with a copy of the program and what it needs, for a user.
func veil(t *testing.T, uid int, more string) (args []string) {
	t.Helper()
	built, err := s3veil.Build()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "s3veil-process-") // t.TempDir lies below a folder that only this user enters
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program := filepath.Join(dir, "s3veil")
	if err := os.Link(built, program); err != nil {
		t.Fatal(err)
	}
	keys, config := filepath.Join(dir, "keys.json"), filepath.Join(dir, "s3veil.yaml")
	if out, err := exec.Command(program, "keys", "new", "--out", keys).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text := fmt.Sprintf(`
listen: 127.0.0.1:0
admin: 127.0.0.1:0
upstream: {endpoint: "http://127.0.0.1:9", credentials: {access_key: a, secret_key: b}}
clients: [{access_key: app, secret_key: s, buckets: ["*"], actions: [read]}]
kms: {keys: [{id: main, provider: local, file: keys.json}]}
%s
`, more)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{dir, keys, config} {
		if err := os.Chown(f, uid, -1); err != nil {
			t.Fatal(err)
		}
	}
	return []string{program, "serve", "--config", config}
}

var serving = regexp.MustCompile(`"msg":"serving".*"admin":"([^"]+)"`)

// admin waits until the program serves and returns the address of its admin endpoint.
func (c *child) admin(t *testing.T) string {
	t.Helper()
	for {
		if m := serving.FindStringSubmatch(c.printed()); m != nil {
			return m[1]
		}
		select {
		case <-c.done:
			t.Fatalf("ended: %s", c.printed())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (c *child) proc(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", c.Process.Pid, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestNobodyLooksInside(t *testing.T) {
	uid, attr := user()
	c := start(t, attr, "ulimit -c unlimited 2>/dev/null; ", veil(t, uid, "")...)
	admin := c.admin(t)
	if !regexp.MustCompile(`(?m)^Max core file size +0 +0 `).MatchString(c.proc(t, "limits")) {
		t.Errorf("limits:\n%s", c.proc(t, "limits"))
	}
	plain := start(t, attr, "", "sleep", "600")
	for _, p := range []struct {
		what  string
		pid   int
		owner int
		opens bool
	}{{"the program", c.Process.Pid, 0, false}, {"an ordinary process", plain.Process.Pid, uid, true}} {
		for _, name := range []string{"mem", "environ", "maps", "coredump_filter"} {
			info, err := os.Stat(fmt.Sprintf("/proc/%d/%s", p.pid, name))
			if err != nil {
				t.Fatal(err)
			}
			if got := int(info.Sys().(*syscall.Stat_t).Uid); got != p.owner {
				t.Errorf("%s of %s belongs to uid %d", name, p.what, got)
			}
		}
		// What a process of the same user sees.
		cat := exec.Command("cat", fmt.Sprintf("/proc/%d/environ", p.pid))
		cat.SysProcAttr = attr
		if out, err := cat.CombinedOutput(); (err == nil) != p.opens {
			t.Errorf("environment of %s: %v, %s", p.what, err, out)
		}
	}
	// The process itself can still count what it uses.
	resp, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"process_open_fds", "process_resident_memory_bytes"} {
		if !regexp.MustCompile("(?m)^" + name + " [1-9]").Match(text) {
			t.Errorf("no %s among the metrics", name)
		}
	}
}

// locked is how much memory of a process is locked.
func (c *child) locked(t *testing.T) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^VmLck:\s+(.*)$`).FindStringSubmatch(c.proc(t, "status"))
	if m == nil {
		t.Fatal("no VmLck")
	}
	return m[1]
}

func TestMemoryIsLockedWhereWanted(t *testing.T) {
	uid := os.Geteuid()
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c := start(t, attr, "", veil(t, uid, "")...)
	c.admin(t)
	if got := c.locked(t); got != "0 kB" {
		t.Errorf("%s locked without being asked for", got)
	}
	if uid != 0 { // the right to lock is root's; TestLimitedLockingIsRefused covers the others
		return
	}
	c = start(t, attr, "", veil(t, uid, "lock_memory: true")...)
	c.admin(t)
	if got := c.locked(t); got == "0 kB" {
		t.Error("nothing is locked")
	}
	if m := regexp.MustCompile(`(?m)^VmRSS:\s+(\d{1,6}) kB$`).FindString(c.proc(t, "status")); m == "" {
		t.Errorf("locking has filled the memory:\n%s", c.proc(t, "status"))
	}
}

func TestLimitedLockingIsRefused(t *testing.T) {
	uid, attr := user()
	c := start(t, attr, "ulimit -l 64; ", veil(t, uid, "lock_memory: true")...)
	select {
	case <-c.done:
	case <-t.Context().Done():
		t.Fatal("still runs")
	}
	const want = "s3veil: lock_memory: RLIMIT_MEMLOCK is 65536 bytes and must be unlimited"
	if code, got := c.ProcessState.ExitCode(), c.printed(); code != 1 || !strings.Contains(got, want) {
		t.Errorf("exit code %d, %s", code, got)
	}
}
