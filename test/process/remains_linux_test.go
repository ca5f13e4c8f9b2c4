package process

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
	"s3veil/crypto/kms/local"
	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

var writable = regexp.MustCompile(`^([0-9a-f]+)-([0-9a-f]+) rw`)

// copies counts how often a secret stands in the memory of a process.
func copies(t *testing.T, pid int, secret []byte) (n int) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	for line := range strings.Lines(string(maps)) {
		m := writable.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		from, _ := strconv.ParseInt(m[1], 16, 64)
		to, _ := strconv.ParseInt(m[2], 16, 64)
		b := make([]byte, to-from)
		if _, err := mem.ReadAt(b, from); err == nil {
			n += bytes.Count(b, secret)
		}
	}
	return n
}

// intermediate returns IKEK' of a stored object.
func intermediate(t *testing.T, c *s3veil.Cluster, bucket, key string) kms.Key32 {
	t.Helper()
	head, err := s3veil.Bare(c.Store).Client().HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := envelope.ParseText(head.Metadata["s3veil"])
	if err != nil {
		t.Fatal(err)
	}
	file, err := local.Open(filepath.Join(c.Dir, "keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ec := kms.RealmContext(bucket, nil)
	ikek, err := file.Provider().Unwrap(t.Context(), "main", sealed.Header().Wrapped, ec)
	if err != nil {
		t.Fatal(err)
	}
	return kms.Bind(ikek, ec)
}

// TestEvictedKeysLeaveTheMemory looks for an intermediate key in the memory of the program: there while it is cached, gone once
// others have taken its place, and work like that it was used for the stacks that it stood on. It needs root, as whoever
// else could do so does.
func TestEvictedKeysLeaveTheMemory(t *testing.T) {
	if os.Geteuid() != 0 {
		return
	}
	c := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), Configure: func(c map[string]any) {
		c["kms"].(map[string]any)["cache"] = map[string]any{"entries": 1}
	}})
	client, program := c.Client(), c.Replicas[0]
	bucket := servers.NewBucket(t, client)
	read := func(key string) {
		t.Helper()
		out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		defer out.Body.Close()
		if _, err := io.Copy(io.Discard, out.Body); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"first", "second", "third"} { // each by a process of its own, hence under a key of its own
		if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String(key), Body: strings.NewReader(key)}); err != nil {
			t.Fatal(err)
		}
		program.Stop()
		if err := program.Start(); err != nil {
			t.Fatal(err)
		}
	}
	evicted, cached := intermediate(t, c, bucket, "first"), intermediate(t, c, bucket, "third")
	read("first")
	if copies(t, program.PID(), evicted[:]) == 0 {
		t.Fatal("the key in use is not found, so that nothing can be said of others")
	}
	n := 1
	for range 100 {
		read("second")
		read("third")
		if n = copies(t, program.PID(), evicted[:]); n == 0 {
			break
		}
	}
	if n > 0 {
		t.Errorf("%d copies of the evicted key stay", n)
	}
	if copies(t, program.PID(), cached[:]) == 0 {
		t.Error("the key in use is not found")
	}
}
