package azurekv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

func TestMain(m *testing.M) { servers.Main(m, s3veil.RemoveBuild) }

// managedIdentity serves tokens as App Service and Container Apps do, and returns the variables that say so.
func managedIdentity(t *testing.T) []string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-IDENTITY-HEADER") != "header" || !strings.HasSuffix(r.URL.Query().Get("resource"), ".azure.net") {
			w.WriteHeader(400)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "managed", "expires_on": "4102444800", "token_type": "Bearer", "resource": r.URL.Query().Get("resource")})
	}))
	t.Cleanup(srv.Close)
	return []string{"IDENTITY_ENDPOINT=" + srv.URL, "IDENTITY_HEADER=header"}
}

// TestServe runs s3veil over a real store with keys of the fake, asked for by a managed identity: the file of an RSA key is made
// by the program, objects stay readable through a rotation, and the state of a key reaches the client.
func TestServe(t *testing.T) {
	f, endpoint := newFake(t)
	f.token = "managed"
	f.create("main")
	f.create("rsa")
	env := managedIdentity(t)
	keys := []any{
		map[string]any{"id": "vault", "provider": "azurekv", "key": vault + "/keys/rsa", "endpoint": endpoint, "wrapped_key_file": wrapped(t, env, vault+"/keys/rsa", endpoint)},
		map[string]any{"id": "hsm", "provider": "azurekv", "key": hsm + "/keys/main", "endpoint": endpoint},
	}
	cluster := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), Env: env, Configure: func(config map[string]any) {
		config["kms"] = map[string]any{"keys": keys}
		config["buckets"] = []any{map[string]any{"name": "*hsm", "key": "hsm"}, map[string]any{"name": "*", "key": "vault"}}
	}})
	c := cluster.Client(func(o *s3.Options) { o.RetryMaxAttempts = 1 })
	restart := func() { // so that nothing comes from the cache
		t.Helper()
		cluster.Replicas[0].Stop()
		if err := cluster.Replicas[0].Start(); err != nil {
			t.Fatal(err)
		}
	}
	buckets := []string{servers.NewBucket(t, c), servers.NewBucket(t, c) + "-hsm"}
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &buckets[1]}); err != nil {
		t.Fatal(err)
	}
	for _, round := range []string{"old", "new"} {
		for _, b := range buckets {
			if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &b, Key: &round, Body: strings.NewReader(round)}); err != nil {
				t.Fatalf("%s: %v", b, err)
			}
		}
		f.create("main")
		f.create("rsa")
		restart()
	}
	for i, b := range buckets {
		for _, key := range []string{"old", "new"} {
			if err := read(t.Context(), c, b, key); err != nil {
				t.Errorf("%s of bucket %d: %v", key, i, err)
			}
		}
	}
	restart()
	f.lock(func() { f.disabled["rsa"], f.deleted["main"] = true, true })
	for i, want := range []string{"KMS.DisabledException", "KMS.NotFoundException"} {
		var api smithy.APIError
		if err := read(t.Context(), c, buckets[i], "old"); !errors.As(err, &api) || api.ErrorCode() != want {
			t.Errorf("bucket %d: %v, want %s", i, err, want)
		}
	}
}

// wrapped makes the file of an RSA key by the program.
func wrapped(t *testing.T, env []string, key, endpoint string) (file string) {
	t.Helper()
	program, err := s3veil.Build()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file = filepath.Join(dir, "wrapped.json")
	config := filepath.Join(dir, "s3veil.yaml")
	text := fmt.Sprintf("kms: {keys: [{id: vault, provider: azurekv, key: %q, endpoint: %q, wrapped_key_file: wrapped.json}, {id: other, provider: local, file: x}]}\n", key, endpoint)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		id string
		ok bool
	}{{"other", false}, {"none", false}, {"vault", true}, {"vault", false}} { // nothing is replaced
		cmd := exec.Command(program, "keys", "wrap", "--config", config, "--id", c.id)
		cmd.Env = append(servers.CleanEnv(), env...)
		if out, err := cmd.CombinedOutput(); (err == nil) != c.ok {
			t.Fatalf("keys wrap --id %s: %v: %s", c.id, err, out)
		}
	}
	return file
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
