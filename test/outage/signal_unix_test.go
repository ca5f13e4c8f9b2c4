package outage

import (
	"syscall"
	"testing"
)

// hangUp makes the replica read its configuration again.
func hangUp(t *testing.T, r *rig) {
	t.Helper()
	if err := syscall.Kill(r.c.Replicas[0].PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}
