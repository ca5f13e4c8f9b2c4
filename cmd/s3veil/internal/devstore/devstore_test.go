//go:build !nodevstore && (linux || darwin || freebsd)

package devstore_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"s3veil/cmd/s3veil/internal/devstore"
)

// call sends one signed request and returns its status and body.
func call(t *testing.T, method, url string, body []byte) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Content-Sha256", hash)
	cred := aws.Credentials{AccessKeyID: "store", SecretAccessKey: "store-secret"}
	if err := v4.NewSigner().SignHTTP(t.Context(), cred, req, hash, "s3", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, out
}

func start(t *testing.T, dir string) *devstore.Store {
	t.Helper()
	s, err := devstore.Start(context.Background(), devstore.Options{Dir: dir, Listen: "127.0.0.1:0",
		AccessKey: "store", SecretKey: "store-secret", Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestObjectsArePlainFilesAndOutliveTheStore(t *testing.T) {
	dir := t.TempDir()
	before, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, dir)
	if code, body := call(t, "PUT", s.Endpoint+"/demo", nil); code != 200 {
		t.Fatalf("create bucket: %d %s", code, body)
	}
	if code, body := call(t, "PUT", s.Endpoint+"/demo/a/b.txt", []byte("hello")); code != 200 {
		t.Fatalf("put: %d %s", code, body)
	}
	stored, err := os.ReadFile(devstore.ObjectFile(dir, "demo", "a/b.txt"))
	if err != nil || string(stored) != "hello" {
		t.Fatalf("stored file: %q, %v", stored, err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.Getwd(); after != before {
		t.Fatalf("working directory is %s after Stop, was %s", after, before)
	}
	s = start(t, dir)
	defer s.Stop()
	if code, body := call(t, "GET", s.Endpoint+"/demo/a/b.txt", nil); code != 200 || string(body) != "hello" {
		t.Fatalf("get after restart: %d %q", code, body)
	}
}

func TestSidecarFilesAreKeptOnceUsed(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/metadata", 0o700); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir)
	defer s.Stop()
	if s.Metadata != "sidecar files" {
		t.Fatalf("metadata in %s", s.Metadata)
	}
	if code, body := call(t, "PUT", s.Endpoint+"/demo", nil); code != 200 {
		t.Fatalf("create bucket: %d %s", code, body)
	}
}

func TestAddressInUseIsReported(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // and not another store: a process has room for one
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, err = devstore.Start(context.Background(), devstore.Options{Dir: t.TempDir(), Listen: ln.Addr().String(),
		AccessKey: "store", SecretKey: "store-secret", Region: "us-east-1"})
	if err == nil {
		t.Fatal("started on an address in use")
	}
}
