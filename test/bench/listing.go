package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

const (
	listedKeys   = 1000
	listingTurns = 60
)

// listing compares a listing of 1,000 keys through s3veil with the same one at a real store, taking turns.
func listing() error {
	ctx := context.Background()
	store, err := servers.Start(servers.VersityPlain)
	if err != nil {
		return err
	}
	defer store.Stop()
	cluster, err := s3veil.Start(s3veil.Options{Store: store})
	if err != nil {
		return err
	}
	defer cluster.Stop()
	clients := [2]*s3.Client{store.Client(), servers.NewClient(cluster.Endpoint(), cluster.AccessKey, cluster.SecretKey)}
	if _, err := clients[1].CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		return err
	}
	if err := fill(newClient(cluster.Endpoint(), cluster.AccessKey, cluster.SecretKey)); err != nil {
		return err
	}
	var times [2][]time.Duration
	for turn := range listingTurns {
		for k := range clients {
			k = (k + turn) % 2
			start := time.Now()
			out, err := clients[k].ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
			if err != nil {
				return err
			}
			if len(out.Contents) != listedKeys {
				return fmt.Errorf("%d keys listed", len(out.Contents))
			}
			if turn >= 4 {
				times[k] = append(times[k], time.Since(start))
			}
		}
	}
	median := func(k int) float64 {
		slices.Sort(times[k])
		return float64(times[k][len(times[k])/2].Microseconds()) / 1000
	}
	fmt.Println("\n| Listing of 1,000 keys at versitygw | direct p50 | s3veil p50 | s3veil / direct | target |")
	fmt.Println("|---|---|---|---|---|")
	fmt.Printf("| ListObjectsV2 | %.1f ms | %.1f ms | **%.2f** | ≤ 1.30 |\n", median(0), median(1), median(1)/median(0))
	return nil
}

// fill puts the objects that are listed.
func fill(c *client) error {
	body := newPayload(unsigned, []byte("some text"))
	keys, errs := make(chan int), make(chan error, 8)
	var wg sync.WaitGroup
	for range cap(errs) {
		wg.Go(func() {
			var failed error
			for i := range keys {
				if failed == nil {
					_, failed = c.do("PUT", fmt.Sprintf("a/folder/with/some/depth/object-%05d.bin", i), &body, "")
				}
			}
			errs <- failed
		})
	}
	for i := range listedKeys {
		keys <- i
	}
	close(keys)
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
