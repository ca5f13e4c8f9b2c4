//go:build !nodevstore && (linux || darwin || freebsd)

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/cmd/s3veil/internal/devstore"
	"s3veil/crypto/kms/local"
)

// site is a folder with a configuration over an embedded store.
type site struct {
	t        *testing.T
	dir      string
	endpoint string
}

func newSite(t *testing.T) *site {
	t.Helper()
	store, err := devstore.Start(context.Background(), devstore.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0",
		AccessKey: "store", SecretKey: "store-secret", Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Stop(); err != nil {
			t.Error(err)
		}
	})
	s := &site{t: t, dir: t.TempDir(), endpoint: store.Endpoint}
	if err := local.New(filepath.Join(s.dir, "keys.json"), "main", time.Now()); err != nil {
		t.Fatal(err)
	}
	return s
}

// configure writes the configuration with some clients and more keys.
func (s *site) configure(more string, clients ...string) string {
	var list []string
	for _, c := range clients {
		list = append(list, fmt.Sprintf("{access_key: %s, secret_key_file: %s, buckets: ['*'], actions: [read, write, delete, admin]}", c, c))
	}
	temp := write(s.t, filepath.Join(s.dir, "next.yaml"), fmt.Sprintf(`
listen: 127.0.0.1:0
admin: 127.0.0.1:0
upstream: {endpoint: "%s", credentials: {access_key: store, secret_key: store-secret}}
clients: [%s]
kms: {keys: [{id: main, provider: local, file: keys.json}]}
%s
`, s.endpoint, strings.Join(list, ", "), more))
	file := filepath.Join(s.dir, "s3veil.yaml")
	if err := os.Rename(temp, file); err != nil {
		s.t.Fatal(err)
	}
	return file
}

func (s *site) secret(client, secret string) { write(s.t, filepath.Join(s.dir, client), secret) }

func TestReloadTakesNewClientsSecretsAndKeys(t *testing.T) {
	s := newSite(t)
	s.secret("one", "secret-one")
	s.secret("two", "secret-two")
	r := begin(t, "serve", "--config", s.configure("", "one"))
	one, two := r.client("one", "secret-one"), r.client("two", "secret-two")
	create(t, one, "box")
	if err := put(t.Context(), one, "box", "a", "first"); err != nil {
		t.Fatal(err)
	}
	if err := put(t.Context(), two, "box", "b", "second"); err == nil {
		t.Fatal("an unknown client can write")
	}

	s.configure("", "one", "two")
	await(t, "the new client is known", func() bool { return put(t.Context(), two, "box", "b", "second") == nil })

	s.secret("two", "changed-secret")
	two = r.client("two", "changed-secret")
	await(t, "the new secret is known", func() bool { return put(t.Context(), two, "box", "b", "second") == nil })

	if _, err := local.Rotate(filepath.Join(s.dir, "keys.json"), "main", time.Now()); err != nil {
		t.Fatal(err)
	}
	await(t, "the rotation is seen", func() bool { return strings.Count(r.out.String(), "configuration reloaded") == 3 })
	if got, err := get(t.Context(), one, "box", "a"); err != nil || got != "first" {
		t.Errorf("under the former key: %q, %v", got, err)
	}
	if err := put(t.Context(), one, "box", "c", "third"); err != nil {
		t.Error(err)
	}
}

func TestFaultyConfigurationIsReportedAndTheOldOneStays(t *testing.T) {
	s := newSite(t)
	s.secret("one", "secret-one")
	r := begin(t, "serve", "--config", s.configure("", "one"))
	one := r.client("one", "secret-one")
	create(t, one, "box")
	s.configure("regoins: [x]\ndek: {cache: maybe}", "one")
	await(t, "the mistakes are logged", func() bool { return strings.Contains(r.out.String(), "regoins: unknown key") })
	if !strings.Contains(r.out.String(), "dek.cache") {
		t.Errorf("not all mistakes are logged: %s", r.out)
	}
	if err := put(t.Context(), one, "box", "a", "still"); err != nil {
		t.Error(err)
	}
	if _, metrics := r.adminGet(t, "/metrics"); !strings.Contains(metrics, `s3veil_config_reloads_total{result="failed"} 1`) {
		t.Error("the failure is not counted")
	}
	s.configure("limits: {connections: 5}", "one")
	await(t, "the repaired file is taken", func() bool { return strings.Contains(r.out.String(), "changes that take a restart") })
	r.signals <- syscall.SIGHUP
	await(t, "a signal reloads", func() bool { return strings.Contains(r.out.String(), `"reason":"SIGHUP"`) })
}

