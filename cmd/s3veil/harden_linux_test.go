package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// hardenChild makes the test binary harden itself and say what has come of it: hardening cannot be undone.
const hardenChild = "S3VEIL_TEST_HARDEN"

func init() {
	switch os.Getenv(hardenChild) {
	case "":
		return
	case "lock":
		lockAndLoseTheRight()
	}
	if err := harden(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	fmt.Println(core.Cur, core.Max, dumpable, err)
	os.Exit(0)
}

func TestProcessLeavesNoCoreFiles(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), hardenChild+"=1")
	out, err := cmd.CombinedOutput()
	if got := strings.TrimSpace(string(out)); err != nil || got != "0 0 0 <nil>" {
		t.Errorf("core limits and dumpable flag: %q, %v", got, err)
	}
}

// lockAndLoseTheRight locks the memory with CAP_IPC_LOCK, and then asks for more than the limit with and without it.
func lockAndLoseTheRight() {
	runtime.LockOSThread() // capabilities belong to the thread
	fmt.Println(lockMemory())
	fmt.Println(exceeds(64 << 20))
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	err := unix.Capget(&head, &caps[0])
	caps[0].Effective &^= 1 << unix.CAP_IPC_LOCK
	fmt.Println(errors.Join(err, unix.Capset(&head, &caps[0])))
	fmt.Println(exceeds(64 << 20))
	os.Exit(0)
}

// TestLimitThatIsReachedLaterIsNoticed needs the right to lock, which root has; nobody else gets that far.
func TestLimitThatIsReachedLaterIsNoticed(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	cmd := exec.Command("sh", "-c", `ulimit -l 64; exec "$0"`, os.Args[0])
	cmd.Env = append(os.Environ(), hardenChild+"=lock")
	out, err := cmd.CombinedOutput()
	want := "<nil>\n<nil>\n<nil>\n" + unix.EAGAIN.Error() + "\n"
	if err != nil || string(out) != want {
		t.Errorf("%q, %v; want %q", out, err, want)
	}
}
