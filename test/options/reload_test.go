package options

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/crypto/kms/local"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

// replace puts a file in the place of another, so that nobody reads half of it.
func replace(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

// load writes, reads and lists until it is ended; a single failure fails the test.
type load struct {
	rounds atomic.Int64
	over   atomic.Bool
	wait   sync.WaitGroup
}

// begin starts workers. Each makes its client anew for every round where fresh says so, which opens new connections.
func begin(t *testing.T, bucket string, client func() *s3.Client, fresh bool) *load {
	t.Helper()
	l := &load{}
	for i := range 3 {
		l.wait.Go(func() {
			c, body := client(), suite.Data(70_000, uint64(i))
			for n := 0; !l.over.Load(); n++ {
				if fresh {
					c = client()
				}
				if err := round(c, bucket, fmt.Sprint("load/", i, "/", n%8), body); err != nil {
					t.Errorf("round %d: %v", n, err)
					return
				}
				l.rounds.Add(1)
			}
		})
	}
	return l
}

func round(c *s3.Client, bucket, key string, body []byte) error {
	ctx := context.Background()
	if _, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)}); err != nil {
		return err
	}
	got, err := get(c, bucket, key)
	if err == nil && !bytes.Equal(got, body) {
		err = errors.New("other bytes than were written")
	}
	if err != nil {
		return err
	}
	_, err = c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: aws.String("load/")})
	return err
}

// more waits for n more rounds.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	from := l.rounds.Load()
	eventually(t, "the load goes on", func() bool { return l.rounds.Load() >= from+n || t.Failed() })
}

func (l *load) end() {
	l.over.Store(true)
	l.wait.Wait()
}

// once is a client's option: what fails is not tried again.
func once(o *s3.Options) { o.RetryMaxAttempts = 1 }

// Clients come, change and go by reload while another one works, which never notices.
func TestClientsAreReloadedUnderLoad(t *testing.T) {
	bucket := unique("g")
	cl := cluster(t, nil)
	create(t, cl.Client(), bucket)
	l := begin(t, bucket, func() *s3.Client { return cl.Client(once) }, false)
	defer l.end()
	put(t, cl.Client(), bucket, "k", []byte("body"))
	guest := func(secret string) *s3.Client { return servers.NewClient(cl.Endpoint(), "guest", secret, once) }
	admit := func(secret string, actions ...string) func(map[string]any) {
		return func(config map[string]any) {
			config["clients"] = append(config["clients"].([]any)[:1], map[string]any{"access_key": "guest", "secret_key": secret,
				"buckets": []string{bucket}, "actions": actions})
		}
	}
	tries := func(secret string) string { _, err := get(guest(secret), bucket, "k"); return code(err) }
	const first, second = "first-secret-0123456789-abcdefghij", "second-secret-0123456789-abcdefghi"

	if got := tries(first); got != "InvalidAccessKeyId" {
		t.Errorf("a client that is not there yet: %q", got)
	}
	cl.Replicas[0].MustReload(t, admit(first, "read"))
	if got := tries(first); got != "" {
		t.Errorf("a new client: %q", got)
	}
	cl.Replicas[0].MustReload(t, admit(second, "read"))
	if a, b := tries(first), tries(second); a != "SignatureDoesNotMatch" || b != "" {
		t.Errorf("another secret: the old one %q, the new one %q", a, b)
	}
	cl.Replicas[0].MustReload(t, admit(second, "write"))
	if got := tries(second); got != "AccessDenied" {
		t.Errorf("other actions: %q", got)
	}
	l.more(t, 10)
	cl.Replicas[0].MustReload(t, func(config map[string]any) { config["clients"] = config["clients"].([]any)[:1] })
	if got := tries(second); got != "InvalidAccessKeyId" {
		t.Errorf("a client that is gone: %q", got)
	}
	l.more(t, 10)
}

// A multipart upload begun under one key goes on after another one has taken over: its object is still one of the first key,
// those made afterwards are of the second, and both are read.
func TestOpenUploadsOutliveARotationByReload(t *testing.T) {
	for _, form := range []string{"auto", "token", "state"} {
		t.Run(form, func(t *testing.T) {
			next := filepath.Join(t.TempDir(), "next.json")
			if err := local.New(next, "next", time.Now()); err != nil {
				t.Fatal(err)
			}
			bucket, ctx, parts := unique("o"), context.Background(), twoParts()
			cl := cluster(t, rules(map[string]any{"name": bucket, "upload_id": form}))
			c := cl.Client()
			create(t, c, bucket)
			open := upload(t, c, bucket, "open", parts[0])
			cl.Replicas[0].MustReload(t, func(config map[string]any) {
				group := config["kms"].(map[string]any)
				group["keys"] = append(group["keys"].([]any), map[string]any{"id": "next", "provider": "local", "file": next})
				rule := config["buckets"].([]any)[0].(map[string]any)
				rule["key"], rule["keys"] = "next", []string{"next", "main"}
			})
			list, err := c.ListParts(ctx, &s3.ListPartsInput{Bucket: &bucket, Key: open.Key, UploadId: open.UploadId})
			if err != nil || len(list.Parts) != 1 || aws.ToInt64(list.Parts[0].Size) != int64(len(parts[0])) {
				t.Fatalf("parts after the rotation: %+v, %v", list, err)
			}
			n := aws.Int32(2)
			p, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: &bucket, Key: open.Key, UploadId: open.UploadId, PartNumber: n, Body: bytes.NewReader(parts[1])})
			if err != nil {
				t.Fatal(err)
			}
			open.MultipartUpload.Parts = append(open.MultipartUpload.Parts, completed(n, p.ETag))
			complete(t, c, open)
			put(t, c, bucket, "single", []byte("after"))
			complete(t, c, upload(t, c, bucket, "multi", parts...))
			for key, want := range map[string]string{"open": "main", "single": "next", "multi": "next"} {
				if kid := kidOf(t, cl, bucket, key); kid != want {
					t.Errorf("%s is under %s", key, kid)
				}
			}
			for _, key := range []string{"open", "multi"} {
				holds(t, c, bucket, key, bytes.Join(parts, nil))
			}
			holds(t, c, bucket, "single", []byte("after"))
		})
	}
}
