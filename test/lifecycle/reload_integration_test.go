//go:build integration

package lifecycle

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// New clients and a new secret come into force on every replica while others work, without a failed request.
func TestReloadUnderLoadLosesNothing(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	c := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), Replicas: 3})
	at := balance(t, c)
	client := c.ClientOf(at, once)
	bucket := servers.NewBucket(t, client)
	l := begin(t, client, bucket)
	for round := range 3 {
		if err := os.WriteFile(secret, []byte(fmt.Sprintf("secret-of-round-%d-0123456789", round)), 0o600); err != nil {
			t.Fatal(err)
		}
		for i, r := range c.Replicas {
			addClient(t, filepath.Join(c.Dir, fmt.Sprintf("replica-%d.yaml", i)), round, secret)
			if err := syscall.Kill(r.PID(), syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
		}
		for i := range c.Replicas {
			other := servers.NewClient(c.Endpoints[i], fmt.Sprint("client", round), fmt.Sprintf("secret-of-round-%d-0123456789", round), once)
			await(t, "the new client is known", func() bool {
				_, err := other.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
				return err == nil
			})
		}
		seen := l.requests.Load()
		await(t, "requests go on", func() bool { return l.requests.Load() > seen+200 })
	}
	for _, r := range c.Replicas {
		if log := servers.Tail(r.Log, 1<<20); strings.Contains(log, `"msg":"draining"`) || strings.Count(log, `"msg":"serving"`) != 1 {
			t.Errorf("a replica was started anew:\n%.2000s", log)
		}
	}
	l.end()
	l.check()
}

func once(o *s3.Options) { o.RetryMaxAttempts = 1 }

// addClient adds a client, whose secret is in a file, to a configuration.
func addClient(t *testing.T, file string, round int, secret string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	config["clients"] = append(config["clients"].([]any)[:1], map[string]any{"access_key": fmt.Sprint("client", round), "secret_key_file": secret,
		"buckets": []string{"*"}, "actions": []string{"read"}})
	if text, err = json.Marshal(config); err == nil {
		err = os.WriteFile(file+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}
