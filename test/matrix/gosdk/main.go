// Command gosdk is the job of the client matrix for the AWS SDK for Go v2: objects, transfers of known and unknown length, ranges,
// conditional writes, presigned URLs, copies, bulk deletion. Where it works is in the environment (test/matrix).
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

var (
	ctx    = context.Background()
	bucket = aws.String(os.Getenv("S3_BUCKET"))
)

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

func main() {
	settings := must(config.LoadDefaultConfig(ctx))
	for _, when := range []struct {
		prefix string
		sums   aws.RequestChecksumCalculation
	}{{"supported/", aws.RequestChecksumCalculationWhenSupported}, {"required/", aws.RequestChecksumCalculationWhenRequired}} {
		work(s3.NewFromConfig(settings, func(o *s3.Options) {
			o.BaseEndpoint, o.UsePathStyle, o.RequestChecksumCalculation = aws.String(os.Getenv("S3_ENDPOINT")), true, when.sums
		}), when.prefix)
	}
}

func work(c *s3.Client, prefix string) {
	transfers := transfermanager.New(c)
	for _, n := range []int{0, 1, 65_537, 5 << 20, 17_000_001} {
		body, key := bytes.Repeat([]byte("go sdk "), n/7+1)[:n], aws.String(fmt.Sprint(prefix, n))
		must(transfers.UploadObject(ctx, &transfermanager.UploadObjectInput{Bucket: bucket, Key: key, Body: io.MultiReader(bytes.NewReader(body)),
			Metadata: map[string]string{"n": fmt.Sprint(n)}}))
		out := must(c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key}))
		fmt.Println(*key, *out.ContentLength, out.Metadata["n"], sha256.Sum256(must(io.ReadAll(out.Body))) == sha256.Sum256(body))
	}
	small := aws.String(prefix + "small ü")
	put := must(c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: small, Body: bytes.NewReader([]byte("hello")), ContentType: aws.String("text/plain")}))
	_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: small, Body: bytes.NewReader([]byte("x")), IfNoneMatch: aws.String("*")})
	fmt.Println(code(err))
	must(c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: small, Body: bytes.NewReader([]byte("again")), IfMatch: put.ETag}))
	part := must(c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String(prefix + "17000001"), Range: aws.String("bytes=5242878-5242885")}))
	fmt.Println(*part.ContentRange, string(must(io.ReadAll(part.Body))))
	presigner := s3.NewPresignClient(c)
	get := must(presigner.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: small, ResponseContentType: aws.String("text/x")}))
	resp := must(http.Get(get.URL))
	fmt.Println(resp.StatusCode, resp.Header.Get("Content-Type"), string(must(io.ReadAll(resp.Body))))
	must(c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: bucket, Key: aws.String(prefix + "copy"), CopySource: aws.String(*bucket + "/" + prefix + "17000001")}))
	head := must(c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: bucket, Key: aws.String(prefix + "copy")}))
	fmt.Println(*head.ContentLength, head.Metadata["n"])
	_, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("none")})
	fmt.Println(code(err))
	must(c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String(prefix + "0")}, {Key: aws.String(prefix + "1")}}}}))
	for pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: bucket, Prefix: &prefix, MaxKeys: aws.Int32(2)}); pages.HasMorePages(); {
		for _, o := range must(pages.NextPage(ctx)).Contents {
			fmt.Println(*o.Key, *o.Size)
		}
	}
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return fmt.Sprint(err)
}
