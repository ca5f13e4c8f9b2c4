package gosdk

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

// TestVersion2Signatures runs a client that signs with version 2, as old programs do, where it is switched on and where
// it is not.
func TestVersion2Signatures(t *testing.T) {
	store := servers.MustShared(t, servers.Versity)
	for _, on := range []bool{false, true} {
		cluster := s3veil.MustStart(t, s3veil.Options{Store: store, TLS: true, Configure: func(c map[string]any) {
			c["clients"].([]any)[0].(map[string]any)["sigv2"] = on
		}})
		bucket := servers.NewBucket(t, cluster.Client())
		c, err := minio.New(strings.TrimPrefix(cluster.Endpoint(), "https://"), &minio.Options{
			Creds:  credentials.NewStaticV2(cluster.AccessKey, cluster.SecretKey, ""),
			Secure: true, Transport: cluster.HTTPClient().Transport, BucketLookup: minio.BucketLookupPath, MaxRetries: 1, Region: "us-east-1",
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		body := suite.Data(6<<20, 1)
		_, err = c.PutObject(ctx, bucket, "a/ü k", bytes.NewReader(body[:1000]), 1000, minio.PutObjectOptions{ContentType: "text/plain"})
		if !on {
			if minio.ToErrorResponse(err).Code != "InvalidRequest" {
				t.Errorf("not switched on: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.PutObject(ctx, bucket, "parts", bytes.NewReader(body), -1, minio.PutObjectOptions{PartSize: 5 << 20}); err != nil {
			t.Errorf("multipart: %v", err)
		}
		for key, want := range map[string][]byte{"a/ü k": body[:1000], "parts": body} {
			o, err := c.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(o); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %d bytes, %v", key, len(got), err)
			}
			u, err := c.PresignedGetObject(ctx, bucket, key, time.Hour, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := cluster.HTTPClient().Get(u.String())
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, want) || !strings.Contains(u.RawQuery, "AWSAccessKeyId") {
				t.Errorf("%s presigned: %d %.200s", u, resp.StatusCode, got)
			}
			resp.Body.Close()
		}
		n := 0
		for o := range c.ListObjects(ctx, bucket, minio.ListObjectsOptions{Recursive: true}) {
			if n++; o.Err != nil {
				t.Error(o.Err)
			}
		}
		if n != 2 {
			t.Errorf("%d objects listed", n)
		}
		testForm(t, cluster, c, bucket)
	}
}

// testForm uploads by a browser form whose policy is signed with version 2.
func testForm(t *testing.T, cluster *s3veil.Cluster, c *minio.Client, bucket string) {
	t.Helper()
	p := minio.NewPostPolicy()
	_, _, _ = p.SetBucket(bucket), p.SetKey("form"), p.SetExpires(time.Now().Add(time.Hour))
	u, fields, err := c.PresignedPostPolicy(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	if fields["AWSAccessKeyId"] == "" {
		t.Fatalf("not a form of version 2: %v", fields)
	}
	var b bytes.Buffer
	for name, value := range fields {
		b.WriteString("--x\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n")
	}
	b.WriteString("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nfrom a form\r\n--x--\r\n")
	req, _ := http.NewRequest("POST", u.String(), &b)
	req.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	resp, err := cluster.HTTPClient().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if doc, _ := io.ReadAll(resp.Body); resp.StatusCode/100 != 2 {
		t.Errorf("form: %d %s", resp.StatusCode, doc)
		return
	}
	o, err := c.GetObject(context.Background(), bucket, "form", minio.GetObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(o); err != nil || string(got) != "from a form" {
		t.Errorf("form: %q, %v", got, err)
	}
}
