//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package local

import (
	"fmt"
	"os"
	"syscall"
)

// lock keeps other rotations of the file at path away until unlock. Waiting, it notices that the file was replaced.
func lock(path string) (unlock func(), err error) {
	for {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("local: lock %s: %w", path, err)
		}
		held, err1 := f.Stat()
		there, err2 := os.Stat(path)
		if err1 == nil && err2 == nil && os.SameFile(held, there) {
			return func() { _ = f.Close() }, nil
		}
		_ = f.Close()
		if err2 != nil {
			return nil, err2
		}
	}
}

// syncDir makes a new or renamed entry of a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
