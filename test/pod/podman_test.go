//go:build podman

package pod

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// settings make podman ask for limits that machines without privileges of their own allow, too.
var settings = sync.OnceValues(func() (file string, err error) {
	dir, err := os.MkdirTemp("", "s3veil-podman-")
	if err != nil {
		return "", err
	}
	file = filepath.Join(dir, "containers.conf")
	return file, os.WriteFile(file, []byte("[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1000:1000\"]\n"), 0o600)
})

func removeSettings(bool) {
	if file, err := settings(); err == nil {
		os.RemoveAll(filepath.Dir(file))
	}
}

// podman runs it and returns its standard output; the error has what it said.
func podman(args ...string) (string, error) {
	file, err := settings()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "podman", append([]string{"--runtime", "runc"}, args...)...)
	cmd.Env = append(os.Environ(), "CONTAINERS_CONF="+file)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("podman %s: %w: %s", strings.Join(args, " "), err, log.Bytes())
	}
	return out.String(), nil
}

func mustPodman(t *testing.T, args ...string) string {
	t.Helper()
	out, err := podman(args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// eventually calls check until it returns nil, a minute at most.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// played is a pod whose containers have been created and not been started.
type played struct {
	name string
}

// play gives a manifest to podman. The pod has a network namespace of its own, with the loopback interface alone.
func play(t *testing.T, name string, manifest []byte) *played {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pod.json")
	if err := os.WriteFile(file, manifest, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := podman("pod", "rm", "--force", "--time", "1", name); err != nil {
			t.Error(err)
		}
	})
	mustPodman(t, "kube", "play", "--start=false", "--network", "none", file)
	return &played{name: name}
}

func (p *played) container(name string) string { return p.name + "-" + name }

func (p *played) start(t *testing.T, name string) {
	t.Helper()
	mustPodman(t, "start", p.container(name))
}

// end ends a container as the kubelet does, and returns its exit code.
func (p *played) end(t *testing.T, name string) (code string) {
	t.Helper()
	mustPodman(t, "stop", "--time", "30", p.container(name))
	return mustPodman(t, "inspect", "--format", "{{.State.ExitCode}}", p.container(name))
}

func (p *played) logs(name string) string {
	out, err := exec.Command("podman", "logs", p.container(name)).CombinedOutput()
	if err != nil {
		return err.Error()
	}
	return string(out)
}

// pid is a container's first process.
func (p *played) pid(t *testing.T, container string) string {
	t.Helper()
	pid := mustPodman(t, "inspect", "--format", "{{.State.Pid}}", p.container(container))
	if pid == "0" {
		t.Fatalf("%s does not run:\n%s", container, p.logs(container))
	}
	return pid
}

// ask asks a URL inside the pod.
func (p *played) ask(t *testing.T, url string) error {
	t.Helper()
	if out, err := exec.Command("nsenter", "-t", p.pid(t, "s3veil"), "-n", "curl", "-sS", "-m", "5", "--fail-with-body", url).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", url, err, out)
	}
	return nil
}

// status is a line of /proc/PID/status of a container's first process.
func (p *played) status(t *testing.T, container, field string) string {
	t.Helper()
	for line := range strings.Lines(p.proc(t, container, "status")) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return ""
}

// proc is a file of /proc/PID of a container's first process.
func (p *played) proc(t *testing.T, container, file string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("/proc", p.pid(t, container), file))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
