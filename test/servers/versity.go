package servers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// VersityProgram builds versitygw, a tool of go.mod, into Go's cache once and returns its path.
var VersityProgram = sync.OnceValues(func() (string, error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "tool", "-n", "versitygw")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return "", fmt.Errorf("go tool -n versitygw: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
})

// ModuleRoot is the directory of the module's go.mod, above the working directory.
var ModuleRoot = sync.OnceValues(func() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, serr := os.Stat(filepath.Join(dir, "go.mod")); serr == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			err = errors.New("servers: no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
})

// startVersity starts versitygw over a directory. Its metadata lies in extended attributes where the
// temporary file system has them, else in sidecar files; either way below Dir.
func startVersity(versions bool) (*Store, error) {
	path, err := VersityProgram()
	if err != nil {
		return nil, err
	}
	s, err := newStore(Versity)
	if err != nil {
		return nil, err
	}
	s.Persistent = true
	for _, sub := range []string{"data", "versions", "iam", "sidecar"} {
		if err := os.Mkdir(filepath.Join(s.Dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	err = RetryPorts(func() error {
		ports, err := FreePorts(1)
		if err != nil {
			return err
		}
		addr := fmt.Sprintf("127.0.0.1:%d", ports[0])
		args := []string{"-a", s.AccessKey, "-s", s.SecretKey, "-p", addr, "-r", Region, "-q", "--keep-alive",
			"--access-log", filepath.Join(s.Dir, "access.log"), "--iam-dir", filepath.Join(s.Dir, "iam"),
			"posix"}
		if versions {
			args = append(args, "--versioning-dir", filepath.Join(s.Dir, "versions"))
		}
		if !hasXattr(s.Dir) {
			args = append(args, "--sidecar", filepath.Join(s.Dir, "sidecar"))
		}
		p, err := StartProcess(Spec{Name: Versity, Path: path, Args: append(args, filepath.Join(s.Dir, "data")),
			Log: filepath.Join(s.Dir, "versitygw.log")})
		if err != nil {
			return err
		}
		s.Endpoint, s.procs = "http://"+addr, []*Process{p}
		if err := p.Await(20*time.Second, s.probe); err != nil {
			s.halt()
			return err
		}
		return nil
	})
	if err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// hasXattr reports whether dir's file system takes user extended attributes as large as an envelope.
func hasXattr(dir string) bool {
	f, err := os.CreateTemp(dir, "xattr")
	if err != nil {
		return false
	}
	defer os.Remove(f.Name())
	defer f.Close()
	return unix.Fsetxattr(int(f.Fd()), "user.s3veil", make([]byte, 2000), 0) == nil
}
