//go:build linux || darwin || freebsd

package upstream

import (
	"net"
	"syscall"
)

// alive reports whether an idle connection is open and silent. One that the store has closed would fail the request, which
// only some requests survive (DATAPATH.md rule 17); one on which the store has said something unasked would have that taken
// for the answer.
func alive(c *conn) bool {
	tcp, ok := c.Conn.(*net.TCPConn)
	if !ok {
		return true
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		quiet = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
		return true
	})
	return err == nil && quiet
}
