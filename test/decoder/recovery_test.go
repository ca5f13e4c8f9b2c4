//go:build integration

package decoder

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/servers"
)

// The commands of docs/RECOVERY.md, as they stand there, recover what lies in a real store.
func TestRecoveryPageAgainstAStore(t *testing.T) {
	page, err := os.ReadFile("../../docs/RECOVERY.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, begin := range []string{"mkdir copy\n", "mkdir plain\n", "export TARGET=recovered\n"} {
		_, block, ok := strings.Cut(string(page), "```sh run\n"+begin)
		block, _, end := strings.Cut(block, "```")
		if !ok || !end {
			t.Fatalf("the page has no block that begins with %q", begin)
		}
		blocks = append(blocks, begin+block)
	}
	store := servers.MustStart(t, servers.Versity)
	client := store.Client()
	for _, name := range []string{"all-headers", "multipart-unaligned", "second-name-wins"} {
		t.Run(name, func(t *testing.T) {
			v, dir, keys := copyOf(t, name)
			bucket := servers.NewBucket(t, client)
			target := bucket + "-recovered"
			upload(t, client, bucket, dir, v.Pairs("header"))

			work := t.TempDir()
			root, err := filepath.Abs("../..")
			if err != nil {
				t.Fatal(err)
			}
			for link, to := range map[string]string{"test": filepath.Join(root, "test"), "keys.json": keys} {
				if err := os.Symlink(to, filepath.Join(work, link)); err != nil {
					t.Fatal(err)
				}
			}
			for i, block := range blocks {
				cmd := exec.Command("sh", "-ec", strings.ReplaceAll(block, "TARGET=recovered", "TARGET="+target))
				cmd.Dir = work
				cmd.Env = append(servers.CleanEnv(), "STORE_BUCKET="+bucket, "BOUND=bkt", "REALM=default",
					"AWS_ACCESS_KEY_ID="+store.AccessKey, "AWS_SECRET_ACCESS_KEY="+store.SecretKey, "AWS_DEFAULT_REGION="+servers.Region,
					"AWS_ENDPOINT_URL="+store.Endpoint, "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/nonexistent", "AWS_SHARED_CREDENTIALS_FILE=/nonexistent")
				if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "warning") {
					t.Fatalf("block %d: %v\n%s\n%s", i, err, block, out)
				}
			}
			got, err := client.GetObject(context.Background(), &s3.GetObjectInput{Bucket: &target, Key: aws.String(string(v.Bytes("key")))})
			if err != nil {
				t.Fatal(err)
			}
			defer got.Body.Close()
			var plain bytes.Buffer
			if _, err := plain.ReadFrom(got.Body); err != nil {
				t.Fatal(err)
			}
			if strconv.Itoa(plain.Len()) != v.Text("plaintext-length") {
				t.Errorf("%d bytes", plain.Len())
			}
		})
	}
}

// upload puts the encrypted object of a copied bucket, and its manifests, into a store.
func upload(t *testing.T, client *s3.Client, bucket, dir string, headers [][2]string) {
	t.Helper()
	in := &s3.PutObjectInput{Metadata: map[string]string{}}
	for _, h := range headers {
		value := aws.String(h[1])
		switch h[0] {
		case "cache-control":
			in.CacheControl = value
		case "content-disposition":
			in.ContentDisposition = value
		case "content-encoding":
			in.ContentEncoding = value
		case "content-language":
			in.ContentLanguage = value
		case "content-type":
			in.ContentType = value
		case "expires":
			at, err := time.Parse(http.TimeFormat, h[1])
			if err != nil {
				t.Fatal(err)
			}
			in.Expires = &at
		default:
			in.Metadata[strings.TrimPrefix(h[0], "x-amz-meta-")] = h[1]
		}
	}
	for n, key := range keysOf(t, dir) {
		if n == 0 {
			continue // the object that never was encrypted
		}
		body, err := os.ReadFile(filepath.Join(dir, strconv.Itoa(n+1)+".body"))
		if err != nil {
			t.Fatal(err)
		}
		put := &s3.PutObjectInput{}
		if n == 1 {
			put = in
		}
		put.Bucket, put.Key, put.Body = &bucket, aws.String(key), bytes.NewReader(body)
		if _, err := client.PutObject(context.Background(), put); err != nil {
			t.Fatal(err)
		}
	}
}
