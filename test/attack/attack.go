// Package attack plays the enemies of docs/THREATS.md against the program: a store that changes, replaces, mixes and
// withholds what it keeps, a thief of the store's credentials, clients that die, lie or smuggle. Each test names its row.
package attack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// Scene is a store, s3veil in front of it, and a bucket.
type Scene struct {
	*testing.T
	Ctx    context.Context
	Veil   *s3veil.Cluster
	C      *s3.Client // through s3veil
	Store  *s3.Client // behind its back
	Bucket string
}

// NewScene starts s3veil over the shared store.
func NewScene(t *testing.T, configure func(map[string]any)) *Scene {
	t.Helper()
	store := servers.MustShared(t, servers.Versity)
	veil := s3veil.MustStart(t, s3veil.Options{Store: store, Configure: configure})
	c := veil.Client(func(o *s3.Options) { o.RetryMaxAttempts = 1 })
	return &Scene{T: t, Ctx: context.Background(), Veil: veil, C: c, Store: store.Client(), Bucket: servers.NewBucket(t, c)}
}

// Put stores an object through s3veil.
func (s *Scene) Put(key string, body []byte, more ...func(*s3.PutObjectInput)) {
	s.Helper()
	in := &s3.PutObjectInput{Bucket: &s.Bucket, Key: &key, Body: bytes.NewReader(body)}
	for _, f := range more {
		f(in)
	}
	if _, err := s.C.PutObject(s.Ctx, in); err != nil {
		s.Fatal(err)
	}
}

// Multipart stores an object of parts through s3veil.
func (s *Scene) Multipart(key string, bodies ...[]byte) {
	s.Helper()
	up, err := s.C.CreateMultipartUpload(s.Ctx, &s3.CreateMultipartUploadInput{Bucket: &s.Bucket, Key: &key})
	if err != nil {
		s.Fatal(err)
	}
	var parts []types.CompletedPart
	for i, b := range bodies {
		n := aws.Int32(int32(i + 1))
		out, err := s.C.UploadPart(s.Ctx, &s3.UploadPartInput{Bucket: &s.Bucket, Key: &key, UploadId: up.UploadId, PartNumber: n,
			Body: bytes.NewReader(b)}, func(o *s3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired })
		if err != nil {
			s.Fatal(err)
		}
		parts = append(parts, types.CompletedPart{PartNumber: n, ETag: out.ETag})
	}
	if _, err := s.C.CompleteMultipartUpload(s.Ctx, &s3.CompleteMultipartUploadInput{Bucket: &s.Bucket, Key: &key,
		UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}}); err != nil {
		s.Fatal(err)
	}
}

// Raw is an object as it lies in the store.
type Raw struct {
	Body        []byte
	Meta        map[string]string
	ContentType string
}

func (r Raw) clone() Raw {
	return Raw{Body: bytes.Clone(r.Body), Meta: maps.Clone(r.Meta), ContentType: r.ContentType}
}

// Load reads an object behind s3veil's back.
func (s *Scene) Load(key string) Raw {
	s.Helper()
	out, err := s.Store.GetObject(s.Ctx, &s3.GetObjectInput{Bucket: &s.Bucket, Key: &key})
	if err != nil {
		s.Fatal(err)
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	if err != nil {
		s.Fatal(err)
	}
	return Raw{Body: b, Meta: out.Metadata, ContentType: aws.ToString(out.ContentType)}
}

// Plant writes an object behind s3veil's back.
func (s *Scene) Plant(key string, r Raw) {
	s.Helper()
	if _, err := s.Store.PutObject(s.Ctx, &s3.PutObjectInput{Bucket: &s.Bucket, Key: &key, Body: bytes.NewReader(r.Body),
		Metadata: r.Meta, ContentType: &r.ContentType}); err != nil {
		s.Fatal(err)
	}
}

// Read gets an object, or a range of it, through s3veil: what came, and the error that ended it. A body that ends before
// its Content-Length is an error.
func (s *Scene) Read(key, byteRange string) ([]byte, error) {
	in := &s3.GetObjectInput{Bucket: &s.Bucket, Key: &key}
	if byteRange != "" {
		in.Range = &byteRange
	}
	out, err := s.C.GetObject(s.Ctx, in)
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	if err == nil && int64(len(b)) != aws.ToInt64(out.ContentLength) {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

// Refused checks that reading the object ends in an error, and that whatever came before it is true plaintext.
func (s *Scene) Refused(what, key, byteRange string, plain []byte) {
	s.Helper()
	got, err := s.Read(key, byteRange)
	if err == nil {
		s.Errorf("%s: %s %s was read without an error (%d bytes)", what, key, byteRange, len(got))
		return
	}
	if !bytes.HasPrefix(plain, got) {
		s.Errorf("%s: %s %s released %d bytes that are not its plaintext", what, key, byteRange, len(got))
	}
}

// RefusedAtOnce checks that the object is refused with 422 before any byte.
func (s *Scene) RefusedAtOnce(what, key string) {
	s.Helper()
	_, err := s.Read(key, "")
	if got := Status(err); got != http.StatusUnprocessableEntity {
		s.Errorf("%s: GET %s: %d, want 422: %v", what, key, got, err)
	}
	_, err = s.C.HeadObject(s.Ctx, &s3.HeadObjectInput{Bucket: &s.Bucket, Key: &key})
	if got := Status(err); got != http.StatusUnprocessableEntity {
		s.Errorf("%s: HEAD %s: %d, want 422: %v", what, key, got, err)
	}
}

// Status is the HTTP status of an error answer, 0 where there was none.
func Status(err error) int {
	var re *awshttp.ResponseError
	if errors.As(err, &re) {
		return re.HTTPStatusCode()
	}
	return 0
}

// Metric returns the value of the first sample whose line begins with name, or "" where there is none.
func (s *Scene) Metric(name string) string {
	s.Helper()
	resp, err := http.Get(s.Veil.Replicas[0].Admin + "/metrics")
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, name) {
			return strings.TrimSpace(line[strings.LastIndexByte(strings.TrimSpace(line), ' ')+1:])
		}
	}
	return ""
}

// packages cuts a stored body into DARE packages of at most 65,536 bytes of payload.
func packages(body []byte) [][]byte {
	var out [][]byte
	for len(body) > 0 {
		n := min(len(body), 16+64<<10+16)
		out, body = append(out, body[:n]), body[n:]
	}
	return out
}

func join(list ...[]byte) []byte { return bytes.Join(list, nil) }

func spec(first, last int) string { return fmt.Sprintf("bytes=%d-%d", first, last) }
