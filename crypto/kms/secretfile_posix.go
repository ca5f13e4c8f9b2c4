//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package kms

import (
	"os"
	"syscall"
)

func ownerOf(info os.FileInfo) (owner, bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return owner{uid: -1, gid: -1}, true // of nobody: refused
	}
	return owner{uid: int(st.Uid), gid: int(st.Gid)}, true
}

func processIdentity() identity {
	groups, err := syscall.Getgroups()
	if err != nil {
		groups = nil // one group less lets in less
	}
	return identity{uid: os.Geteuid(), groups: append(groups, os.Getegid())}
}
