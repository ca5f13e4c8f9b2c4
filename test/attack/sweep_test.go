package attack

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Row 37. Who asks to delete a bucket that is not empty destroys no manifest, though a whole page of them stands in front of
// the first object.
func TestRefusedDeletionOfABucketKeepsManifests(t *testing.T) {
	s := NewScene(t, nil)
	s.Multipart("object", []byte(strings.Repeat("a", 5<<20)), []byte("b"))
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for i := w; i < 1000; i += 8 { // before that of the object: page one holds nothing else
				key := fmt.Sprintf(".s3veil/m/%032x", i)
				if _, err := s.Store.PutObject(s.Ctx, &s3.PutObjectInput{Bucket: &s.Bucket, Key: &key, Body: strings.NewReader("m")}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	_, err := s.C.DeleteBucket(s.Ctx, &s3.DeleteBucketInput{Bucket: &s.Bucket})
	if err == nil || !strings.Contains(err.Error(), "BucketNotEmpty") {
		t.Errorf("%v", err)
	}
	page, err := s.Store.ListObjectsV2(s.Ctx, &s3.ListObjectsV2Input{Bucket: &s.Bucket, Prefix: aws.String(".s3veil/m/"), MaxKeys: aws.Int32(1000)})
	if err != nil || len(page.Contents) != 1000 {
		t.Errorf("%d manifests are left, %v", len(page.Contents), err)
	}
	if got, err := s.Read("object", ""); err != nil || len(got) != 5<<20+1 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := s.C.DeleteObject(s.Ctx, &s3.DeleteObjectInput{Bucket: &s.Bucket, Key: aws.String("object")}); err != nil {
		t.Error(err)
	}
	if _, err := s.C.DeleteBucket(s.Ctx, &s3.DeleteBucketInput{Bucket: &s.Bucket}); err != nil {
		t.Errorf("empty: %v", err)
	}
	if _, err := s.Store.HeadBucket(s.Ctx, &s3.HeadBucketInput{Bucket: &s.Bucket}); err == nil {
		t.Error("the bucket is still there")
	}
}
