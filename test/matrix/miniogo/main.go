// Command miniogo is the job of the client matrix for minio-go: objects, multipart uploads of known and unknown length, reads at an
// offset, copies, composition, presigned URLs, tags, removal of many. Where it works is in the environment (test/matrix).
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/tags"
)

var (
	ctx    = context.Background()
	bucket = os.Getenv("S3_BUCKET")
)

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

func main() {
	end := must(url.Parse(os.Getenv("S3_ENDPOINT")))
	c := must(minio.New(end.Host, &minio.Options{Creds: credentials.NewEnvAWS(), Secure: end.Scheme == "https", Region: "us-east-1", BucketLookup: minio.BucketLookupPath}))
	for _, n := range []int{0, 1, 65_537, 17_000_001} {
		body := bytes.Repeat([]byte("minio-go "), n/9+1)[:n]
		for _, length := range []int64{int64(n), -1} {
			key := fmt.Sprint("size/", n, "/", length)
			must(c.PutObject(ctx, bucket, key, io.MultiReader(bytes.NewReader(body)), length, minio.PutObjectOptions{PartSize: 5 << 20, ContentType: "text/x",
				UserMetadata: map[string]string{"Color": "blue"}}))
			info := must(c.StatObject(ctx, bucket, key, minio.StatObjectOptions{}))
			got := must(io.ReadAll(must(c.GetObject(ctx, bucket, key, minio.GetObjectOptions{}))))
			fmt.Println(key, info.Size, info.ContentType, info.UserMetadata["Color"], sha256.Sum256(got) == sha256.Sum256(body))
		}
	}
	large := "size/17000001/-1"
	at := make([]byte, 18)
	must(must(c.GetObject(ctx, bucket, large, minio.GetObjectOptions{})).ReadAt(at, 5<<20-9))
	fmt.Printf("%q\n", at)
	must(c.CopyObject(ctx, minio.CopyDestOptions{Bucket: bucket, Object: "copy ü", ReplaceMetadata: true, UserMetadata: map[string]string{"x": "y"}},
		minio.CopySrcOptions{Bucket: bucket, Object: large}))
	must(c.ComposeObject(ctx, minio.CopyDestOptions{Bucket: bucket, Object: "composed"}, minio.CopySrcOptions{Bucket: bucket, Object: large},
		minio.CopySrcOptions{Bucket: bucket, Object: "size/1/1"}))
	for _, key := range []string{"copy ü", "composed"} {
		fmt.Println(key, must(c.StatObject(ctx, bucket, key, minio.StatObjectOptions{})).Size)
	}
	set := must(tags.NewTags(map[string]string{"k": "v w"}, true))
	if err := c.PutObjectTagging(ctx, bucket, "composed", set, minio.PutObjectTaggingOptions{}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(must(c.GetObjectTagging(ctx, bucket, "composed", minio.GetObjectTaggingOptions{})))
	put := must(c.PresignedPutObject(ctx, bucket, "presigned", time.Hour))
	req := must(http.NewRequest("PUT", put.String(), strings.NewReader("presigned")))
	get := must(c.PresignedGetObject(ctx, bucket, "presigned", time.Hour, nil))
	fmt.Println(must(http.DefaultClient.Do(req)).StatusCode, string(must(io.ReadAll(must(http.Get(get.String())).Body))))
	_, err := c.StatObject(ctx, bucket, "none", minio.StatObjectOptions{})
	fmt.Println(minio.ToErrorResponse(err).Code)
	gone := make(chan minio.ObjectInfo)
	go func() {
		defer close(gone)
		for o := range c.ListObjects(ctx, bucket, minio.ListObjectsOptions{Prefix: "size/", Recursive: true}) {
			fmt.Println(o.Key, o.Size)
			gone <- o
		}
	}()
	for failed := range c.RemoveObjects(ctx, bucket, gone, minio.RemoveObjectsOptions{}) {
		log.Fatal(failed.Err)
	}
}
