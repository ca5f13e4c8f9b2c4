package gosdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms/local"
	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

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

// rotation is a replica whose keys change.
type rotation struct {
	*testing.T
	c      *s3veil.Cluster
	client *s3.Client
	bucket string
}

func (r *rotation) put(key string) error {
	_, err := r.client.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &r.bucket, Key: &key, Body: bytes.NewReader([]byte(key))})
	return err
}

func (r *rotation) get(key string) error {
	out, err := r.client.GetObject(context.Background(), &s3.GetObjectInput{Bucket: &r.bucket, Key: &key})
	if err != nil {
		return err
	}
	defer out.Body.Close()
	if got, err := io.ReadAll(out.Body); err != nil || string(got) != key {
		return fmt.Errorf("read %q, %v", got, err)
	}
	return nil
}

// load reads and writes until stop is called; done counts the rounds.
func (r *rotation) load() (done func() int64, stop func()) {
	var over atomic.Bool
	var rounds atomic.Int64
	var wait sync.WaitGroup
	for i := range 4 {
		wait.Go(func() {
			for n := 0; !over.Load(); n++ {
				if err := errors.Join(r.put(fmt.Sprint("load/", i, "/", n%50)), r.get("old")); err != nil {
					r.Error(err)
					return
				}
				rounds.Add(1)
			}
		})
	}
	return rounds.Load, func() { over.Store(true); wait.Wait() }
}

// refused demands that what is under main is refused by that name, and that nothing else is.
func (r *rotation) refused(what, code string) {
	r.Helper()
	if err := r.get("old"); codeOf(err) != code || !strings.Contains(err.Error(), "'main'") {
		r.Errorf("%s: %v", what, err)
	}
	named := false
	for _, line := range strings.Split(logOf(r.T, r.c), "\n") {
		named = named || strings.Contains(line, `"code":"`+code+`"`) && strings.Contains(line, `"key_id":"main"`)
	}
	if !named {
		r.Errorf("%s: the log does not name the key", what)
	}
	if err := r.get("new"); err != nil {
		r.Errorf("%s: what is under the new key: %v", what, err)
	}
}

// underNext lets buckets write under the key next and read under the given ones.
func underNext(keys ...string) []any {
	return []any{map[string]any{"name": "*", "key": "next", "keys": keys}}
}

// A new key takes over under load: no request fails, the first object after the reload is under it, and what was written
// before stays readable until the old key is taken away, which is then named.
func TestKeyRotationUnderLoad(t *testing.T) {
	next := filepath.Join(t.TempDir(), "next.json")
	if err := local.New(next, "next", time.Now()); err != nil {
		t.Fatal(err)
	}
	c := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity)})
	r := &rotation{T: t, c: c, client: c.Client(func(o *s3.Options) { o.RetryMaxAttempts = 1 })}
	r.bucket = servers.NewBucket(t, r.client)
	if err := r.put("old"); err != nil {
		t.Fatal(err)
	}
	done, stop := r.load()
	await(t, "load", func() bool { return done() > 20 })
	c.Replicas[0].MustReload(t, func(config map[string]any) {
		group := config["kms"].(map[string]any)
		group["keys"] = append(group["keys"].([]any), map[string]any{"id": "next", "provider": "local", "file": next})
		config["buckets"] = underNext("next", "main")
	})
	if err := r.put("new"); err != nil {
		t.Fatal(err)
	}
	before := done()
	await(t, "load after the rotation", func() bool { return done() > before+20 })
	stop()
	if a, b := kidAtStore(t, c, r.bucket, "old"), kidAtStore(t, c, r.bucket, "new"); a != "main" || b != "next" {
		t.Errorf("old under %s, new under %s", a, b)
	}

	c.Replicas[0].MustReload(t, func(config map[string]any) { config["buckets"] = underNext("next") })
	r.refused("off the bucket's list", "AccessDenied")
	file := filepath.Join(c.Dir, "keys.json")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text []byte) {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(bytes.Replace(text, []byte(`"active"`), []byte(`"disabled"`), 1))
	c.Replicas[0].MustReload(t, func(config map[string]any) { config["buckets"] = underNext("next", "main") })
	r.refused("disabled", "KMS.DisabledException")
	write(text)
	await(t, "the key is back", func() bool { return r.get("old") == nil })
	if err := r.put("old"); err != nil {
		t.Fatal(err)
	}
	if kid := kidAtStore(t, c, r.bucket, "old"); kid != "next" {
		t.Errorf("written again under %s", kid)
	}
}
