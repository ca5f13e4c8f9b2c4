package gosdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms/local"
	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// reload changes the configuration of the only replica and waits until it is in force.
func reload(t *testing.T, c *s3veil.Cluster, change func(config map[string]any)) {
	t.Helper()
	file := filepath.Join(c.Dir, "replica-0.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	change(config)
	if text, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	reloads := func() int { return strings.Count(logOf(t, c), `"msg":"configuration reloaded"`) }
	before := reloads()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(c.Replicas[0].PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await(t, "the configuration is reloaded", func() bool { return reloads() > before })
}

func logOf(t *testing.T, c *s3veil.Cluster) string {
	t.Helper()
	text, err := os.ReadFile(c.Replicas[0].Log)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// kidAtStore is the key that an object's envelope names.
func kidAtStore(t *testing.T, c *s3veil.Cluster, bucket, key string) string {
	t.Helper()
	out, err := c.Store.Client().HeadObject(context.Background(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := envelope.ParseText(out.Metadata["s3veil"])
	if err != nil {
		t.Fatal(err)
	}
	return sealed.Header().KID
}

// A new key takes over under load: no request fails, the first object after the reload is under it, and what was written
// before stays readable until the old key is taken away, which is then named.
func TestKeyRotationUnderLoad(t *testing.T) {
	next := filepath.Join(t.TempDir(), "next.json")
	if err := local.New(next, "next", time.Now()); err != nil {
		t.Fatal(err)
	}
	c := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity)})
	ctx, client := context.Background(), c.Client(func(o *s3.Options) { o.RetryMaxAttempts = 1 })
	bucket := servers.NewBucket(t, client)
	put := func(key string) error {
		_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader([]byte(key))})
		return err
	}
	get := func(key string) error {
		out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		if err != nil {
			return err
		}
		defer out.Body.Close()
		if got, err := io.ReadAll(out.Body); err != nil || string(got) != key {
			return fmt.Errorf("read %q, %v", got, err)
		}
		return nil
	}
	if err := put("old"); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var done atomic.Int64
	var wait sync.WaitGroup
	for i := range 4 {
		wait.Go(func() {
			for n := 0; !stop.Load(); n++ {
				if err := errors.Join(put(fmt.Sprint("load/", i, "/", n%50)), get("old")); err != nil {
					t.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	keys := func(config map[string]any) map[string]any { return config["kms"].(map[string]any) }
	await(t, "load", func() bool { return done.Load() > 20 })
	reload(t, c, func(config map[string]any) {
		group := keys(config)
		group["keys"] = append(group["keys"].([]any), map[string]any{"id": "next", "provider": "local", "file": next})
		config["buckets"] = []any{map[string]any{"name": "*", "key": "next", "keys": []string{"next", "main"}}}
	})
	if err := put("new"); err != nil {
		t.Fatal(err)
	}
	before := done.Load()
	await(t, "load after the rotation", func() bool { return done.Load() > before+20 })
	stop.Store(true)
	wait.Wait()
	if a, b := kidAtStore(t, c, bucket, "old"), kidAtStore(t, c, bucket, "new"); a != "main" || b != "next" {
		t.Errorf("old under %s, new under %s", a, b)
	}
	if err := get("new"); err != nil {
		t.Error(err)
	}

	refused := func(what, code string) {
		t.Helper()
		err := get("old")
		if codeOf(err) != code || !strings.Contains(err.Error(), "'main'") {
			t.Errorf("%s: %v", what, err)
		}
		named := 0
		for _, line := range strings.Split(logOf(t, c), "\n") {
			if strings.Contains(line, `"code":"`+code+`"`) && strings.Contains(line, `"key_id":"main"`) {
				named++
			}
		}
		if named == 0 {
			t.Errorf("%s: the log does not name the key", what)
		}
		if err := get("new"); err != nil {
			t.Errorf("%s: what is under the new key: %v", what, err)
		}
	}
	reload(t, c, func(config map[string]any) {
		config["buckets"] = []any{map[string]any{"name": "*", "key": "next"}}
	})
	refused("off the bucket's list", "AccessDenied")
	file := filepath.Join(c.Dir, "keys.json")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	disabled := bytes.Replace(text, []byte(`"active"`), []byte(`"disabled"`), 1)
	if err := os.WriteFile(file, disabled, 0o600); err != nil {
		t.Fatal(err)
	}
	reload(t, c, func(config map[string]any) {
		config["buckets"] = []any{map[string]any{"name": "*", "key": "next", "keys": []string{"next", "main"}}}
	})
	refused("disabled", "KMS.DisabledException")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "the key is back", func() bool { return get("old") == nil })
	if err := put("old"); err != nil {
		t.Fatal(err)
	}
	if kid := kidAtStore(t, c, bucket, "old"); kid != "next" {
		t.Errorf("written again under %s", kid)
	}
}