func TestDrainLetsRunningRequestsFinish(t *testing.T) {
	s := newSite(t)
	s.secret("one", "secret-one")
	r := begin(t, "serve", "--config", s.configure("limits: {drain: 1m, drain_delay: 0s}", "one"))
	one := r.client("one", "secret-one")
	create(t, one, "box")
	await(t, "ready", func() bool { code, _ := r.adminGet(t, "/readyz"); return code == http.StatusOK })

	large := strings.Repeat("0123456789abcdef", 2<<20) // more than the buffers on the way hold
	if err := put(t.Context(), one, "box", "large", large); err != nil {
		t.Fatal(err)
	}
	out, err := one.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("box"), Key: aws.String("large")})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	head := make([]byte, 16)
	if _, err := io.ReadFull(out.Body, head); err != nil {
		t.Fatal(err)
	}
	r.signals <- syscall.SIGTERM
	await(t, "not ready", func() bool { code, _ := r.adminGet(t, "/readyz"); return code == http.StatusServiceUnavailable })
	await(t, "no new request is served", func() bool { return put(t.Context(), one, "box", "late", "late") != nil })
	rest, err := io.ReadAll(out.Body)
	if err != nil || string(head)+string(rest) != large {
		t.Errorf("the running request: %d bytes, %v", len(head)+len(rest), err)
	}
	out.Body.Close()
	if code := <-r.done; code != exitOK {
		t.Errorf("exit code %d: %s", code, r.out)
	}
	r.done <- exitOK
}

func TestNewRequestsAreServedWhileBalancersNotice(t *testing.T) {
	s := newSite(t)
	s.secret("one", "secret-one")
	r := begin(t, "serve", "--config", s.configure("limits: {drain: 1h, drain_delay: 1h}", "one"))
	one := r.client("one", "secret-one")
	create(t, one, "box")
	await(t, "ready", func() bool { code, _ := r.adminGet(t, "/readyz"); return code == http.StatusOK })
	r.signals <- syscall.SIGTERM
	await(t, "not ready", func() bool { code, _ := r.adminGet(t, "/readyz"); return code == http.StatusServiceUnavailable })
	if err := put(t.Context(), one, "box", "late", "late"); err != nil {
		t.Error(err)
	}
	r.signals <- syscall.SIGTERM
	if code := <-r.done; code != exitOK {
		t.Errorf("exit code %d: %s", code, r.out)
	}
	r.done <- exitOK
}

func TestInterruptDoesNotWaitForBalancers(t *testing.T) {
	s := newSite(t)
	s.secret("one", "secret-one")
	r := begin(t, "serve", "--config", s.configure("limits: {drain: 1h, drain_delay: 1h}", "one"))
	if code := r.end(t); code != exitOK { // which interrupts
		t.Errorf("exit code %d: %s", code, r.out)
	}
}

func TestSecondSignalCutsRunningRequests(t *testing.T) {
	s := newSite(t)
	s.secret("one", "secret-one")
	r := begin(t, "serve", "--config", s.configure("limits: {drain: 1h}", "one"))
	conn, err := net.Dial("tcp", r.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\n")); err != nil { // a request that never ends
		t.Fatal(err)
	}
	r.signals <- syscall.SIGTERM
	r.signals <- syscall.SIGTERM
	if code := <-r.done; code != exitOK {
		t.Errorf("exit code %d: %s", code, r.out)
	}
	r.done <- exitOK
}
