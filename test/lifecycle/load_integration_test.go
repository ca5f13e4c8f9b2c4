//go:build integration

package lifecycle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// load is what clients do while replicas restart. No client repeats anything.
type load struct {
	t      *testing.T
	client *s3.Client
	bucket string
	large  []byte

	done     chan struct{}
	wait     sync.WaitGroup
	requests atomic.Int64
	slow     atomic.Int64 // downloads under way
	finished atomic.Int64 // slow downloads that came to their end
	uploads  atomic.Int64 // multipart uploads that were completed

	mu      sync.Mutex
	written map[string][sha256.Size]byte // acknowledged
}

// content is different for every key, and the same each time.
func content(key string, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(key))).Read(b)
	return b
}

const largeKey, largeSize = "large", 48 << 20

func begin(t *testing.T, client *s3.Client, bucket string) *load {
	t.Helper()
	l := &load{t: t, client: client, bucket: bucket, large: content(largeKey, largeSize), done: make(chan struct{}),
		written: map[string][sha256.Size]byte{}}
	if !l.put(largeKey, l.large) {
		t.FailNow()
	}
	for i := range 4 {
		l.repeat(func(n int) {
			key := fmt.Sprintf("small/%d/%d", i, n%200)
			if body := content(fmt.Sprint(key, n), 100+n%9000); l.put(key, body) {
				l.get(key, sha256.Sum256(body))
			}
		})
	}
	for i := range 2 {
		l.repeat(func(n int) { l.multipart(fmt.Sprintf("parts/%d/%d", i, n%3), n) })
	}
	for range 3 {
		l.repeat(func(int) { l.download() })
	}
	// A client that is idle in between: its connection, and the balancer's, may be closed just when it comes back.
	l.repeat(func(int) {
		l.get(largeKey, sha256.Sum256(l.large))
		time.Sleep(time.Duration(rand.IntN(700)) * time.Millisecond)
	})
	return l
}

// end lets everybody finish what is under way, and waits.
func (l *load) end() {
	close(l.done)
	l.wait.Wait()
}

func (l *load) repeat(f func(n int)) {
	l.wait.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-l.done:
				return
			default:
				f(n)
			}
		}
	})
}

// failed counts a request and reports its error.
func (l *load) failed(what string, err error) bool {
	l.requests.Add(1)
	if err != nil {
		l.t.Errorf("%s: %v", what, err)
	}
	return err != nil
}

func (l *load) wrote(key string, body []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written[key] = sha256.Sum256(body)
}

func (l *load) put(key string, body []byte) bool {
	_, err := l.client.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &l.bucket, Key: &key, Body: bytes.NewReader(body)})
	if l.failed("PUT "+key, err) {
		return false
	}
	l.wrote(key, body)
	return true
}

func (l *load) get(key string, want [sha256.Size]byte) {
	out, err := l.client.GetObject(context.Background(), &s3.GetObjectInput{Bucket: &l.bucket, Key: &key})
	if l.failed("GET "+key, err) {
		return
	}
	defer out.Body.Close()
	h := sha256.New()
	if n, err := io.Copy(h, out.Body); err != nil || [sha256.Size]byte(h.Sum(nil)) != want {
		l.t.Errorf("GET %s: %d bytes, %v", key, n, err)
	}
}

// multipart uploads two parts, each of which any replica may get.
func (l *load) multipart(key string, n int) {
	ctx := context.Background()
	up, err := l.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &l.bucket, Key: &key})
	if l.failed("CreateMultipartUpload", err) {
		return
	}
	body := content(fmt.Sprint(key, n), 5<<20+1000+n)
	parts := &types.CompletedMultipartUpload{}
	for i, part := range [][]byte{body[:5<<20], body[5<<20:]} {
		number := aws.Int32(int32(i + 1))
		out, err := l.client.UploadPart(ctx, &s3.UploadPartInput{Bucket: &l.bucket, Key: &key, UploadId: up.UploadId, PartNumber: number,
			Body: bytes.NewReader(part)})
		if l.failed("UploadPart", err) {
			return
		}
		parts.Parts = append(parts.Parts, types.CompletedPart{ETag: out.ETag, PartNumber: number, ChecksumCRC32: out.ChecksumCRC32})
	}
	_, err = l.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &l.bucket, Key: &key, UploadId: up.UploadId,
		MultipartUpload: parts})
	if !l.failed("CompleteMultipartUpload", err) {
		l.uploads.Add(1)
		l.wrote(key, body)
	}
}

// download reads the large object at a pace at which it takes about eight seconds.
func (l *load) download() {
	out, err := l.client.GetObject(context.Background(), &s3.GetObjectInput{Bucket: &l.bucket, Key: aws.String(largeKey)})
	if l.failed("slow GET", err) {
		return
	}
	defer out.Body.Close()
	l.slow.Add(1)
	defer l.slow.Add(-1)
	h, n := sha256.New(), int64(0)
	for err == nil {
		var more int64
		more, err = io.CopyN(h, out.Body, 256<<10)
		n += more
		time.Sleep(40 * time.Millisecond)
	}
	if err != io.EOF || [sha256.Size]byte(h.Sum(nil)) != sha256.Sum256(l.large) {
		l.t.Errorf("slow GET: cut after %d bytes: %v", n, err)
		return
	}
	l.finished.Add(1)
}

// check reads every acknowledged write.
func (l *load) check() {
	for key, sum := range l.written {
		l.get(key, sum)
	}
}
