package gosdk

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	tmtypes "github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/encrypt"

	"s3veil/test/canary"
	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

const teamARN = "arn:aws:kms:eu-west-1:111122223333:key/0f2c"

// encryptingCluster is s3veil with TLS and two keys, over a store.
func encryptingCluster(t *testing.T, store *servers.Store) *s3veil.Cluster {
	t.Helper()
	binary, err := s3veil.Build()
	if err != nil {
		t.Fatal(err)
	}
	team := filepath.Join(t.TempDir(), "team.json")
	if out, err := exec.Command(binary, "keys", "new", "--out", team, "--id", "team").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	return s3veil.MustStart(t, s3veil.Options{Store: store, TLS: true, Configure: func(config map[string]any) {
		kms := config["kms"].(map[string]any)
		kms["keys"] = append(kms["keys"].([]any), map[string]any{"id": "team", "provider": "local", "file": team, "aliases": []string{teamARN, "alias/team"}})
		config["buckets"] = []any{map[string]any{"name": "*", "key": "main", "keys": []string{"main", "team"}}}
	}})
}

// mode is a way to ask for encryption, as the fields of the SDK's inputs are called.
type mode struct {
	name   string
	fields map[string]any // of a write
	read   map[string]any // of a read
	says   map[string]any // of every answer
}

// customerMode are the fields of SSE-C.
func customerMode(name string, key []byte) mode {
	sum := md5.Sum(key)
	fields := map[string]any{"SSECustomerAlgorithm": "AES256", "SSECustomerKey": base64.StdEncoding.EncodeToString(key),
		"SSECustomerKeyMD5": base64.StdEncoding.EncodeToString(sum[:])}
	return mode{name, fields, fields, map[string]any{"SSECustomerAlgorithm": "AES256", "SSECustomerKeyMD5": fields["SSECustomerKeyMD5"]}}
}

// canaryKey is a customer's key that the canary search finds in all forms.
var canaryKey = []byte(canary.Mark + "-32-bytes")

func modes() []mode {
	context := base64.StdEncoding.EncodeToString([]byte(`{"app":"x"}`))
	kms := types.ServerSideEncryptionAwsKms
	return []mode{
		{"none", nil, nil, map[string]any{"ServerSideEncryption": types.ServerSideEncryptionAes256}},
		{"SSE-S3", map[string]any{"ServerSideEncryption": types.ServerSideEncryptionAes256}, nil, map[string]any{"ServerSideEncryption": types.ServerSideEncryptionAes256}},
		{"SSE-KMS", map[string]any{"ServerSideEncryption": kms}, nil, map[string]any{"ServerSideEncryption": kms, "SSEKMSKeyId": "main"}},
		{"SSE-KMS-ARN", map[string]any{"ServerSideEncryption": kms, "SSEKMSKeyId": teamARN, "SSEKMSEncryptionContext": context, "BucketKeyEnabled": true}, nil,
			map[string]any{"ServerSideEncryption": kms, "SSEKMSKeyId": teamARN, "BucketKeyEnabled": true}},
		customerMode("SSE-C", canaryKey),
	}
}

// fill sets the fields that an input has; prefix is that of copy sources.
func fill[T any](in *T, prefix string, fields map[string]any) *T {
	v := reflect.ValueOf(in).Elem()
	for name, value := range fields {
		f := v.FieldByName(prefix + name)
		if !f.IsValid() {
			f = v.FieldByName(strings.ReplaceAll(prefix+name, "KeyId", "KeyID"))
		}
		if !f.IsValid() {
			continue
		}
		if f.Kind() == reflect.Pointer {
			p := reflect.New(f.Type().Elem())
			p.Elem().Set(reflect.ValueOf(value))
			f.Set(p)
		} else {
			f.Set(reflect.ValueOf(value).Convert(f.Type()))
		}
	}
	return in
}

// says compares the encryption fields of an answer with a mode's.
func says(t *testing.T, what string, out any, m mode) {
	t.Helper()
	v := reflect.ValueOf(out).Elem()
	for _, name := range []string{"ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled", "SSECustomerAlgorithm", "SSECustomerKeyMD5"} {
		f := v.FieldByName(name)
		if !f.IsValid() {
			continue
		}
		got := reflect.Indirect(f)
		want, set := m.says[name]
		if set != (got.IsValid() && !got.IsZero()) || set && fmt.Sprint(got.Interface()) != fmt.Sprint(want) {
			t.Errorf("%s: %s of %s: %v, want %v", m.name, what, name, got, want)
		}
	}
}

