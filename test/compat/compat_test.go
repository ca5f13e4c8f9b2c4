package compat

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/crypto/vector"
	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

func TestMain(m *testing.M) { servers.Main(m, s3veil.RemoveBuild) }

// readable are the object vectors that a client must be able to read.
func readable(t *testing.T) (out []*vector.Vector) {
	t.Helper()
	list, err := vector.Load("../../crypto/testdata/vectors", "object")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range list {
		if v.Expect() == vector.Success && !strings.HasPrefix(string(v.Bytes("key")), ".s3veil/") { // no client reads these
			out = append(out, v)
		}
	}
	if len(out) < 30 {
		t.Fatalf("%d vectors", len(out))
	}
	return out
}

func nameOf(v *vector.Vector) string { return "v-" + v.Name }

// store puts the stored form of a vector into a bucket of its own: manifests follow the body in the raw bytes.
func store(t *testing.T, c *s3.Client, v *vector.Vector) {
	t.Helper()
	bucket := aws.String(nameOf(v))
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(v.Name, err)
	}
	put := func(in *s3.PutObjectInput, key string, body []byte) {
		in.Bucket, in.Key, in.Body = bucket, &key, bytes.NewReader(body)
		if _, err := c.PutObject(t.Context(), in); err != nil {
			t.Fatal(v.Name, err)
		}
	}
	rest, manifests := len(v.Raw), v.All("manifest")
	for i := len(manifests) - 1; i >= 0; i-- {
		name, text, _ := strings.Cut(manifests[i], " ")
		length, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(v.Name, err)
		}
		put(&s3.PutObjectInput{}, name, v.Raw[rest-length:rest])
		rest -= length
	}
	put(withHeaders(t, v), string(v.Bytes("key")), v.Raw[:rest])
}

func withHeaders(t *testing.T, v *vector.Vector) *s3.PutObjectInput {
	t.Helper()
	in := &s3.PutObjectInput{Metadata: map[string]string{}}
	plain := map[string]**string{"cache-control": &in.CacheControl, "content-disposition": &in.ContentDisposition,
		"content-encoding": &in.ContentEncoding, "content-language": &in.ContentLanguage, "content-type": &in.ContentType}
	for _, h := range v.Pairs("header") {
		switch field, known := plain[h[0]]; {
		case known:
			*field = aws.String(h[1])
		case h[0] == "expires":
			at, err := time.Parse(http.TimeFormat, h[1])
			if err != nil {
				t.Fatal(err)
			}
			in.Expires = &at
		default:
			in.Metadata[strings.TrimPrefix(h[0], "x-amz-meta-")] = h[1]
		}
	}
	return in
}

// rules are the bucket rules under which the vectors were written.
func rules(t *testing.T, list []*vector.Vector, keys string) func(map[string]any) {
	t.Helper()
	var buckets []any
	wrapping := map[string]string{}
	for _, v := range list {
		buckets = append(buckets, map[string]any{"name": nameOf(v), "bound_name": string(v.Bytes("bucket")), "realm": string(v.Bytes("realm")),
			"binding": map[string]any{"read": []string{"key", "bucket", "none"}}})
		for _, kek := range v.All("kek") {
			id, key, _ := strings.Cut(kek, " ")
			raw, err := hex.DecodeString(key)
			if err != nil {
				t.Fatal(err)
			}
			wrapping[id] = base64.StdEncoding.EncodeToString(raw)
		}
	}
	text := fmt.Sprintf(`[{"id":"main","created":"2026-01-01T00:00:00Z","state":"active","key":%q}]`, wrapping["main"])
	if len(wrapping) != 1 || os.WriteFile(keys, []byte(text), 0o600) != nil {
		t.Fatal("keys of the vectors", len(wrapping))
	}
	return func(config map[string]any) {
		config["buckets"] = buckets
		config["kms"] = map[string]any{"keys": []any{map[string]any{"id": "main", "provider": "local", "file": keys}}}
	}
}

func TestWhatWasWrittenStaysReadable(t *testing.T) {
	bare, list := servers.MustStart(t, servers.Versity), readable(t)
	c := s3veil.MustStart(t, s3veil.Options{Store: bare, TLS: true, Configure: rules(t, list, filepath.Join(t.TempDir(), "keys.json"))})
	toStore, toVeil := s3veil.Bare(bare).Client(), c.Client()
	for _, v := range list {
		store(t, toStore, v)
		in := &s3.GetObjectInput{Bucket: aws.String(nameOf(v)), Key: aws.String(string(v.Bytes("key")))}
		if v.Has("customer-key") {
			key := base64.StdEncoding.EncodeToString(v.Bytes("customer-key"))
			sum := md5.Sum(v.Bytes("customer-key"))
			in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = aws.String("AES256"), &key, aws.String(base64.StdEncoding.EncodeToString(sum[:]))
		}
		got, err := toVeil.GetObject(t.Context(), in)
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		sum := sha256.New()
		n, err := io.Copy(sum, got.Body)
		got.Body.Close()
		if err != nil || strconv.FormatInt(n, 10) != v.Text("plaintext-length") || *got.ContentLength != n {
			t.Errorf("%s: %d bytes, want %s, %v", v.Name, n, v.Text("plaintext-length"), err)
		}
		if want := v.All("plaintext-sha256"); len(want) == 1 && hex.EncodeToString(sum.Sum(nil)) != want[0] {
			t.Errorf("%s: other bytes", v.Name)
		}
	}
}
