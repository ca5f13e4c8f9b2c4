// Package options runs s3veil in front of versitygw with the configurations that the other suites leave at their defaults.
package options

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"s3veil/crypto/envelope"
	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

func TestMain(m *testing.M) { servers.Main(m, s3veil.RemoveBuild) }

// rules puts bucket rules in front of the one that fits every bucket.
func rules(list ...map[string]any) func(map[string]any) {
	return func(config map[string]any) {
		var all []any
		for _, r := range list {
			r["key"] = "main"
			all = append(all, r)
		}
		config["buckets"] = append(all, map[string]any{"name": "*", "key": "main"})
	}
}

// cluster starts s3veil in front of the shared store.
func cluster(t *testing.T, configure func(map[string]any)) *s3veil.Cluster {
	t.Helper()
	return s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), Configure: configure})
}

// unique is a name that nobody has used in the shared store.
func unique(prefix string) string {
	var b [5]byte
	rand.Read(b[:])
	return prefix + hex.EncodeToString(b[:])
}

func create(t *testing.T, c *s3.Client, bucket string) string {
	t.Helper()
	if _, err := c.CreateBucket(context.Background(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatalf("create %s: %v", bucket, err)
	}
	return bucket
}

func put(t *testing.T, c *s3.Client, bucket, key string, body []byte) *s3.PutObjectOutput {
	t.Helper()
	out, err := c.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body),
		Metadata: map[string]string{"color": "blue"}})
	if err != nil {
		t.Fatalf("put %s/%s: %v", bucket, key, err)
	}
	return out
}

func get(c *s3.Client, bucket, key string) ([]byte, error) {
	out, err := c.GetObject(context.Background(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	return io.ReadAll(out.Body)
}

// holds fails unless the object is body.
func holds(t *testing.T, c *s3.Client, bucket, key string, body []byte) {
	t.Helper()
	if got, err := get(c, bucket, key); err != nil || !bytes.Equal(got, body) {
		t.Errorf("get %s/%s: %d bytes of %d, %v", bucket, key, len(got), len(body), err)
	}
}

// copyTo copies an object on the server's side.
func copyTo(t *testing.T, c *s3.Client, source, bucket, key string) {
	t.Helper()
	in := &s3.CopyObjectInput{Bucket: &bucket, Key: &key, CopySource: &source}
	if _, err := c.CopyObject(context.Background(), in); err != nil {
		t.Fatalf("copy %s to %s/%s: %v", source, bucket, key, err)
	}
}

// upload is a multipart upload of parts that is not complete yet.
func upload(t *testing.T, c *s3.Client, bucket, key string, parts ...[]byte) *s3.CompleteMultipartUploadInput {
	t.Helper()
	ctx := context.Background()
	u, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	done := &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: u.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{}}
	for i, body := range parts {
		n := aws.Int32(int32(i + 1))
		p, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: &bucket, Key: &key, UploadId: u.UploadId, PartNumber: n,
			Body: bytes.NewReader(body)})
		if err != nil {
			t.Fatal(err)
		}
		done.MultipartUpload.Parts = append(done.MultipartUpload.Parts, completed(n, p.ETag))
	}
	return done
}

func completed(number *int32, etag *string) types.CompletedPart {
	return types.CompletedPart{ETag: etag, PartNumber: number}
}

// kidOf is the key that an object's envelope names.
func kidOf(t *testing.T, cl *s3veil.Cluster, bucket, key string) string {
	t.Helper()
	out, err := cl.Store.Client().HeadObject(context.Background(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := envelope.ParseText(out.Metadata["s3veil"])
	if err != nil {
		t.Fatal(err)
	}
	return sealed.Header().KID
}

func complete(t *testing.T, c *s3.Client, in *s3.CompleteMultipartUploadInput) *s3.CompleteMultipartUploadOutput {
	t.Helper()
	out, err := c.CompleteMultipartUpload(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// keys are the keys of a bucket.
func keys(t *testing.T, c *s3.Client, bucket string) []string {
	t.Helper()
	out, err := c.ListObjectsV2(context.Background(), &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range out.Contents {
		names = append(names, *o.Key)
	}
	return names
}

// code is the S3 error code of err: empty for none.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// twoParts are the parts of an object of 5 MiB and some.
func twoParts() [][]byte { return [][]byte{suite.Data(5<<20, 1), suite.Data(1000, 2)} }
