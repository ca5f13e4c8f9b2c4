package awskms

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

func TestMain(m *testing.M) { servers.Main(m, s3veil.RemoveBuild) }

// TestServe runs s3veil over a real store with a key of the fake under the policy of docs/KMS.md without kms:Encrypt, and takes
// the key out of service: what the integration tests' double would not notice.
func TestServe(t *testing.T) {
	f, url := newFake(t)
	f.deny = "Encrypt"
	cluster := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), Configure: func(config map[string]any) {
		config["kms"] = map[string]any{"keys": []any{map[string]any{"id": "aws", "provider": "awskms", "key": mainKey, "endpoint": url,
			"credentials": map[string]any{"access_key": "AKIA", "secret_key": "s"}}}}
		config["buckets"] = []any{map[string]any{"name": "*", "key": "aws"}}
	}})
	c := cluster.Client(func(o *s3.Options) { o.RetryMaxAttempts = 1 })
	bucket, key := servers.NewBucket(t, c), "k"
	if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("hello")}); err != nil {
		t.Fatal(err)
	}
	restart := func() { // so that nothing comes from the cache
		t.Helper()
		cluster.Replicas[0].Stop()
		if err := cluster.Replicas[0].Start(); err != nil {
			t.Fatal(err)
		}
	}
	restart()
	if code := readCode(t, c, bucket, key); code != "" {
		t.Errorf("after a restart: %s", code)
	}
	f.leave(mainKey, "disabled")()
	if code := readCode(t, c, bucket, key); code != "" {
		t.Errorf("a cached key under a disabled one: %s", code)
	}
	f.leave(mainKey, "")()
	restart()
	f.leave(mainKey, "disabled")()
	if code := readCode(t, c, bucket, key); code != "KMS.DisabledException" {
		t.Errorf("disabled: %q", code)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.ContainsFunc(f.seen, func(s string) bool { return strings.HasPrefix(s, "Encrypt ") }) {
		t.Errorf("Encrypt was asked for: %q", f.seen)
	}
}

// readCode reads an object and returns the code of the refusal, if any.
func readCode(t *testing.T, c *s3.Client, bucket, key string) string {
	t.Helper()
	out, err := c.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	if got, err := io.ReadAll(out.Body); err != nil || string(got) != "hello" {
		t.Errorf("read %q, %v", got, err)
	}
	return ""
}
