package gosdk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/minio/minio-go/v7"

	"s3veil/test/canary"
	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

// upload is one way in for plaintext.
type upload struct {
	name string
	size int
	put  func(u *uploader, key string, body []byte) error
}

type uploader struct {
	*testing.T
	target *s3veil.Target
	c      *s3.Client
	bucket string
	ctx    context.Context
}

func (u *uploader) input(key string, body []byte) *s3.PutObjectInput {
	return &s3.PutObjectInput{Bucket: &u.bucket, Key: &key, Body: bytes.NewReader(body), ContentLength: aws.Int64(int64(len(body)))}
}

var uploads = []upload{
	{"signed-small", 5000, func(u *uploader, key string, body []byte) error {
		_, err := u.c.PutObject(u.ctx, u.input(key, body))
		return err
	}},
	{"signed-large", 3 << 20, func(u *uploader, key string, body []byte) error {
		_, err := u.c.PutObject(u.ctx, u.input(key, body))
		return err
	}},
	{"unsigned", 2 << 20, func(u *uploader, key string, body []byte) error {
		_, err := u.c.PutObject(u.ctx, u.input(key, body), func(o *s3.Options) {
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
		})
		return err
	}},
	{"every-checksum", 100_000, func(u *uploader, key string, body []byte) error {
		for _, a := range types.ChecksumAlgorithmCrc32.Values() {
			switch a {
			case types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme,
				types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256:
				in := u.input(key, body)
				in.ChecksumAlgorithm = a
				if _, err := u.c.PutObject(u.ctx, in); err != nil {
					return err
				}
			}
		}
		return nil
	}},
	{"signed-chunks", 200_000, func(u *uploader, key string, body []byte) error {
		_, err := minioClient(u.T, u.target).PutObject(u.ctx, u.bucket, key, bytes.NewReader(body), int64(len(body)),
			minio.PutObjectOptions{SendContentMd5: true})
		return err
	}},
	{"multipart", 11 << 20, func(u *uploader, key string, body []byte) error {
		_, err := transfermanager.New(u.c).UploadObject(u.ctx, &transfermanager.UploadObjectInput{Bucket: &u.bucket, Key: &key,
			Body: bytes.NewReader(body)})
		return err
	}},
	{"aborted-multipart", 300_000, func(u *uploader, key string, body []byte) error {
		out, err := u.c.CreateMultipartUpload(u.ctx, &s3.CreateMultipartUploadInput{Bucket: &u.bucket, Key: &key})
		if err != nil {
			return err
		}
		_, err = u.c.UploadPart(u.ctx, &s3.UploadPartInput{Bucket: &u.bucket, Key: &key, UploadId: out.UploadId,
			PartNumber: aws.Int32(1), Body: bytes.NewReader(body)}, func(o *s3.Options) {
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		})
		return err // the part stays at the store
	}},
	{"copy-replaced", 70_000, func(u *uploader, key string, body []byte) error {
		if _, err := u.c.PutObject(u.ctx, u.input(key+"-src", body)); err != nil {
			return err
		}
		_, err := u.c.CopyObject(u.ctx, &s3.CopyObjectInput{Bucket: &u.bucket, Key: &key,
			CopySource: aws.String(u.bucket + "/" + key + "-src"), MetadataDirective: types.MetadataDirectiveReplace})
		return err
	}},
	{"part-copy", 6 << 20, func(u *uploader, key string, body []byte) error {
		if _, err := u.c.PutObject(u.ctx, u.input(key+"-src", body)); err != nil {
			return err
		}
		out, err := u.c.CreateMultipartUpload(u.ctx, &s3.CreateMultipartUploadInput{Bucket: &u.bucket, Key: &key})
		if err != nil {
			return err
		}
		part, err := u.c.UploadPartCopy(u.ctx, &s3.UploadPartCopyInput{Bucket: &u.bucket, Key: &key, UploadId: out.UploadId,
			PartNumber: aws.Int32(1), CopySource: aws.String(u.bucket + "/" + key + "-src")})
		if err != nil {
			return err
		}
		_, err = u.c.CompleteMultipartUpload(u.ctx, &s3.CompleteMultipartUploadInput{Bucket: &u.bucket, Key: &key,
			UploadId: out.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{
				{PartNumber: aws.Int32(1), ETag: part.CopyPartResult.ETag}}}})
		return err
	}},
	{"refused", 100_000, func(u *uploader, key string, body []byte) error {
		in := u.input(key, body)
		in.ChecksumSHA256 = aws.String("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
		if _, err := u.c.PutObject(u.ctx, in); err == nil {
			u.Error("a wrong checksum was accepted")
		}
		return nil
	}},
}

// TestNoPlaintextReachesTheStore uploads marked plaintext through every API and then searches everything the store and
// s3veil have written: bodies, names, attributes, logs, temporary files, for the plaintext and for its digests.
func TestNoPlaintextReachesTheStore(t *testing.T) {
	store := servers.MustStart(t, servers.Versity)
	tmp := t.TempDir()
	cluster := s3veil.MustStart(t, s3veil.Options{Store: store, Env: []string{"TMPDIR=" + tmp}})
	u := &uploader{T: t, target: &cluster.Target, c: cluster.Client(), ctx: context.Background()}
	u.bucket = servers.NewBucket(t, u.c)
	var digests [][]byte
	for i, up := range uploads {
		body := canary.Stamp(suite.Data(up.size, uint64(i)))
		digests = append(digests, canary.Digests(body)...)
		if err := up.put(u, up.name, body); err != nil {
			t.Errorf("%s: %v", up.name, err)
		}
		if up.name == "refused" || up.name == "aborted-multipart" {
			continue
		}
		out, err := u.c.GetObject(u.ctx, &s3.GetObjectInput{Bucket: &u.bucket, Key: aws.String(up.name)})
		if err != nil {
			t.Errorf("%s: %v", up.name, err)
			continue
		}
		got, err := io.ReadAll(out.Body)
		out.Body.Close()
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%s: %d bytes, %v", up.name, len(got), err)
		}
	}
	cluster.Keep()
	// The bare store shows that the search would find what is there.
	probe := canary.Stamp(suite.Data(1000, 99))
	if _, err := store.Client().PutObject(u.ctx, &s3.PutObjectInput{Bucket: &u.bucket, Key: aws.String("probe"), Body: bytes.NewReader(probe)}); err != nil {
		t.Fatal(err)
	}
	probeFile := filepath.Join(store.Dir, "data", u.bucket, "probe")
	if found, _, err := canary.Search([]string{probeFile}, canary.Digests(probe)); err != nil || len(found) == 0 {
		t.Fatalf("the search misses plaintext: %v", err)
	}
	if err := os.Remove(probeFile); err != nil {
		t.Fatal(err)
	}
	findings, searched, err := canary.Search([]string{store.Dir, cluster.Dir, tmp}, digests)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range findings {
		if i == 20 {
			t.Fatalf("and %d more", len(findings)-i)
		}
		t.Error(f)
	}
	if searched < 20<<20 {
		t.Errorf("only %d bytes were searched", searched)
	}
	secret := sha256.Sum256([]byte(cluster.SecretKey))
	if found, _, err := canary.Search([]string{store.Dir}, [][]byte{[]byte(cluster.SecretKey), []byte(hex.EncodeToString(secret[:]))}); err != nil || len(found) != 0 {
		t.Errorf("the client's secret is at the store: %q, %v", found, err)
	}
}
