package servers

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Patient has n tests at a time run of those that call Parallel, where they wait more than they work. It goes before Main.
func Patient(n int) {
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(n)); err != nil {
		panic(err)
	}
}

// Main is what a TestMain that uses Shared calls: it runs the tests and stops the shared stores. After a failure their
// directories stay, for the logs, and are printed; S3VEIL_TEST_KEEP=0 removes them all the same.
func Main(m *testing.M, stop ...func(keep bool)) {
	code := m.Run()
	keep := code != 0 && os.Getenv("S3VEIL_TEST_KEEP") != "0"
	for _, f := range stop {
		f(keep)
	}
	for _, dir := range StopShared(keep) {
		fmt.Fprintln(os.Stderr, "kept for inspection:", dir)
	}
	os.Exit(code)
}

// MustShared returns the shared store of a kind or ends the test.
func MustShared(t testing.TB, kind string) *Store {
	t.Helper()
	s, err := Shared(kind)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// MustStart starts a store of the test's own and stops it with the test.
func MustStart(t testing.TB, kind string) *Store {
	t.Helper()
	s, err := Start(kind)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() && os.Getenv("S3VEIL_TEST_KEEP") != "0" {
			s.Keep()
			t.Logf("kept for inspection: %s", s.Dir)
			return
		}
		s.Stop()
	})
	return s
}

// NewBucket creates a bucket with a unique name through c. It is not removed: stores are thrown away whole.
func NewBucket(t testing.TB, c *s3.Client) string {
	t.Helper()
	var b [6]byte
	rand.Read(b[:])
	name := "t-" + hex.EncodeToString(b[:])
	if _, err := c.CreateBucket(context.Background(), &s3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
		t.Fatalf("create bucket: %v", err)
	}
	return name
}
