package gosdk

import (
	"bytes"
	"context"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

// targets are what every SDK test runs against.
func targets(t *testing.T, run func(t *testing.T, target *s3veil.Target)) {
	store := servers.MustShared(t, servers.Versity)
	t.Run("bare", func(t *testing.T) { run(t, s3veil.Bare(store)) })
	t.Run("s3veil", func(t *testing.T) {
		run(t, &s3veil.MustStart(t, s3veil.Options{Store: store}).Target)
	})
	t.Run("s3veil-tls", func(t *testing.T) {
		run(t, &s3veil.MustStart(t, s3veil.Options{Store: store, TLS: true}).Target)
	})
}

func TestTransferManager(t *testing.T) {
	targets(t, func(t *testing.T, target *s3veil.Target) {
		c, ctx := target.Client(), context.Background()
		bucket, transfers := servers.NewBucket(t, c), transfermanager.New(c)
		for _, n := range []int{0, 100, 5<<20 - 1, 5 << 20, 5<<20 + 1, 20<<20 + 12345} {
			body := suite.Data(n, uint64(n))
			// A reader without length and without seeking: what a pipe looks like.
			_, err := transfers.UploadObject(ctx, &transfermanager.UploadObjectInput{Bucket: &bucket, Key: aws.String("k"),
				Body: io.MultiReader(bytes.NewReader(body))})
			if err != nil {
				t.Fatalf("%d: %v", n, err)
			}
			out, err := os.Create(filepath.Join(t.TempDir(), "out"))
			if err != nil {
				t.Fatal(err)
			}
			in := &transfermanager.DownloadObjectInput{Bucket: &bucket, Key: aws.String("k"), WriterAt: out}
			if _, err := transfers.DownloadObject(ctx, in); err != nil {
				t.Errorf("%d: %v", n, err)
			}
			out.Close()
			if got, err := os.ReadFile(out.Name()); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%d: %d other bytes, %v", n, len(got), err)
			}
		}
	})
}

