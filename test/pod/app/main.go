// Command app is the application of the pods in test/pod: it takes everything from the environment of the AWS SDK. It stores
// an object and reads it back as soon as it starts, and does so once more when it is told to end.
//
// usage: app BUCKET TEXT
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func main() {
	if err := work(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func work(ctx context.Context) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRetryMaxAttempts(1)) // whoever has to repeat came too early
	if err != nil {
		return err
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	bucket, content := os.Args[1], os.Args[2]
	if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		return err
	}
	if err := store(ctx, client, bucket, "first", content); err != nil {
		return err
	}
	<-ended
	return store(ctx, client, bucket, "last", content)
}

// store writes an object and reads it back.
func store(ctx context.Context, client *s3.Client, bucket, key, content string) error {
	if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(content)}); err != nil {
		return err
	}
	got, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return err
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		return err
	}
	if string(body) != content || aws.ToInt64(got.ContentLength) != int64(len(content)) {
		return fmt.Errorf("%s is %q", key, body)
	}
	fmt.Println("stored", key)
	return nil
}
