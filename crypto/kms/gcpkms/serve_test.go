package gcpkms_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

func TestMain(m *testing.M) { servers.Main(m, s3veil.RemoveBuild) }

// TestServe runs s3veil over a real store with a key of the fake, used by application default credentials: objects stay
// readable through a rotation, and the state of a key version reaches the client.
func TestServe(t *testing.T) {
	f := newFake(t, "s3veil")
	cluster := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity),
		Env: []string{"GOOGLE_APPLICATION_CREDENTIALS=" + f.serviceAccount(t, nil)},
		Configure: func(config map[string]any) {
			config["kms"] = map[string]any{"keys": []any{map[string]any{"id": "google", "provider": "gcpkms", "key": ring + "s3veil", "endpoint": f.URL}}}
			config["buckets"] = []any{map[string]any{"name": "*", "key": "google"}}
		}})
	restart := func() {
		t.Helper()
		cluster.Replicas[0].Stop()
		if err := cluster.Replicas[0].Start(); err != nil {
			t.Fatal(err)
		}
	}
	c := cluster.Client(func(o *s3.Options) { o.RetryMaxAttempts = 1 })
	bucket := servers.NewBucket(t, c)
	write := func(key string) {
		t.Helper()
		if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(key)}); err != nil {
			t.Fatal(err)
		}
	}
	write("old")
	f.rotate("s3veil")
	restart() // so that nothing comes from the cache
	write("new")
	for _, key := range []string{"old", "new"} {
		if err := read(t.Context(), c, bucket, key); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	f.set(func() { f.keys[ring+"s3veil"].versions[0].state = "DISABLED" })
	restart()
	var api smithy.APIError
	if err := read(t.Context(), c, bucket, "old"); !errors.As(err, &api) || api.ErrorCode() != "KMS.DisabledException" {
		t.Errorf("under a disabled version: %v", err)
	}
	if err := read(t.Context(), c, bucket, "new"); err != nil {
		t.Errorf("under the primary version: %v", err)
	}
	f.set(func() { f.keys[ring+"s3veil"].versions[0].state = "ENABLED" })
	restart()
	if err := read(t.Context(), c, bucket, "old"); err != nil {
		t.Errorf("enabled again: %v", err)
	}
}

func read(ctx context.Context, c *s3.Client, bucket, key string) error {
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return err
	}
	defer out.Body.Close()
	got, err := io.ReadAll(out.Body)
	if err == nil && string(got) != key {
		err = fmt.Errorf("read %q", got)
	}
	return err
}
