package conn

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// failingListener fails as it is told to before it accepts.
type failingListener struct {
	net.Listener
	failures []error
}

func (l *failingListener) Accept() (net.Conn, error) {
	if len(l.failures) > 0 {
		err := l.failures[0]
		l.failures = l.failures[1:]
		return nil, err
	}
	c, _ := net.Pipe()
	return c, nil
}

func acceptError(no syscall.Errno) error {
	return &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", no)}
}

// A listener that ends for want of files would take the process with it, and every client could bring that about.
func TestAcceptOutlastsFailuresThatPass(t *testing.T) {
	for _, no := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.ENETDOWN} {
		var told []error
		set := New(Options{Max: 1, Stall: time.Minute, Trouble: func(err error) { told = append(told, err) }})
		below := &failingListener{failures: []error{acceptError(no), acceptError(no), acceptError(no)}}
		c, err := set.Listener(below, nil, false).Accept()
		if err != nil {
			t.Errorf("%v: %v", no, err)
			continue
		}
		if set.Count() != 1 || len(below.failures) != 0 {
			t.Errorf("%v: %d connections, %d failures left", no, set.Count(), len(below.failures))
		}
		if len(told) != 1 || !errors.Is(told[0], no) {
			t.Errorf("%v: told %v", no, told)
		}
		_ = c.Close()
	}
}

func TestAcceptEndsWithItsListener(t *testing.T) {
	for _, end := range []error{net.ErrClosed, fmt.Errorf("accept: %w", net.ErrClosed), acceptError(syscall.EBADF), acceptError(syscall.EINVAL), errors.New("another")} {
		set := New(Options{Max: 1, Stall: time.Minute, Trouble: func(err error) { t.Errorf("told %v", err) }})
		if c, err := set.Listener(&failingListener{failures: []error{end}}, nil, false).Accept(); !errors.Is(err, end) {
			t.Errorf("%v: %v, %v", end, c, err)
		}
	}
}
