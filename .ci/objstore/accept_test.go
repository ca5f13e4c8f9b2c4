// Package accept is compiled by install_objstore (.ci/lib.sh) in a module of its own: the acceptance test of the object store
// client that Thanos, Mimir, Loki and Cortex share, under a configuration file as Thanos reads it.
package accept

import (
	"bytes"
	"context"
	"io"
	"os"
	"testing"

	"github.com/go-kit/log"
	"github.com/thanos-io/objstore"
	"github.com/thanos-io/objstore/providers/s3"
	"gopkg.in/yaml.v2"
)

func bucket(t *testing.T) objstore.Bucket {
	t.Helper()
	text, err := os.ReadFile(os.Getenv("OBJSTORE_CONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Type   string
		Config any
	}
	if err := yaml.UnmarshalStrict(text, &file); err != nil || file.Type != "S3" {
		t.Fatal(err, file.Type)
	}
	conf, err := yaml.Marshal(file.Config)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s3.NewBucket(log.NewNopLogger(), conf, "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAcceptance(t *testing.T) { objstore.AcceptanceTest(t, bucket(t)) }

// A block is above the part size, and is read by ranges.
func TestBlock(t *testing.T) {
	b, ctx := bucket(t), context.Background()
	chunk := bytes.Repeat([]byte("0123456789abcdef"), 5<<20)
	if err := b.Upload(ctx, "01ABC/chunks/000001", bytes.NewReader(chunk)); err != nil {
		t.Fatal(err)
	}
	a, err := b.Attributes(ctx, "01ABC/chunks/000001")
	if err != nil || a.Size != int64(len(chunk)) {
		t.Fatal(err, a)
	}
	r, err := b.GetRange(ctx, "01ABC/chunks/000001", 70_000_001, 100)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, chunk[70_000_001:70_000_101]) {
		t.Fatal(err, got)
	}
}
