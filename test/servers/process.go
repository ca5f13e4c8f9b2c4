package servers

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Spec describes a process to start.
type Spec struct {
	Name string   // for messages
	Path string   // program, absolute or found in PATH
	Args []string //
	Env  []string // in addition to the parent's environment, which loses its AWS_* and *_proxy variables
	Dir  string   // working directory; the parent's when empty
	Log  string   // file that receives standard output and error, appended to
}

// Process is a running child in a process group of its own.
type Process struct {
	spec Spec
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait; valid once done is closed
}

// StartProcess starts spec. The child's log is spec.Log; its parent directory is made.
func StartProcess(spec Spec) (*Process, error) {
	if err := os.MkdirAll(filepath.Dir(spec.Log), 0o755); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(spec.Path, spec.Args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = spec.Dir, log, log
	cmd.Env = append(CleanEnv(), spec.Env...)
	cmd.SysProcAttr = procAttr()
	p := &Process{spec: spec, cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel's parent-death signal is bound to the thread that started the child: it must live as long.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer log.Close()
		if err := cmd.Start(); err != nil {
			started <- fmt.Errorf("%s: %w", spec.Name, err)
			return
		}
		started <- nil
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// PID is the child's process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Exited is closed when the child has ended.
func (p *Process) Exited() <-chan struct{} { return p.done }

// Running reports whether the child has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Kill ends the process group at once (SIGKILL) and waits.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// Stop asks the process group to end (SIGTERM), kills it after grace, and waits.
func (p *Process) Stop(grace time.Duration) {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
		p.signal(syscall.SIGKILL) // what the child may have left of its group
	case <-time.After(grace):
		p.Kill()
	}
}

func (p *Process) signal(s syscall.Signal) { _ = syscall.Kill(-p.PID(), s) }

// Signal sends s to the child alone.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// failure describes why the child is not usable, with the end of its log.
func (p *Process) failure(what string) error {
	return fmt.Errorf("%s: %s; end of its log:\n%s", p.spec.Name, what, Tail(p.spec.Log, 4000))
}

// Await calls ready until it returns nil, the child ends or the time is up.
func (p *Process) Await(limit time.Duration, ready func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.failure(fmt.Sprintf("ended before it was ready (%v)", p.err))
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return p.failure("not ready in time: " + err.Error())
		}
	}
}

// errPortTaken makes a start be tried again on other ports.
var errPortTaken = errors.New("port taken")

// RetryPorts runs start up to three times: a free port may be taken by somebody else before the server listens on it.
func RetryPorts(start func() error) error {
	var err error
	for range 3 {
		if err = start(); err == nil || !portTaken(err) {
			return err
		}
	}
	return err
}

func portTaken(err error) bool {
	text := strings.ToLower(err.Error())
	return errors.Is(err, errPortTaken) || strings.Contains(text, "address already in use") ||
		strings.Contains(text, "unable to bind")
}

// FreePorts returns n loopback ports that nobody listened on a moment ago.
func FreePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for i := range ports {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

// CleanEnv is the environment without what would change S3 clients and servers: AWS settings and HTTP proxies.
func CleanEnv() []string {
	var env []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, "AWS_") || strings.HasPrefix(name, "S3VEIL_") || strings.HasPrefix(name, "VGW_") ||
			strings.HasSuffix(strings.ToLower(name), "_proxy") {
			continue
		}
		env = append(env, v)
	}
	return env
}

// Tail returns up to n bytes of the end of a file; errors are part of the text.
func Tail(path string, n int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	if len(b) > n {
		b = b[len(b)-n:]
	}
	return string(b)
}
