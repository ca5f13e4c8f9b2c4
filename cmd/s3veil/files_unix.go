//go:build unix

package main

import "golang.org/x/sys/unix"

// openFiles is how many files and sockets the process may open, 0 for unknown. The Go runtime has raised it to the hard limit.
func openFiles() uint64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return uint64(limit.Cur)
}
