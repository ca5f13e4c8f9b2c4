//go:build integration

package kms

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// gate stands in front of a Vault with TLS and counts its calls by path.
type gate struct {
	*httptest.Server
	ca    string // file
	mu    sync.Mutex
	calls map[string]int
}

func newGate(t *testing.T, v *servers.Vault) *gate {
	t.Helper()
	target, err := url.Parse(v.Address)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{calls: map[string]int{}, ca: filepath.Join(t.TempDir(), "ca.pem")}
	forward := httputil.NewSingleHostReverseProxy(target)
	g.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.calls[strings.TrimPrefix(r.URL.Path, "/v1/")]++
		g.mu.Unlock()
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(g.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.Certificate().Raw})
	if err := os.WriteFile(g.ca, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	return g
}

// count returns the calls so far, by path.
func (g *gate) count() map[string]int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.calls)
}

// underVault is a configuration whose only key lies in a Vault behind a gate, used by AppRole with the policy of the manual.
func underVault(t *testing.T, v *servers.Vault, g *gate, more func(map[string]any)) func(map[string]any) {
	t.Helper()
	vaultKey(t, v, "s3veil")
	login := appRole(t, v, map[string]string{"s3veil": vaultPolicy(t)}, nil)
	secret := filepath.Join(t.TempDir(), "secret-id")
	if err := os.WriteFile(secret, []byte(login.SecretID), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(config map[string]any) {
		config["kms"] = map[string]any{"keys": []any{map[string]any{"id": "vault", "provider": "transit", "address": g.URL, "mount": "transit",
			"key": "s3veil", "ca_file": g.ca, "approle": map[string]any{"role_id": login.RoleID, "secret_id_file": secret}}}}
		config["buckets"] = []any{map[string]any{"name": "*", "key": "vault"}}
		if more != nil {
			more(config)
		}
	}
}

func restart(t *testing.T, c *s3veil.Cluster) {
	t.Helper()
	for _, r := range c.Replicas {
		r.Stop()
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
	}
}

// version is the version of Vault's key in the envelope of an object.
func version(t *testing.T, store *servers.Store, bucket, key string) string {
	t.Helper()
	out, err := store.Client().HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(out.Metadata["s3veil"], ".")
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if _, rest, ok := bytes.Cut(raw, []byte("vault:")); ok && err == nil {
		v, _, _ := bytes.Cut(rest, []byte(":"))
		return string(v)
	}
	t.Fatalf("no blob of Vault in %v", out.Metadata)
	return ""
}

func read(c *s3.Client, bucket, key string) error {
	out, err := c.GetObject(context.Background(), &s3.GetObjectInput{Bucket: &bucket, Key: &key}, once)
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

func write(c *s3.Client, bucket, key string) error {
	_, err := c.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(key)}, once)
	return err
}

func once(o *s3.Options) { o.RetryMaxAttempts = 1 }

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return fmt.Sprint(err)
}

// TestVaultEndToEnd: objects under a key of Vault through rotations, a retired version, and a server that is sealed.
func TestVaultEndToEnd(t *testing.T) {
	v := servers.MustVault(t)
	store := servers.MustShared(t, servers.Versity)
	cluster := s3veil.MustStart(t, s3veil.Options{Store: store, Configure: underVault(t, v, newGate(t, v), nil)})
	c := cluster.Client()
	bucket, fresh := servers.NewBucket(t, c), servers.NewBucket(t, c)
	put(t, c, bucket, "old", "")
	put(t, c, bucket, "moved", "")
	put(t, c, bucket, "named", "vault")
	v.Must(t, "POST", "transit/keys/s3veil/rotate", nil, nil)
	restart(t, cluster) // so that nothing comes from the cache
	for _, key := range []string{"old", "moved", "named"} {
		get(t, c, bucket, key)
	}
	put(t, c, bucket, "new", "")
	if _, err := c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: &bucket, Key: aws.String("moved"), CopySource: aws.String(bucket + "/moved"),
		MetadataDirective: types.MetadataDirectiveReplace, Metadata: map[string]string{"moved": "1"}}); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"old": "v1", "moved": "v2", "new": "v2"} {
		if got := version(t, store, bucket, key); got != want {
			t.Errorf("%s is under %s, want %s", key, got, want)
		}
	}
	v.Must(t, "POST", "transit/keys/s3veil/config", map[string]any{"min_decryption_version": 2}, nil)
	restart(t, cluster)
	get(t, c, bucket, "moved")
	get(t, c, bucket, "new")
	if err := read(c, bucket, "old"); code(err) != "KMS.DisabledException" {
		t.Errorf("under a retired version: %v", err)
	}
	v.Must(t, "POST", "transit/keys/s3veil/config", map[string]any{"min_decryption_version": 1}, nil)
	until(t, "the version is back", "KMS.DisabledException", func() error { return read(c, bucket, "old") })

	v.Seal(t)
	for _, key := range []string{"old", "new"} {
		get(t, c, bucket, key) // from the cache
	}
	if err := write(c, fresh, "first"); code(err) != "ServiceUnavailable" {
		t.Errorf("sealed: %v", err)
	}
	v.Unseal(t)
	until(t, "unsealed", "ServiceUnavailable", func() error { return write(c, fresh, "first") })
	get(t, c, fresh, "first")
}