func TestEncryptionModesOfTheSDK(t *testing.T) {
	target := &encryptingCluster(t, servers.MustShared(t, servers.Versity)).Target
	c, ctx := target.Client(), context.Background()
	bucket := servers.NewBucket(t, c)
	for i, m := range modes() {
		for _, n := range []int{0, 5000, 3 << 20} {
			body := suite.Data(n, uint64(n+i))
			put, err := c.PutObject(ctx, fill(&s3.PutObjectInput{Bucket: &bucket, Key: &m.name, Body: bytes.NewReader(body)}, "", m.fields))
			if err != nil {
				t.Fatalf("%s: %v", m.name, err)
			}
			says(t, "PUT", put, m)
			checkEncrypted(t, c, bucket, m.name, m, body)
		}
		transferEncrypted(t, c, bucket, m, suite.Data(11<<20+7, uint64(i)))
	}
	for _, from := range modes() {
		for _, to := range modes() {
			in := fill(fill(&s3.CopyObjectInput{Bucket: &bucket, Key: aws.String("copy"), CopySource: aws.String(bucket + "/" + from.name)}, "", to.fields), "CopySource", from.read)
			out, err := c.CopyObject(ctx, in)
			if err != nil {
				t.Errorf("%s to %s: %v", from.name, to.name, err)
				continue
			}
			says(t, "copy", out, to)
			get, err := c.GetObject(ctx, fill(&s3.GetObjectInput{Bucket: &bucket, Key: aws.String("copy")}, "", to.read))
			if err != nil {
				t.Errorf("%s to %s: %v", from.name, to.name, err)
				continue
			}
			n, err := io.Copy(io.Discard, get.Body)
			if err != nil || n != 3<<20 {
				t.Errorf("%s to %s: %d bytes, %v", from.name, to.name, n, err)
			}
			get.Body.Close()
			copyPartsEncrypted(t, c, bucket, from, to)
		}
	}
}

// checkEncrypted reads an object in every way and without its key.
func checkEncrypted(t *testing.T, c *s3.Client, bucket, key string, m mode, body []byte) {
	t.Helper()
	ctx := context.Background()
	get, err := c.GetObject(ctx, fill(&s3.GetObjectInput{Bucket: &bucket, Key: &key}, "", m.read))
	if err != nil {
		t.Fatalf("%s: %v", m.name, err)
	}
	got, err := io.ReadAll(get.Body)
	get.Body.Close()
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("%s: %d bytes of %d, %v", m.name, len(got), len(body), err)
	}
	says(t, "GET", get, m)
	head, err := c.HeadObject(ctx, fill(&s3.HeadObjectInput{Bucket: &bucket, Key: &key}, "", m.read))
	if err != nil || *head.ContentLength != int64(len(body)) || *head.ETag != *get.ETag {
		t.Fatalf("%s: %+v, %v", m.name, head, err)
	}
	says(t, "HEAD", head, m)
	attrs, err := c.GetObjectAttributes(ctx, fill(&s3.GetObjectAttributesInput{Bucket: &bucket, Key: &key,
		ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesObjectSize}}, "", m.read))
	if err != nil || *attrs.ObjectSize != int64(len(body)) {
		t.Errorf("%s: attributes %+v, %v", m.name, attrs, err)
	}
	if m.read == nil {
		return
	}
	_, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	refusedWith(t, "no key", err, 400, "InvalidRequest")
	wrong := customerMode("wrong", []byte("another application's, 32 bytes!"))
	_, err = c.GetObject(ctx, fill(&s3.GetObjectInput{Bucket: &bucket, Key: &key}, "", wrong.read))
	refusedWith(t, "wrong key", err, 403, "AccessDenied")
	_, err = c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	refusedWith(t, "HEAD", err, 400, "BadRequest")
}

func refusedWith(t *testing.T, what string, err error, status int, code string) {
	t.Helper()
	var api smithy.APIError
	var resp interface{ HTTPStatusCode() int }
	if !errors.As(err, &api) || !errors.As(err, &resp) || resp.HTTPStatusCode() != status || api.ErrorCode() != code {
		t.Errorf("%s: %v", what, err)
	}
}

