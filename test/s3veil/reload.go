package s3veil

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"s3veil/test/servers"
)

// MustReload changes the replica's configuration and waits until it is in force, or ends the test.
func (r *Replica) MustReload(t testing.TB, change func(config map[string]any)) {
	t.Helper()
	if err := r.Reconfigure(change); err != nil {
		t.Fatal(err)
	}
	r.MustTakeOver(t)
}

// MustTakeOver makes the replica read its files anew and waits until they are in force. The watcher of files may do so too, at
// any time: what has begun before is waited for as well, so the second reload after a change is the one that counts.
func (r *Replica) MustTakeOver(t testing.TB) {
	t.Helper()
	process, err := os.FindProcess(r.PID())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		before := r.reloads()
		if err := process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(30 * time.Second); r.reloads() == before; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("not reloaded in time: %s", servers.Tail(r.Log, 2000))
			}
		}
	}
}

// reloads counts the configurations that were taken.
func (r *Replica) reloads() int {
	return strings.Count(servers.Tail(r.Log, 1<<24), `"msg":"configuration reloaded"`)
}
