//go:build integration

package lifecycle

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

func TestMain(m *testing.M) { servers.Main(m, s3veil.RemoveBuild) }

func TestRollingRestartLosesNothing(t *testing.T) {
	c := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), Replicas: 3,
		Configure: func(config map[string]any) {
			config["limits"] = map[string]any{"drain_delay": "2s"} // several times what the balancer takes to notice
		}})
	at := balance(t, c)
	client := c.ClientOf(at, once)
	l := begin(t, client, servers.NewBucket(t, client))
	time.Sleep(time.Second)
	for i, r := range c.Replicas {
		before := time.Now()
		if err := syscall.Kill(r.PID(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		select {
		case <-r.Ended():
		case <-time.After(30 * time.Second):
			t.Fatal("still there after its grace period")
		}
		took := time.Since(before)
		if log := servers.Tail(r.Log, 4000); strings.Contains(log, "stopped with requests under way") || !strings.Contains(log, `"msg":"stopped"`) {
			t.Errorf("replica %d was not idle at its end:\n%s", i, log)
		}
		begun := time.Now()
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
		t.Logf("replica %d: ended after %v, ready after %v with a cold cache", i, took, time.Since(begun))
		time.Sleep(time.Second) // the balancer takes it in
	}
	l.end()
	l.check()
	t.Logf("%d requests, %d slow downloads, %d multipart uploads", l.requests.Load(), l.finished.Load(), l.uploads.Load())
	if l.requests.Load() < 500 || l.finished.Load() < 5 || l.uploads.Load() < 5 {
		t.Error("too few to say anything")
	}
}
