//go:build !nodevstore && (linux || darwin || freebsd)

package main

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/crypto/kms/local"
	"s3veil/proxy/proxytest"
)

// twoStores configures two stores in memory: bucket left lies in the first, right in the second.
func twoStores(t *testing.T) (config string) {
	t.Helper()
	first, second := proxytest.New(t, "left"), proxytest.New(t, "right")
	dir := t.TempDir()
	if err := local.New(filepath.Join(dir, "keys.json"), "main", time.Now()); err != nil {
		t.Fatal(err)
	}
	return write(t, filepath.Join(dir, "s3veil.yaml"), fmt.Sprintf(`
listen: 127.0.0.1:0
admin: off
audit: {to: off}
upstream: {endpoint: "%s", credentials: {access_key: a, secret_key: b}}
upstreams: [{name: second, endpoint: "%s", credentials: {access_key: a, secret_key: b}}]
clients: [{access_key: one, secret_key: secret-one, buckets: ['*'], actions: [read, write]}]
kms: {keys: [{id: main, provider: local, file: keys.json}]}
buckets: [{name: left}, {name: right, upstream: second}]
`, first.URL, second.URL))
}

// The manifest of a copy's source lies in the source's store.
func TestMultipartObjectsAreCopiedFromStoreToStore(t *testing.T) {
	config := twoStores(t)
	writer := begin(t, "serve", "--config", config)
	content := multipart(t, writer.client("one", "secret-one"), "right", "large")
	writer.end(t)

	c := begin(t, "serve", "--config", config).client("one", "secret-one") // one that has no manifest in its cache
	_, err := c.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: aws.String("left"), Key: aws.String("copy"), CopySource: aws.String("right/large")})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := get(t.Context(), c, "left", "copy"); err != nil || got != string(content) {
		t.Errorf("copy: %d bytes, %v", len(got), err)
	}
	for _, object := range []string{"s3://left/copy", "s3://right/large"} {
		if code, i := inspect(t, config, object); code != exitOK || i.PlaintextSize != int64(len(content)) {
			t.Errorf("%s: exit code %d, %+v", object, code, i)
		}
	}
}
