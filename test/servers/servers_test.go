package servers

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func TestVersityServesAndLeavesNothing(t *testing.T) { serves(t, Versity) }

func serves(t *testing.T, kind string) {
	s, err := Start(kind)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	c, ctx := s.Client(), context.Background()
	bucket := NewBucket(t, c)
	body := []byte("hello")
	if _, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("k"), Body: bytes.NewReader(body)}); err != nil {
		t.Fatal(err)
	}
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("k")})
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(out.Body)
	if err != nil || !bytes.Equal(got, body) {
		t.Fatalf("got %q, %v", got, err)
	}
	procs := s.procs
	s.Stop()
	for _, p := range procs {
		if p.Running() {
			t.Errorf("%s still runs", p.spec.Name)
		}
	}
	if _, err := os.Stat(s.Dir); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", s.Dir, err)
	}
}

func TestProcessReportsEarlyEnd(t *testing.T) {
	log := t.TempDir() + "/log"
	p, err := StartProcess(Spec{Name: "short", Path: "sh", Args: []string{"-c", "echo why it ended; exit 3"}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	err = p.Await(10*time.Second, func() error { return io.EOF })
	if err == nil || !strings.Contains(err.Error(), "why it ended") || !strings.Contains(err.Error(), "exit status 3") {
		t.Fatalf("err = %v", err)
	}
}

func TestStopEndsTheWholeGroup(t *testing.T) {
	dir := t.TempDir()
	p, err := StartProcess(Spec{Name: "parent", Path: "sh", Log: dir + "/log",
		Args: []string{"-c", "sleep 1000 & echo $! >" + dir + "/pid; wait"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Await(10*time.Second, func() error { _, err := os.Stat(dir + "/pid"); return err }); err != nil {
		t.Fatal(err)
	}
	p.Stop(5 * time.Second)
	if p.Running() {
		t.Fatal("still running")
	}
}

func TestCleanEnvDropsWhatSteersClients(t *testing.T) {
	t.Setenv("AWS_CA_BUNDLE", "x")
	t.Setenv("https_proxy", "x")
	t.Setenv("S3VEIL_LISTEN", "x")
	for _, v := range CleanEnv() {
		if strings.HasPrefix(v, "AWS_") || strings.HasPrefix(v, "https_proxy") || strings.HasPrefix(v, "S3VEIL_") {
			t.Errorf("%s kept", v)
		}
	}
}
