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
	if c.peek == nil && !c.preparePeek() {
		return false
	}
	c.quiet = false
	err := c.peek()
	return err == nil && c.quiet
}

// preparePeek makes c.peek, once per connection.
func (c *conn) preparePeek() bool {
	tcp, ok := c.Conn.(*net.TCPConn)
	if !ok {
		c.peek = func() error { c.quiet = true; return nil }
		return true
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	look := func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		c.quiet = err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
		return true
	}
	c.peek = func() error { return raw.Read(look) }
	return true
}
