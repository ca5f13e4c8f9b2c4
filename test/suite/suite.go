// Package suite holds what every S3 client may expect of s3veil, as cases that run against any target: s3veil in front of
// any store, over http or https, or a bare store (which shows that the expectations are those of S3). One file per action.
package suite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// Env is what a case works with: a target, a client and a bucket of its own.
type Env struct {
	*testing.T
	Target *s3veil.Target
	C      *s3.Client
	Bucket string
	Ctx    context.Context
}

// Case is one named expectation.
type Case struct {
	Name string
	Run  func(e *Env)
}

// Cases lists every case.
func Cases() []Case {
	var all []Case
	for _, group := range [][]Case{putCases, getCases, listCases, copyCases, multipartCases, conditionCases, checksumCases,
		deleteCases, versionCases, keyCases, presignCases, errorCases, answerCases, settingCases, postCases, encryptionCases,
		framingCases, veilCases} {
		all = append(all, group...)
	}
	return all
}

// Run runs every case against target as subtests. except names cases that the target's bare store fails by itself, with
// the reason; it must be empty for s3veil unless a documented decision says otherwise.
func Run(t *testing.T, target *s3veil.Target, except map[string]string) {
	known := map[string]bool{}
	for _, c := range Cases() {
		if known[c.Name] {
			t.Fatalf("two cases are called %s", c.Name)
		}
		known[c.Name] = true
		if _, out := except[c.Name]; out {
			continue
		}
		if what := target.Crashed(); what != "" {
			t.Fatal(what)
		}
		t.Run(c.Name, func(t *testing.T) {
			client := target.Client()
			c.Run(&Env{T: t, Target: target, C: client, Bucket: servers.NewBucket(t, client), Ctx: context.Background()})
		})
	}
	for name := range except {
		if !known[name] {
			t.Errorf("exception for unknown case %s", name)
		}
	}
}

// Data returns n reproducible bytes that do not repeat; seed tells one object from another.
func Data(n int, seed uint64) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	b := make([]byte, n)
	rand.NewChaCha8(key).Read(b)
	return b
}

// Ok ends the test when err is not nil.
func (e *Env) Ok(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

// Fails checks that err is an S3 error with the given status and one of the codes.
func (e *Env) Fails(err error, status int, codes ...string) {
	e.Helper()
	if err == nil {
		e.Fatalf("no error; want %d %v", status, codes)
	}
	var re *awshttp.ResponseError
	if !errors.As(err, &re) {
		e.Fatalf("no answer of the server: %v", err)
	}
	if re.HTTPStatusCode() != status {
		e.Errorf("status %d, want %d: %v", re.HTTPStatusCode(), status, err)
	}
	var ae smithy.APIError
	if len(codes) == 0 || !errors.As(err, &ae) {
		return
	}
	for _, c := range codes {
		if ae.ErrorCode() == c {
			return
		}
	}
	e.Errorf("code %q, want %v: %v", ae.ErrorCode(), codes, err)
}

// Put stores body and returns the answer.
func (e *Env) Put(key string, body []byte, more ...func(*s3.PutObjectInput)) *s3.PutObjectOutput {
	e.Helper()
	in := &s3.PutObjectInput{Bucket: &e.Bucket, Key: &key, Body: bytes.NewReader(body)}
	for _, f := range more {
		f(in)
	}
	out, err := e.C.PutObject(e.Ctx, in)
	e.Ok(err)
	return out
}

// Get reads an object whole.
func (e *Env) Get(key string, more ...func(*s3.GetObjectInput)) ([]byte, *s3.GetObjectOutput) {
	e.Helper()
	in := &s3.GetObjectInput{Bucket: &e.Bucket, Key: &key}
	for _, f := range more {
		f(in)
	}
	out, err := e.C.GetObject(e.Ctx, in)
	e.Ok(err)
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	e.Ok(err)
	if out.ContentLength != nil && *out.ContentLength != int64(len(b)) {
		e.Errorf("content-length %d, %d bytes came", *out.ContentLength, len(b))
	}
	return b, out
}

// GetErr asks for an object and returns the error.
func (e *Env) GetErr(key string, more ...func(*s3.GetObjectInput)) error {
	in := &s3.GetObjectInput{Bucket: &e.Bucket, Key: &key}
	for _, f := range more {
		f(in)
	}
	out, err := e.C.GetObject(e.Ctx, in)
	if err == nil {
		out.Body.Close()
	}
	return err
}

// Head asks for an object's headers.
func (e *Env) Head(key string, more ...func(*s3.HeadObjectInput)) *s3.HeadObjectOutput {
	e.Helper()
	in := &s3.HeadObjectInput{Bucket: &e.Bucket, Key: &key}
	for _, f := range more {
		f(in)
	}
	out, err := e.C.HeadObject(e.Ctx, in)
	e.Ok(err)
	return out
}

// Absent checks that no object of that key is visible, neither at the target nor at its store.
func (e *Env) Absent(key string) {
	e.Helper()
	for who, c := range map[string]*s3.Client{"target": e.C, "store": e.Target.Store.Client()} {
		_, err := c.HeadObject(e.Ctx, &s3.HeadObjectInput{Bucket: &e.Bucket, Key: &key})
		var re *awshttp.ResponseError
		if !errors.As(err, &re) || re.HTTPStatusCode() != http.StatusNotFound {
			e.Errorf("%s at the %s: %v, want 404", key, who, err)
		}
	}
}

// Same compares bytes without printing them.
func (e *Env) Same(what string, got, want []byte) {
	e.Helper()
	if !bytes.Equal(got, want) {
		i := 0
		for i < len(got) && i < len(want) && got[i] == want[i] {
			i++
		}
		e.Errorf("%s: %d bytes (sha256 %x), want %d (%x); first difference at %d", what,
			len(got), sha256.Sum256(got), len(want), sha256.Sum256(want), i)
	}
}

// Equal compares two values.
func Equal[V comparable](e *Env, what string, got, want V) {
	e.Helper()
	if got != want {
		e.Errorf("%s = %v, want %v", what, got, want)
	}
}

func str(p *string) string { return aws.ToString(p) }

func num(p *int64) int64 {
	if p == nil {
		return -1
	}
	return *p
}

// part is a completed part for CompleteMultipartUpload.
func part(n int32, out *s3.UploadPartOutput) types.CompletedPart {
	return types.CompletedPart{PartNumber: aws.Int32(n), ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32,
		ChecksumCRC32C: out.ChecksumCRC32C, ChecksumCRC64NVME: out.ChecksumCRC64NVME, ChecksumSHA1: out.ChecksumSHA1,
		ChecksumSHA256: out.ChecksumSHA256}
}