// transferEncrypted sends and fetches an object of parts by the transfer manager.
func transferEncrypted(t *testing.T, c *s3.Client, bucket string, m mode, body []byte) {
	t.Helper()
	ctx, key := context.Background(), m.name+"-parts"
	transfers := transfermanager.New(c)
	fields := map[string]any{}
	for name, value := range m.fields {
		if sse, ok := value.(types.ServerSideEncryption); ok {
			value = tmtypes.ServerSideEncryption(sse)
		}
		fields[name] = value
	}
	_, err := transfers.UploadObject(ctx, fill(&transfermanager.UploadObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)}, "", fields))
	if err != nil {
		t.Fatalf("%s: upload: %v", m.name, err)
	}
	checkEncrypted(t, c, bucket, key, m, body)
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := transfers.DownloadObject(ctx, fill(&transfermanager.DownloadObjectInput{Bucket: &bucket, Key: &key, WriterAt: out}, "", m.read)); err != nil {
		t.Fatalf("%s: download: %v", m.name, err)
	}
	if got, err := os.ReadFile(out.Name()); err != nil || !bytes.Equal(got, body) {
		t.Errorf("%s: %d other bytes, %v", m.name, len(got), err)
	}
}

// copyPartsEncrypted makes an object of a range of another, encrypted otherwise.
func copyPartsEncrypted(t *testing.T, c *s3.Client, bucket string, from, to mode) {
	t.Helper()
	ctx, key := context.Background(), aws.String("copied-parts")
	what := from.name + " to " + to.name
	up, err := c.CreateMultipartUpload(ctx, fill(&s3.CreateMultipartUploadInput{Bucket: &bucket, Key: key}, "", to.fields))
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	says(t, "create", up, to)
	in := &s3.UploadPartCopyInput{Bucket: &bucket, Key: key, UploadId: up.UploadId, PartNumber: aws.Int32(1),
		CopySource: aws.String(bucket + "/" + from.name), CopySourceRange: aws.String("bytes=100000-200000")}
	part, err := c.UploadPartCopy(ctx, fill(fill(in, "", to.read), "CopySource", from.read))
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	says(t, "part", part, to)
	done, err := c.CompleteMultipartUpload(ctx, fill(&s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: key, UploadId: up.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: part.CopyPartResult.ETag}}}}, "", to.read))
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	says(t, "complete", done, to)
	head, err := c.HeadObject(ctx, fill(&s3.HeadObjectInput{Bucket: &bucket, Key: key}, "", to.read))
	if err != nil || *head.ContentLength != 100001 {
		t.Errorf("%s: %+v, %v", what, head, err)
	}
}

func TestEncryptionModesOfMinioGo(t *testing.T) {
	target := &encryptingCluster(t, servers.MustShared(t, servers.Versity)).Target
	c, ctx := minioClient(t, target), context.Background()
	bucket := servers.NewBucket(t, target.Client())
	kms, err := encrypt.NewSSEKMS("alias/team", map[string]string{"app": "x"})
	if err != nil {
		t.Fatal(err)
	}
	customer, err := encrypt.NewSSEC(canaryKey)
	if err != nil {
		t.Fatal(err)
	}
	ways := map[string]encrypt.ServerSide{"s3": encrypt.NewSSE(), "kms": kms, "customer": customer}
	reading := func(way encrypt.ServerSide) encrypt.ServerSide {
		if way.Type() == encrypt.SSEC {
			return way
		}
		return nil
	}
	same := func(what, key string, way encrypt.ServerSide, body []byte) {
		t.Helper()
		info, err := c.StatObject(ctx, bucket, key, minio.StatObjectOptions{ServerSideEncryption: reading(way)})
		if err != nil || info.Size != int64(len(body)) {
			t.Errorf("%s: stat %d, %v", what, info.Size, err)
		}
		obj, err := c.GetObject(ctx, bucket, key, minio.GetObjectOptions{ServerSideEncryption: reading(way)})
		if err != nil {
			t.Fatal(err)
		}
		defer obj.Close()
		if got, err := io.ReadAll(obj); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%s: %d bytes of %d, %v", what, len(got), len(body), err)
		}
	}
	for name, way := range ways {
		for _, n := range []int{0, 100_000, 17<<20 + 5} {
			body := suite.Data(n, uint64(n))
			if _, err := c.PutObject(ctx, bucket, name, bytes.NewReader(body), int64(n), minio.PutObjectOptions{ServerSideEncryption: way}); err != nil {
				t.Fatalf("%s: %d: %v", name, n, err)
			}
			same(name, name, way, body)
		}
		body := suite.Data(6<<20, 9)
		_, err := c.PutObject(ctx, bucket, name, io.MultiReader(bytes.NewReader(body)), -1, minio.PutObjectOptions{PartSize: 5 << 20, ServerSideEncryption: way})
		if err != nil {
			t.Fatalf("%s: of unknown length: %v", name, err)
		}
		same(name+" of unknown length", name, way, body)
	}
	body := suite.Data(6<<20, 9)
	for from, source := range ways {
		for to, way := range ways {
			src := minio.CopySrcOptions{Bucket: bucket, Object: from, Encryption: reading(source)}
			dst := minio.CopyDestOptions{Bucket: bucket, Object: "copy", Encryption: way}
			if _, err := c.CopyObject(ctx, dst, src); err != nil {
				t.Errorf("%s to %s: %v", from, to, err)
				continue
			}
			same(from+" to "+to, "copy", way, body)
			if _, err := c.ComposeObject(ctx, dst, src, src); err != nil {
				t.Errorf("%s composed to %s: %v", from, to, err)
				continue
			}
			same(from+" composed to "+to, "copy", way, append(bytes.Clone(body), body...))
		}
	}
}