func minioClient(t *testing.T, target *s3veil.Target) *minio.Client {
	t.Helper()
	u, err := url.Parse(target.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	c, err := minio.New(u.Host, &minio.Options{Creds: credentials.NewStaticV4(target.AccessKey, target.SecretKey, ""),
		Secure: u.Scheme == "https", Region: servers.Region, BucketLookup: minio.BucketLookupPath,
		Transport: target.HTTPClient().Transport})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// minio-go signs its bodies chunk by chunk over http (STREAMING-AWS4-HMAC-SHA256-PAYLOAD).
func TestMinioGo(t *testing.T) {
	targets(t, func(t *testing.T, target *s3veil.Target) {
		c, ctx := minioClient(t, target), context.Background()
		bucket := servers.NewBucket(t, target.Client())
		for _, n := range []int{0, 1, 65_535, 65_536, 65_537, 1<<20 + 1, 17<<20 + 5} {
			body := suite.Data(n, uint64(n))
			info, err := c.PutObject(ctx, bucket, "dir/k", bytes.NewReader(body), int64(n),
				minio.PutObjectOptions{UserMetadata: map[string]string{"a": "b"}, ContentType: "text/x"})
			if err != nil {
				t.Fatalf("put %d: %v", n, err)
			}
			checkMinio(t, c, bucket, "dir/k", body, info.ETag)
		}
		// unknown length: a multipart upload, even of a single short part
		body := suite.Data(100_000, 3)
		info, err := c.PutObject(ctx, bucket, "stream", io.MultiReader(bytes.NewReader(body)), -1, minio.PutObjectOptions{PartSize: 16 << 20})
		if err != nil {
			t.Fatal(err)
		}
		checkMinio(t, c, bucket, "stream", body, info.ETag)
	})
}

func checkMinio(t *testing.T, c *minio.Client, bucket, key string, body []byte, etag string) {
	t.Helper()
	ctx := context.Background()
	obj, err := c.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer obj.Close()
	got, err := io.ReadAll(obj)
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("get of %d bytes: %d, %v", len(body), len(got), err)
	}
	info, err := c.StatObject(ctx, bucket, key, minio.StatObjectOptions{})
	if err != nil || info.Size != int64(len(body)) || info.ETag != etag {
		t.Errorf("stat: %d %s, want %d %s: %v", info.Size, info.ETag, len(body), etag, err)
	}
	if len(body) > 100 {
		// ReadAt reuses the ETag as If-Match
		part := make([]byte, 50)
		if _, err := obj.ReadAt(part, int64(len(body))-60); err != nil || !bytes.Equal(part, body[len(body)-60:len(body)-10]) {
			t.Errorf("read at: %v", err)
		}
	}
}

// minio-go ends a trailer field with LF before CRLF, as S3 takes it; versitygw does not.
func TestMinioGoTrailersAndMD5(t *testing.T) {
	targets(t, func(t *testing.T, target *s3veil.Target) {
		if !target.Encrypted {
			return
		}
		u, _ := url.Parse(target.Endpoint())
		c, err := minio.New(u.Host, &minio.Options{Creds: credentials.NewStaticV4(target.AccessKey, target.SecretKey, ""),
			Secure: u.Scheme == "https", Region: servers.Region, TrailingHeaders: true, BucketLookup: minio.BucketLookupPath,
			Transport: target.HTTPClient().Transport})
		if err != nil {
			t.Fatal(err)
		}
		bucket := servers.NewBucket(t, target.Client())
		for _, sum := range []minio.ChecksumType{minio.ChecksumCRC32, minio.ChecksumCRC32C, minio.ChecksumSHA1, minio.ChecksumSHA256, minio.ChecksumCRC64NVME} {
			body := suite.Data(200_000, 1)
			info, err := c.PutObject(context.Background(), bucket, "k", bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{Checksum: sum})
			if err != nil {
				t.Errorf("%s: %v", sum, err)
				continue
			}
			checkMinio(t, c, bucket, "k", body, info.ETag)
		}
		body := suite.Data(70_000, 2)
		info, err := c.PutObject(context.Background(), bucket, "md5", bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{SendContentMd5: true})
		if err != nil {
			t.Fatal(err)
		}
		checkMinio(t, c, bucket, "md5", body, info.ETag)
	})
}

func TestMinioGoListsCopiesAndPresigns(t *testing.T) {
	targets(t, func(t *testing.T, target *s3veil.Target) {
		c, ctx := minioClient(t, target), context.Background()
		bucket := servers.NewBucket(t, target.Client())
		want := map[string]int64{}
		for i, key := range []string{"a/1", "a/2 x+y", "b"} {
			body := suite.Data(i*70_000, uint64(i))
			if _, err := c.PutObject(ctx, bucket, key, bytes.NewReader(body), int64(len(body)), minio.PutObjectOptions{}); err != nil {
				t.Fatal(err)
			}
			want[key] = int64(len(body))
		}
		n := 0
		for o := range c.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true, WithMetadata: false}) {
			if o.Err != nil || want[o.Key] != o.Size {
				t.Errorf("%s: %d, want %d: %v", o.Key, o.Size, want[o.Key], o.Err)
			}
			n++
		}
		if n != len(want) {
			t.Errorf("%d entries, want %d", n, len(want))
		}
		_, err := c.CopyObject(ctx, minio.CopyDestOptions{Bucket: bucket, Object: "copy", ReplaceMetadata: true, UserMetadata: map[string]string{"x": "y"}},
			minio.CopySrcOptions{Bucket: bucket, Object: "a/2 x+y"})
		if err != nil {
			t.Fatal(err)
		}
		info, err := c.StatObject(ctx, bucket, "copy", minio.StatObjectOptions{})
		if err != nil || info.Size != 70_000 || info.UserMetadata["X"] != "y" {
			t.Errorf("copy: %d %v, %v", info.Size, info.UserMetadata, err)
		}
		link, err := c.PresignedGetObject(ctx, bucket, "copy", time.Minute, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := target.HTTPClient().Get(link.String())
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(b, suite.Data(70_000, 1)) {
			t.Errorf("presigned: %d bytes, %v", len(b), err)
		}
		for e := range c.RemoveObjects(ctx, bucket, c.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}), minio.RemoveObjectsOptions{}) {
			t.Errorf("remove %s: %v", e.ObjectName, e.Err)
		}
		if err := c.RemoveBucket(ctx, bucket); err != nil && !strings.Contains(err.Error(), "not empty") {
			t.Error(err)
		} else if err != nil {
			t.Errorf("bucket is not empty after everything was removed: %v", err)
		}
	})
}
