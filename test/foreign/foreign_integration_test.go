//go:build integration

package foreign

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

func TestMain(m *testing.M) { servers.Main(m, s3veil.RemoveBuild) }

// client compiles the writer and returns its class path. Maven keeps what it fetches in the user's cache.
func client(t *testing.T) string {
	t.Helper()
	out := t.TempDir()
	cmd := exec.Command("mvn", "-q", "-B", "compile", "dependency:copy-dependencies", "-DoutputDirectory="+out+"/lib", "-DbuildDirectory="+out)
	cmd.Dir = filepath.Join(out, "src")
	if err := os.CopyFS(cmd.Dir, os.DirFS("java")); err != nil {
		t.Fatal(err)
	}
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mvn: %v\n%s", err, text)
	}
	return filepath.Join(cmd.Dir, "target", "classes") + ":" + filepath.Join(out, "lib", "*")
}

// body is what the writer stores under a name that ends in its length.
func body(key string) []byte {
	n := 0
	fmt.Sscan(key[strings.LastIndex(key, "-")+1:], &n)
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 % 251)
	}
	return b
}

func TestObjectsOfTheRealClient(t *testing.T) {
	store, moto := servers.MustShared(t, servers.Versity), servers.MustMoto(t)
	admin := awskms.New(awskms.Options{Region: "us-east-1", BaseEndpoint: &moto,
		Credentials: credentials.NewStaticCredentialsProvider("AKIATEST", "secret-of-the-tests", "")})
	made, err := admin.CreateKey(t.Context(), &awskms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	dir, raw := t.TempDir(), make([]byte, 32)
	_, _ = rand.Read(raw)
	pair, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(pair)
	if err != nil {
		t.Fatal(err)
	}
	aesFile, rsaFile, text := filepath.Join(dir, "aes"), filepath.Join(dir, "rsa.pem"), base64.StdEncoding.EncodeToString(raw)
	for file, b := range map[string][]byte{aesFile: []byte(text + "\n"), rsaFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})} {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bucket := servers.NewBucket(t, store.Client())
	cmd := exec.Command("java", "-cp", client(t), "ForeignWriter", store.Endpoint, store.AccessKey, store.SecretKey, bucket, moto,
		*made.KeyMetadata.Arn, text, rsaFile)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cluster := s3veil.MustStart(t, s3veil.Options{Store: store, Configure: func(config map[string]any) {
		keys := config["kms"].(map[string]any)["keys"].([]any)
		config["kms"].(map[string]any)["keys"] = append(keys, map[string]any{"id": "old", "provider": "awskms", "key": *made.KeyMetadata.Arn,
			"endpoint": moto, "credentials": map[string]any{"access_key": "AKIATEST", "secret_key": "secret-of-the-tests"}})
		config["buckets"] = []any{map[string]any{"name": "*", "foreign": map[string]any{"read": true, "instruction_files": true,
			"keys": []any{map[string]any{"kms": "old", "context": []any{"team=blue"}}, map[string]any{"aes_file": aesFile},
				map[string]any{"rsa_file": rsaFile}}}}}
	}})
	c, n := cluster.Client(), 0
	pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			if strings.HasSuffix(*o.Key, ".instruction") {
				continue
			}
			n++
			want := body(*o.Key)
			if *o.Size != int64(len(want)) {
				t.Errorf("%s: listed with %d bytes", *o.Key, *o.Size)
			}
			if got := read(t, c, bucket, *o.Key, ""); !bytes.Equal(got, want) {
				t.Errorf("%s: %d other bytes", *o.Key, len(got))
			}
			if len(want) > 60 {
				if got := read(t, c, bucket, *o.Key, "bytes=7-59"); !bytes.Equal(got, want[7:60]) {
					t.Errorf("%s: another range", *o.Key)
				}
			}
		}
	}
	if n != 2*3*2*4 {
		t.Errorf("%d objects", n)
	}
	migrate(t, c, store, bucket, "v3-kms-meta-70000")
}

func read(t *testing.T, c *s3.Client, bucket, key, part string) []byte {
	t.Helper()
	in := &s3.GetObjectInput{Bucket: &bucket, Key: &key}
	if part != "" {
		in.Range = &part
	}
	out, err := c.GetObject(t.Context(), in)
	if err != nil {
		t.Errorf("%s: %v", key, err)
		return nil
	}
	defer out.Body.Close()
	got, err := io.ReadAll(out.Body)
	if err != nil {
		t.Errorf("%s: %v", key, err)
	}
	return got
}

// migrate copies an object onto itself: it is s3veil's then.
func migrate(t *testing.T, c *s3.Client, store *servers.Store, bucket, key string) {
	t.Helper()
	if _, err := c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: &bucket, Key: &key, CopySource: aws.String(bucket + "/" + key)}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, c, bucket, key, ""); !bytes.Equal(got, body(key)) {
		t.Error("another body after the copy")
	}
	head, err := store.Client().HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if err != nil || head.Metadata["s3veil"] == "" || head.Metadata["x-amz-3"] != "" {
		t.Errorf("metadata after the copy: %v, %v", head.Metadata, err)
	}
}
