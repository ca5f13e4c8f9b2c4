//go:build linux || darwin || freebsd

package conn

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// canRest: connections can be waited for without a buffer.
const canRest = true

// awaitInput waits until there is something to read, without reading it. It reports false when the client has gone, when there
// is nothing at the deadline, and when the connection is closed.
func awaitInput(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	said := false
	look := func(fd uintptr) bool {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		for err == syscall.EINTR {
			n, _, err = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		}
		said = n > 0 && err == nil
		return err != syscall.EAGAIN && err != syscall.EWOULDBLOCK
	}
	if err = raw.Read(look); errors.Is(err, os.ErrDeadlineExceeded) {
		err = raw.Control(func(fd uintptr) { look(fd) })
	}
	return err == nil && said
}