// A presigned URL says how an object is encrypted; a customer's key travels in headers that it signs.
func TestPresignedURLsNameTheEncryption(t *testing.T) {
	target := &encryptingCluster(t, servers.MustShared(t, servers.Versity)).Target
	c, ctx := target.Client(), context.Background()
	bucket, presign := servers.NewBucket(t, c), s3.NewPresignClient(c)
	client := target.HTTPClient()
	for _, m := range modes() {
		put, err := presign.PresignPutObject(ctx, fill(&s3.PutObjectInput{Bucket: &bucket, Key: &m.name}, "", m.fields))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(put.URL, "customer-key=") {
			t.Errorf("%s: the key is in the URL", m.name)
		}
		send := func(method, url string, header http.Header, body string) (int, string) {
			r, err := http.NewRequest(method, url, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			for name, values := range header {
				if name != "Host" {
					r.Header[name] = values
				}
			}
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			got, _ := io.ReadAll(resp.Body)
			return resp.StatusCode, string(got)
		}
		if status, doc := send("PUT", put.URL, put.SignedHeader, "hello"); status != 200 {
			t.Fatalf("%s: PUT %d %s", m.name, status, doc)
		}
		checkEncrypted(t, c, bucket, m.name, m, []byte("hello"))
		get, err := presign.PresignGetObject(ctx, fill(&s3.GetObjectInput{Bucket: &bucket, Key: &m.name}, "", m.read))
		if err != nil {
			t.Fatal(err)
		}
		if status, got := send("GET", get.URL, get.SignedHeader, ""); status != 200 || got != "hello" {
			t.Errorf("%s: GET %d %s", m.name, status, got)
		}
	}
}

// Neither the customer's key nor its MD5 is found in anything that the store or s3veil keeps: contents, names, attributes, logs.
func TestCustomerKeysReachNeitherStoreNorLog(t *testing.T) {
	store := servers.MustStart(t, servers.Versity)
	cluster := encryptingCluster(t, store)
	c, ctx := cluster.Client(), context.Background()
	bucket, m := servers.NewBucket(t, c), customerMode("SSE-C", canaryKey)
	put := func(key string, m mode) error {
		_, err := c.PutObject(ctx, fill(&s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("hello")}, "", m.fields))
		return err
	}
	if err := put("key", m); err != nil {
		t.Fatal(err)
	}
	checkEncrypted(t, c, bucket, "key", m, []byte("hello"))
	transferEncrypted(t, c, bucket, m, suite.Data(6<<20, 1))
	copyPartsEncrypted(t, c, bucket, mode{name: "SSE-C-parts", read: m.read}, m)
	if up, err := c.CreateMultipartUpload(ctx, fill(&s3.CreateMultipartUploadInput{Bucket: &bucket, Key: aws.String("open")}, "", m.fields)); err != nil || up.UploadId == nil {
		t.Fatal(err)
	}
	faulty := customerMode("faulty", append([]byte(canary.Mark), 'x'))
	if err := put("refused", faulty); err == nil {
		t.Error("a key of 24 bytes was accepted")
	}
	conflict := customerMode("conflict", canaryKey)
	conflict.fields["ServerSideEncryption"] = types.ServerSideEncryptionAes256
	if err := put("refused", conflict); err == nil {
		t.Error("two methods were accepted")
	}
	cluster.Keep()
	sum := md5.Sum(canaryKey)
	found, searched, err := canary.Search([]string{store.Dir, cluster.Dir}, [][]byte{sum[:], []byte(base64.StdEncoding.EncodeToString(sum[:])), []byte("customer-key")})
	if err != nil || len(found) != 0 || searched < 6<<20 {
		t.Errorf("%q in %d bytes, %v", found, searched, err)
	}
}
