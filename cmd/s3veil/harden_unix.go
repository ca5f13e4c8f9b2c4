//go:build unix && !linux

package main

import "golang.org/x/sys/unix"

// harden keeps keys out of core files (THREATS.md row 27).
func harden() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }
