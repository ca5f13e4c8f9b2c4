//go:build linux || darwin || freebsd || netbsd

package canary

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// attributes returns the extended attributes of path; none where the file system has none.
func attributes(path string) (map[string][]byte, error) {
	n, err := unix.Llistxattr(path, nil)
	if errors.Is(err, unix.ENOTSUP) || n == 0 && err == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	buf := make([]byte, n+1024)
	if n, err = unix.Llistxattr(path, buf); err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for name := range strings.SplitSeq(strings.TrimRight(string(buf[:n]), "\x00"), "\x00") {
		value := make([]byte, 64<<10)
		m, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return nil, err
		}
		out[name] = value[:m]
	}
	return out, nil
}
