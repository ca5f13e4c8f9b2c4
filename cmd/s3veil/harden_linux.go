package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// canLockMemory: lock_memory works on this system.
const canLockMemory = true

// harden keeps keys out of core files and out of reach of other processes of the same user (THREATS.md row 27). The limit
// alone does not stop a core file that goes to a program (kernel.core_pattern with a pipe); a process that is not dumpable has
// none at all, cannot be traced, and its /proc files belong to root.
func harden() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}

// lockMemory keeps every page of the process, those to come too, out of swap.
//
// Pages are locked as they are touched (MCL_ONFAULT), or else address space that Go reserves would become memory. The kernel
// counts that space against RLIMIT_MEMLOCK all the same, and a process that reached a finite limit later would die of it. So
// nothing less than no limit will do, by RLIMIT_MEMLOCK or by CAP_IPC_LOCK; whether the latter counts, which it does not
// inside a user namespace, is tried.
func lockMemory() error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
		return err
	}
	if limit.Max == unix.RLIM_INFINITY && limit.Cur != limit.Max {
		limit.Cur = limit.Max
		if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil {
			return err
		}
	}
	err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT)
	if err == nil && limit.Cur != unix.RLIM_INFINITY {
		if err = exceeds(limit.Cur); err != nil {
			err = errors.Join(err, unix.Munlockall())
		}
	}
	if err != nil {
		return fmt.Errorf("RLIMIT_MEMLOCK is %d bytes and must be unlimited (ulimit -l unlimited, LimitMEMLOCK=infinity), "+
			"unless the process has CAP_IPC_LOCK: %w", limit.Cur, err)
	}
	return nil
}

// exceeds reports whether more than n bytes of address space can be locked, without touching any.
func exceeds(n uint64) error {
	const most = 1 << 46 // of an address space of 47 bits; more cannot be mapped, and so not be exceeded
	b, err := unix.Mmap(-1, 0, int(min(n, most)), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return err
	}
	return unix.Munmap(b)
}
