//go:build !(linux || darwin || freebsd)

package upstream

// alive cannot look into a connection on this system.
func alive(*conn) bool { return true }
