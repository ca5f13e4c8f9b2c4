package options

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"s3veil/test/suite"
)

// With upload_id: state s3veil keeps of an upload what S3 keeps (docs/OPERATIONS.md 12), on every replica and nowhere afterwards.
func TestPartsAreRemembered(t *testing.T) {
	bucket, ctx, key := unique("r"), context.Background(), aws.String("k")
	cl := cluster(t, rules(map[string]any{"name": bucket, "upload_id": "state"}))
	c, store := cl.Client(), cl.Store.Client()
	create(t, c, bucket)
	parts := twoParts()
	want := suite.Checksum("CRC32C", bytes.Join(parts, nil))
	up, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c, ChecksumType: types.ChecksumTypeFullObject})
	if err != nil {
		t.Fatal(err)
	}
	done := &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: key, UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{}}
	for i, body := range parts {
		out, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: &bucket, Key: key, UploadId: up.UploadId, PartNumber: aws.Int32(int32(i + 1)), Body: bytes.NewReader(body),
			ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c})
		if err != nil {
			t.Fatal(err)
		}
		done.MultipartUpload.Parts = append(done.MultipartUpload.Parts, types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: out.ETag})
	}
	uploads, err := c.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &bucket})
	if err != nil || len(uploads.Uploads) != 1 || uploads.Uploads[0].ChecksumAlgorithm != types.ChecksumAlgorithmCrc32c || uploads.Uploads[0].ChecksumType != types.ChecksumTypeFullObject {
		t.Errorf("uploads %+v, %v", uploads, err)
	}
	list, err := c.ListParts(ctx, &s3.ListPartsInput{Bucket: &bucket, Key: key, UploadId: up.UploadId})
	if err != nil || len(list.Parts) != 2 || aws.ToString(list.Parts[1].ChecksumCRC32C) != suite.Checksum("CRC32C", parts[1]) {
		t.Errorf("parts %+v, %v", list, err)
	}
	var refused smithy.APIError
	done.MultipartUpload.Parts[0].ChecksumCRC32C = aws.String(suite.Checksum("CRC32C", parts[1]))
	if _, err := c.CompleteMultipartUpload(ctx, done); !errors.As(err, &refused) || refused.ErrorCode() != "InvalidPart" {
		t.Errorf("the checksum of another part: %v", err)
	}
	done.MultipartUpload.Parts[0].ChecksumCRC32C = nil
	first, err := c.CompleteMultipartUpload(ctx, done)
	if err != nil || aws.ToString(first.ChecksumCRC32C) != want {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := c.CompleteMultipartUpload(ctx, done)
	if err != nil || aws.ToString(again.ETag) != aws.ToString(first.ETag) || aws.ToString(again.ChecksumCRC32C) != want {
		t.Errorf("repeated: %+v, %v", again, err)
	}
	head, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: key, ChecksumMode: types.ChecksumModeEnabled})
	if err != nil || aws.ToString(head.ChecksumCRC32C) != want {
		t.Errorf("%+v, %v", head, err)
	}
	for _, k := range keys(t, store, bucket) {
		if strings.HasPrefix(k, ".s3veil/u/") {
			t.Errorf("%s stays", k)
		}
	}
	// An upload that is still open goes with its bucket, notes and all.
	upload(t, c, bucket, "open", parts...)
	if _, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: key}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket}); err != nil {
		t.Errorf("bucket: %v", err)
	}
	if _, err := store.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &bucket}); err == nil {
		t.Error("the bucket is still there")
	}
}