// until waits until a call succeeds; every failure before must have one code.
func until(t *testing.T, what, failure string, call func() error) {
	t.Helper()
	deadline := time.Now().Add(40 * time.Second)
	for {
		err := call()
		if err == nil {
			return
		}
		if code(err) != failure || time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// discard is a store that takes everything and keeps nothing.
func discard(t *testing.T) *servers.Store {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bucket := strings.Count(strings.Trim(r.URL.Path, "/"), "/") == 0
		switch {
		case r.Method == http.MethodPut:
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("ETag", `"0123456789abcdef0123456789abcdef"`)
		case !bucket:
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "<Error><Code>NoSuchKey</Code></Error>")
		}
	}))
	t.Cleanup(s.Close)
	return &servers.Store{Kind: "discard", Endpoint: s.URL, AccessKey: "a", SecretKey: "b"}
}

// TestVaultIsAskedLessThanOncePerTenThousandObjects counts every request that reaches Vault while small objects are written as
// fast as they go. S3VEIL_TEST_OBJECTS changes their number.
func TestVaultIsAskedLessThanOncePerTenThousandObjects(t *testing.T) {
	objects := 20_000
	if text := os.Getenv("S3VEIL_TEST_OBJECTS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		objects = n
	}
	v := servers.MustVault(t)
	g := newGate(t, v)
	cluster := s3veil.MustStart(t, s3veil.Options{Store: discard(t), Configure: underVault(t, v, g, func(config map[string]any) {
		config["upstream"].(map[string]any)["payload"] = "hash"
		config["audit"] = map[string]any{"to": "off"}
	})})
	before := g.count() // the login and the canary of readiness
	start := time.Now()
	writeMany(t, cluster, objects)
	spent := time.Since(start)
	calls := 0
	for path, n := range g.count() {
		if n -= before[path]; n > 0 {
			t.Logf("%s: %d", path, n)
			calls += n
		}
	}
	t.Logf("at the start: %v", before)
	t.Logf("%d objects in %.1f s, %d calls to Vault", objects, spent.Seconds(), calls)
	if calls == 0 || calls*10_000 >= objects {
		t.Errorf("%d calls for %d objects", calls, objects)
	}
}

// writeMany puts small objects over 16 connections.
func writeMany(t *testing.T, cluster *s3veil.Cluster, objects int) {
	t.Helper()
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	client := cluster.HTTPClient()
	cred := aws.Credentials{AccessKeyID: cluster.AccessKey, SecretAccessKey: cluster.SecretKey}
	body := bytes.Repeat([]byte("small"), 200)
	var next, failed atomic.Int64
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(objects) && failed.Load() == 0; i = next.Add(1) {
				req, err := http.NewRequest(http.MethodPut, fmt.Sprintf("%s/bucket/object-%d", cluster.Endpoint(), i), bytes.NewReader(body))
				if err == nil {
					req.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
					err = signer.SignHTTP(context.Background(), cred, req, "UNSIGNED-PAYLOAD", "s3", servers.Region, time.Now())
				}
				if err == nil {
					err = send(client, req)
				}
				if err != nil && failed.Add(1) == 1 {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	client.CloseIdleConnections()
	if failed.Load() > 0 {
		t.FailNow()
	}
}

func send(client *http.Client, req *http.Request) error {
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, text)
	}
	return err
}
