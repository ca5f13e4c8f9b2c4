//go:build unix && !linux

package servers

import "syscall"

// procAttr puts a child into its own process group.
func procAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
