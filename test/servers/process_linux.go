package servers

import "syscall"

// procAttr puts a child into its own process group and lets it die with its parent.
func procAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
