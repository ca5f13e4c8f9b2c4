//go:build linux || darwin || freebsd

package proxy

import (
	"net"
	"syscall"
)

// canRest: connections can be waited for without a buffer.
const canRest = true

// awaitInput waits until there is something to read, without reading it. It reports false when the client has gone, at the
// deadline, and when the connection is closed.
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
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		for err == syscall.EINTR {
			n, _, err = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		}
		said = n > 0 && err == nil
		return err != syscall.EAGAIN && err != syscall.EWOULDBLOCK
	})
	return err == nil && said
}
