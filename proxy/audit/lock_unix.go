//go:build unix && !solaris && !aix

package audit

import (
	"errors"
	"os"
	"syscall"
)

// lock takes a regular file for this process until it is closed.
func lock(f *os.File) error {
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return err // pipes and devices have readers of their own
	}
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return errInUse
	case errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.ENOLCK):
		return nil // a file system without locks
	}
	return err
}
