// Package post sends browser forms through s3veil, in this process, to a real store.
package post

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"s3veil/crypto/kms/kmstest"
	"s3veil/crypto/stream"
	"s3veil/keycache"
	"s3veil/proxy"
	"s3veil/proxy/policy"
	"s3veil/proxy/s3op"
	"s3veil/proxy/upstream"
	"s3veil/sigv4"
	"s3veil/test/servers"
)

func TestMain(m *testing.M) { servers.Main(m) }

const secretKey = "secret-of-app-0123456789"

// env is s3veil in front of the shared store, with a bucket of the test's own.
type env struct {
	url    string
	host   string
	bucket string
	veil   *s3.Client
	store  *s3.Client
	dir    string // what the store keeps
}

type static sigv4.Credential

func (s static) Retrieve(context.Context) (sigv4.Credential, error) { return sigv4.Credential(s), nil }
func (static) Expired()                                             {}

func client(access string, actions []s3op.Class, prefixes ...string) proxy.Client {
	rule := policy.Rule{Buckets: []string{"*"}, Prefixes: prefixes, Actions: actions}
	c := proxy.Client{Anonymous: access == "", Policy: policy.Client{AccessKey: access, Rules: []policy.Rule{rule}}}
	if access != "" {
		c.Credential = sigv4.Credential{AccessKey: access, Secret: secretKey}
	}
	return c
}

// start runs a proxy for one test.
func start(t *testing.T, more ...proxy.Client) *env {
	t.Helper()
	return startWith(t, proxy.Limits{}, more...)
}

func startWith(t *testing.T, limits proxy.Limits, more ...proxy.Client) *env {
	t.Helper()
	st := servers.MustShared(t, servers.Versity)
	all := []s3op.Class{s3op.Read, s3op.Write, s3op.Delete, s3op.Admin}
	settings := proxy.Settings{
		Domains: []string{"s3.test"},
		Upstreams: []proxy.Upstream{{Options: upstream.Options{Name: "default", Endpoint: st.Endpoint, Region: servers.Region, PathStyle: true,
			Credentials: static{AccessKey: st.AccessKey, Secret: sigv4.Secret(st.SecretKey)}}}},
		Clients:  append([]proxy.Client{client("app", all), client("reader", []s3op.Class{s3op.Read})}, more...),
		Buckets:  []proxy.Bucket{{Name: "*", Key: "main", Keys: []string{"main"}}},
		KEKs:     []keycache.KEK{{KID: "main", Provider: kmstest.NewMemory("main"), Name: "main"}},
		Families: map[string][]string{"main": {"main"}},
		Write:    stream.AES256GCM, Read: []stream.Suite{stream.AES256GCM},
	}
	srv, err := proxy.New(proxy.Options{Limits: limits, Log: slog.New(slog.NewTextHandler(testLog{t}, nil))}, settings)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	e := &env{host: ln.Addr().String(), url: "http://" + ln.Addr().String(), store: st.Client(), dir: st.Dir}
	e.veil = servers.NewClient(e.url, "app", secretKey)
	e.bucket = servers.NewBucket(t, e.veil)
	return e
}

// testLog shows the log of a test that fails.
type testLog struct{ t *testing.T }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Logf("%s", bytes.TrimSpace(b))
	return len(b), nil
}

// absent fails if the store shows the object.
func (e *env) absent(t *testing.T, what, key string) {
	t.Helper()
	if key == "" {
		return
	}
	_, err := e.store.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &e.bucket, Key: &key})
	var status *smithyhttp.ResponseError
	if err == nil {
		t.Errorf("%s: the store shows %s", what, key)
	} else if !errors.As(err, &status) || status.HTTPStatusCode() != http.StatusNotFound {
		t.Errorf("%s: %v", what, err)
	}
}

// same fails unless the object reads as want.
func (e *env) same(t *testing.T, key string, want []byte) *s3.GetObjectOutput {
	t.Helper()
	o, err := e.veil.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &e.bucket, Key: &key, ChecksumMode: "ENABLED"})
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	defer o.Body.Close()
	got, err := io.ReadAll(o.Body)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%s: %d bytes, want %d: %v", key, len(got), len(want), err)
	}
	raw, err := e.store.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &e.bucket, Key: &key})
	if err != nil || aws.ToInt64(raw.ContentLength) != aws.ToInt64(o.ContentLength)+32*((int64(len(want))+65535)/65536) {
		t.Errorf("%s: stored %d bytes of %d", key, aws.ToInt64(raw.ContentLength), len(want))
	}
	return o
}
