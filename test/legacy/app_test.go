package legacy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/suite"
)

// app is the application: everything it knows comes from its environment, and nothing of that is about s3veil.
func app() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	c := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = os.Getenv("APP_PATH_STYLE") != "" })
	bucket := aws.String(os.Getenv("APP_BUCKET"))
	for i, n := range []int{0, 1, 100_000, 12 << 20} {
		if err := roundTrip(ctx, c, bucket, fmt.Sprintf("dir/key %d", i), suite.Data(n, uint64(i))); err != nil {
			return fmt.Errorf("%d bytes: %w", n, err)
		}
	}
	list, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket, Prefix: aws.String("dir/")})
	if err != nil {
		return err
	}
	if len(list.Contents) != 4 || *list.Contents[3].Size != 12<<20 {
		return fmt.Errorf("listing: %d keys", len(list.Contents))
	}
	return presigned(ctx, c, bucket, suite.Data(100_000, 2))
}

func roundTrip(ctx context.Context, c *s3.Client, bucket *string, key string, data []byte) error {
	if _, err := transfermanager.New(c).UploadObject(ctx, &transfermanager.UploadObjectInput{Bucket: bucket, Key: &key, Body: bytes.NewReader(data)}); err != nil {
		return err
	}
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: &key})
	if err != nil {
		return err
	}
	defer out.Body.Close()
	got, err := io.ReadAll(out.Body)
	if err == nil && !bytes.Equal(got, data) {
		err = errors.New("other bytes come back")
	}
	return err
}

// presigned downloads by a URL, as another program of the same machine would.
func presigned(ctx context.Context, c *s3.Client, bucket *string, want []byte) error {
	url, err := s3.NewPresignClient(c).PresignGetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("dir/key 2")})
	if err != nil {
		return err
	}
	resp, err := http.Get(url.URL)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("presigned: status %d, %d bytes", resp.StatusCode, len(got))
	}
	return err
}
