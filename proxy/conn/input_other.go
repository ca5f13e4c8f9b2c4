//go:build !(linux || darwin || freebsd)

package conn

import "net"

// canRest: on this system connections cannot be waited for without a buffer.
const canRest = false

func awaitInput(net.Conn) bool { return false }
