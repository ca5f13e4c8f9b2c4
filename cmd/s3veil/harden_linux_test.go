package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// hardenChild makes the test binary harden itself and say what has come of it: hardening cannot be undone.
const hardenChild = "S3VEIL_TEST_HARDEN"

func init() {
	if os.Getenv(hardenChild) == "" {
		return
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
