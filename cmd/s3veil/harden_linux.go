package main

import "golang.org/x/sys/unix"

// harden keeps keys out of core files and out of reach of other processes of the same user (THREATS.md row 27).
func harden() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
