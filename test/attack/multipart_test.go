package attack

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

// plain leaves checksums of parts out.
func plain(o *s3.Options) {
	o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	o.RetryMaxAttempts = 1
}

// replicated is a scene with three replicas and a client for each.
func replicated(t *testing.T) (*Scene, []*s3.Client) {
	t.Helper()
	store := servers.MustShared(t, servers.Versity)
	veil := s3veil.MustStart(t, s3veil.Options{Store: store, Replicas: 3})
	var clients []*s3.Client
	for _, r := range veil.Replicas {
		clients = append(clients, veil.ClientOf(r.Endpoint, plain))
	}
	return &Scene{T: t, Ctx: t.Context(), Veil: veil, C: clients[0], Store: store.Client(), Bucket: servers.NewBucket(t, clients[0])}, clients
}

// Row 13. Equal bytes sent again, in whatever way, never meet the same random value, key or nonce: nothing in the store
// repeats.
func TestEveryAttemptIsFresh(t *testing.T) {
	s, clients := replicated(t)
	body := suite.Data(70_000, 1)
	seen := map[string]string{}
	look := func(key string) {
		t.Helper()
		for i, p := range packages(s.Load(key).Body) {
			for what, piece := range map[string][]byte{"nonce": p[4:16], "payload": p[16:48], "tag": p[len(p)-16:]} {
				where := fmt.Sprintf("%s of package %d of %s", what, i, key)
				// packages of one stream share the random part of the nonce by design
				if old, twice := seen[string(piece)]; twice && !(what == "nonce" && strings.HasSuffix(old, " of "+key)) {
					t.Errorf("%s repeats %s", where, old)
				}
				seen[string(piece)] = where
			}
		}
	}
	for i := range 12 {
		key := fmt.Sprint("put", i)
		if _, err := clients[i%3].PutObject(s.Ctx, &s3.PutObjectInput{Bucket: &s.Bucket, Key: &key, Body: bytes.NewReader(body)}); err != nil {
			t.Fatal(err)
		}
		look(key)
	}
	key := "parts"
	up, err := clients[0].CreateMultipartUpload(s.Ctx, &s3.CreateMultipartUploadInput{Bucket: &s.Bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, c := range clients {
		for range 3 {
			wg.Go(func() {
				if _, err := c.UploadPart(s.Ctx, &s3.UploadPartInput{Bucket: &s.Bucket, Key: &key, UploadId: up.UploadId,
					PartNumber: aws.Int32(1), Body: bytes.NewReader(body)}); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	list, err := clients[1].ListParts(s.Ctx, &s3.ListPartsInput{Bucket: &s.Bucket, Key: &key, UploadId: up.UploadId})
	if err != nil || len(list.Parts) != 1 {
		t.Fatalf("parts: %v", err)
	}
	if _, err := clients[2].CompleteMultipartUpload(s.Ctx, &s3.CompleteMultipartUploadInput{Bucket: &s.Bucket, Key: &key, UploadId: up.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: list.Parts[0].ETag}}}}); err != nil {
		t.Fatal(err)
	}
	look(key)
	if got, err := s.Read(key, ""); err != nil || !bytes.Equal(got, body) {
		t.Errorf("the part that won: %v", err)
	}
}

// Row 35. Two part lists completed at once from different replicas, and one of them repeated: whichever the store took, the
// object reads as that list says.
func TestRacingCompletesLeaveOneWholeObject(t *testing.T) {
	s, clients := replicated(t)
	for round := range 5 {
		key := fmt.Sprint("race", round)
		bodies := [][]byte{suite.Data(5<<20, uint64(round)), suite.Data(5<<20+1, 100), suite.Data(1000, 200)}
		up, err := clients[0].CreateMultipartUpload(s.Ctx, &s3.CreateMultipartUploadInput{Bucket: &s.Bucket, Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		var all []types.CompletedPart
		for i, b := range bodies {
			n := aws.Int32(int32(i + 1))
			out, err := clients[i].UploadPart(s.Ctx, &s3.UploadPartInput{Bucket: &s.Bucket, Key: &key, UploadId: up.UploadId, PartNumber: n,
				Body: bytes.NewReader(b)})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, types.CompletedPart{PartNumber: n, ETag: out.ETag})
		}
		lists := [][]types.CompletedPart{all, {all[0], all[2]}, all}
		plains := [][]byte{join(bodies...), join(bodies[0], bodies[2])}
		var wg sync.WaitGroup
		for i, c := range clients {
			wg.Go(func() {
				_, _ = c.CompleteMultipartUpload(s.Ctx, &s3.CompleteMultipartUploadInput{Bucket: &s.Bucket, Key: &key, UploadId: up.UploadId,
					MultipartUpload: &types.CompletedMultipartUpload{Parts: lists[i]}})
			})
		}
		wg.Wait()
		got, err := s.Read(key, "")
		if err != nil || !bytes.Equal(got, plains[0]) && !bytes.Equal(got, plains[1]) {
			t.Errorf("round %d: %d bytes, %v", round, len(got), err)
		}
		for i, c := range clients {
			out, err := c.GetObject(s.Ctx, &s3.GetObjectInput{Bucket: &s.Bucket, Key: &key, Range: aws.String("bytes=5242870-5242889")})
			if err != nil {
				t.Errorf("round %d, replica %d: %v", round, i, err)
				continue
			}
			b := make([]byte, 20)
			n, _ := out.Body.Read(b)
			out.Body.Close()
			if !bytes.Equal(b[:n], got[5242870:5242870+n]) {
				t.Errorf("round %d, replica %d: other bytes", round, i)
			}
		}
	}
}

// Row 36. A copy into another realm is encrypted anew; one within a realm keeps the body under the same key, and deleting
// the source does not touch it.
func TestCopiesAcrossRealmsShareNoCiphertext(t *testing.T) {
	s := NewScene(t, nil)
	body := suite.Data(200_000, 1)
	s.Put("k", body)
	raw := s.Load("k")
	from := s.Bucket
	to := servers.NewBucket(t, s.C)
	if _, err := s.C.CopyObject(s.Ctx, &s3.CopyObjectInput{Bucket: &to, Key: aws.String("k"), CopySource: aws.String(from + "/k")}); err != nil {
		t.Fatal(err)
	}
	s.Bucket = to
	copied := s.Load("k")
	have := map[string]bool{}
	for _, p := range packages(raw.Body) {
		have[string(p[16:48])] = true
	}
	for i, p := range packages(copied.Body) {
		if have[string(p[16:48])] {
			t.Errorf("package %d of the copy is the source's", i)
		}
	}
	if got, err := s.Read("k", ""); err != nil || !bytes.Equal(got, body) {
		t.Errorf("the copy: %v", err)
	}
}
