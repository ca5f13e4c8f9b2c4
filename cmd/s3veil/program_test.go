//go:build !nodevstore && (linux || darwin || freebsd)

package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// running is a program that runs in this process.
type running struct {
	endpoints
	signals chan os.Signal
	done    chan int
	out     *lockedBuffer // standard output and standard error
}

// lockedBuffer is what a program writes, readable while it runs.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// begin starts a command line and returns once it listens.
func begin(t *testing.T, args ...string) *running {
	t.Helper()
	r := &running{signals: make(chan os.Signal, 4), done: make(chan int, 1), out: &lockedBuffer{}}
	started := make(chan endpoints, 1)
	p := &program{stdin: strings.NewReader(""), stdout: r.out, stderr: r.out, signals: r.signals,
		started: func(at endpoints) { started <- at }, poll: 5 * time.Millisecond}
	go func() { r.done <- p.run(args) }()
	select {
	case r.endpoints = <-started:
	case code := <-r.done:
		t.Fatalf("exit code %d: %s", code, r.out)
	}
	t.Cleanup(func() { r.end(t) })
	return r
}

// end stops the program as a deployment would and returns its exit code; it may be called twice.
func (r *running) end(t *testing.T) int {
	t.Helper()
	r.signals <- os.Interrupt
	code := <-r.done
	r.done <- code
	return code
}

// client is an S3 client of a running program.
func (r *running) client(accessKey, secretKey string) *s3.Client {
	return s3.New(s3.Options{
		Region:           "us-east-1",
		BaseEndpoint:     aws.String("http://" + r.Listen),
		UsePathStyle:     true,
		Credentials:      credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
		HTTPClient:       &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
		RetryMaxAttempts: 1,
	})
}

// await waits until f is content; the test's own time limit is the only one.
func await(t *testing.T, what string, f func() bool) {
	t.Helper()
	for ctx := t.Context(); !f(); {
		select {
		case <-ctx.Done():
			t.Fatal("never: " + what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func create(t *testing.T, c *s3.Client, bucket string) {
	t.Helper()
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
}

func put(ctx context.Context, c *s3.Client, bucket, key, body string) error {
	_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(body)})
	return err
}

func get(ctx context.Context, c *s3.Client, bucket, key string) (string, error) {
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return "", err
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	return string(body), err
}

// adminGet asks the admin endpoint.
func (r *running) adminGet(t *testing.T, path string) (int, string) {
	t.Helper()
	resp, err := http.Get("http://" + r.Admin + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
