package attack

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

// Row 48. What a store does with the notes of parts takes checksums away and makes none, and a Complete without its state is
// believed of the object that it has made alone.
func TestNotesOfPartsInTheHandsOfTheStore(t *testing.T) {
	store := servers.MustShared(t, servers.Versity)
	veil := s3veil.MustStart(t, s3veil.Options{Store: store, Replicas: 2, Configure: func(c map[string]any) {
		c["buckets"] = []any{map[string]any{"name": "*", "key": "main", "upload_id": "state"}}
	}})
	s := &Scene{T: t, Ctx: t.Context(), Veil: veil, C: veil.ClientOf(veil.Replicas[0].Endpoint, plain), Store: store.Client()}
	s.Bucket = servers.NewBucket(t, s.C)
	reader := veil.ClientOf(veil.Replicas[1].Endpoint, plain) // has sealed nothing itself
	one, two, other := suite.Data(5<<20, 1), suite.Data(1000, 2), suite.Data(1000, 3)
	want := suite.Checksum("CRC64NVME", join(one, two))
	for name, change := range map[string]func(u *noted){
		"nothing": func(*noted) {},
		"forged": func(u *noted) {
			u.write(strings.Replace(u.notes()[0], ".00001.", ".00002.", 1), u.notes()[1][:90], u.notes()[1]+"AAAA")
		},
		"dropped": func(u *noted) { u.drop(u.notes()[1]) },
		"exchanged": func(u *noted) {
			a, b := u.notes()[0], u.notes()[1]
			u.drop(a, b)
			u.write(strings.Replace(a, ".00001.", ".00002.", 1), strings.Replace(b, ".00002.", ".00001.", 1))
		},
		"replayed": func(u *noted) {
			old := u.notes()
			u.part(2, two)
			for _, k := range u.notes() {
				if !slices.Contains(old, k) {
					u.drop(k)
				}
			}
		},
		"another upload's": func(u *noted) {
			v := u.s.begin(t, u.key)
			v.part(1, one)
			v.part(2, other)
			own := u.notes()[1]
			u.write(own[:74] + v.notes()[1][74:])
			u.drop(own)
		},
	} {
		t.Run(name, func(t *testing.T) {
			u := s.begin(t, strings.ReplaceAll(name, "'", ""))
			u.part(1, one)
			u.part(2, two)
			change(u)
			if _, err := u.complete(); err != nil {
				t.Fatal(err)
			}
			head, err := reader.HeadObject(s.Ctx, &s3.HeadObjectInput{Bucket: &s.Bucket, Key: &u.key, ChecksumMode: types.ChecksumModeEnabled})
			if err != nil {
				t.Fatal(err)
			}
			got := aws.ToString(head.ChecksumCRC64NVME)
			if whole := name == "nothing" || name == "forged"; whole && got != want || !whole && got != "" {
				t.Errorf("the checksum is %q", got)
			}
			if again, err := u.complete(); err != nil || aws.ToString(again.ETag) != aws.ToString(head.ETag) {
				t.Errorf("repeated: %+v, %v", again, err)
			}
			u.list[0], u.list[1] = u.list[1], u.list[0]
			u.list[0].PartNumber, u.list[1].PartNumber = u.list[1].PartNumber, u.list[0].PartNumber
			if _, err := u.complete(); Status(err) != 404 {
				t.Errorf("another list, repeated: %v", err)
			}
		})
	}
}

// noted is an upload in a bucket with upload_id: state.
type noted struct {
	t    *testing.T
	s    *Scene
	key  string
	id   *string
	list []types.CompletedPart
}

func (s *Scene) begin(t *testing.T, key string) *noted {
	t.Helper()
	u := &noted{t: t, s: s, key: key, list: make([]types.CompletedPart, 2)}
	up, err := s.C.CreateMultipartUpload(s.Ctx, &s3.CreateMultipartUploadInput{Bucket: &s.Bucket, Key: &key}, plain)
	if err != nil {
		t.Fatal(err)
	}
	u.id = up.UploadId
	return u
}

func (u *noted) part(n int, body []byte) {
	u.t.Helper()
	out, err := u.s.C.UploadPart(u.s.Ctx, &s3.UploadPartInput{Bucket: &u.s.Bucket, Key: &u.key, UploadId: u.id, PartNumber: aws.Int32(int32(n)),
		Body: bytes.NewReader(body)}, plain)
	if err != nil {
		u.t.Fatal(err)
	}
	u.list[n-1] = types.CompletedPart{PartNumber: aws.Int32(int32(n)), ETag: out.ETag}
}

func (u *noted) complete() (*s3.CompleteMultipartUploadOutput, error) {
	return u.s.C.CompleteMultipartUpload(u.s.Ctx, &s3.CompleteMultipartUploadInput{Bucket: &u.s.Bucket, Key: &u.key, UploadId: u.id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: u.list}}, plain)
}

func (u *noted) reserved() (keys []string) {
	u.t.Helper()
	page, err := u.s.Store.ListObjectsV2(u.s.Ctx, &s3.ListObjectsV2Input{Bucket: &u.s.Bucket, Prefix: aws.String(".s3veil/u/")})
	if err != nil {
		u.t.Fatal(err)
	}
	for _, o := range page.Contents {
		keys = append(keys, *o.Key)
	}
	return keys
}

// notes are those of this upload, by part number.
func (u *noted) notes() []string {
	u.t.Helper()
	digest, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(*u.id, "1."))
	if err != nil {
		u.t.Fatal(err)
	}
	return slices.DeleteFunc(u.reserved(), func(k string) bool { return !strings.HasPrefix(k, fmt.Sprintf(".s3veil/u/%x.", digest)) })
}

func (u *noted) write(keys ...string) {
	u.t.Helper()
	for _, k := range keys {
		if _, err := u.s.Store.PutObject(u.s.Ctx, &s3.PutObjectInput{Bucket: &u.s.Bucket, Key: &k}); err != nil {
			u.t.Fatal(err)
		}
	}
}

func (u *noted) drop(keys ...string) {
	u.t.Helper()
	for _, k := range keys {
		if _, err := u.s.Store.DeleteObject(u.s.Ctx, &s3.DeleteObjectInput{Bucket: &u.s.Bucket, Key: &k}); err != nil {
			u.t.Fatal(err)
		}
	}
}
