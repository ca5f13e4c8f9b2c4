package gcpkms_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

func TestMain(m *testing.M) { servers.Main(m, s3veil.RemoveBuild) }

// distant serves the fake as https://example.com, which can be reached through a proxy alone: the name of httptest's
// certificates, and of nothing here.
func distant(t *testing.T, f *fake) (proxy, ca string) {
	t.Helper()
	api := httptest.NewTLSServer(f)
	t.Cleanup(api.Close)
	p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != "example.com:443" {
			http.Error(w, r.Method+" "+r.Host, http.StatusForbidden)
			return
		}
		up, err := net.Dial("tcp", api.Listener.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		down, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(down, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(up, down); up.Close() }()
		go func() { _, _ = io.Copy(down, up); down.Close() }()
	}))
	t.Cleanup(p.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return p.URL, ca
}

// TestServe runs s3veil over a real store with a key of the fake, used by application default credentials through the proxy
// of the environment: objects stay readable through a rotation, and the state of a key version reaches the client.
func TestServe(t *testing.T) {
	f := newFake(t, "s3veil")
	proxy, ca := distant(t, f)
	cluster := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity),
		Env: []string{"GOOGLE_APPLICATION_CREDENTIALS=" + f.serviceAccount(t, nil), "HTTPS_PROXY=" + proxy},
		Configure: func(config map[string]any) {
			config["kms"] = map[string]any{"keys": []any{map[string]any{"id": "google", "provider": "gcpkms", "key": ring + "s3veil",
				"endpoint": "https://example.com", "ca_file": ca}}}
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
