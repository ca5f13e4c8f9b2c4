//go:build integration

package legacy

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

// run runs a program and returns its output.
func run(env []string, dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = env, dir, time.Second
	timer := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// ways are the endpoints that programs use, each with what its environment needs for it.
func (s *site) ways() map[string][]string {
	return map[string][]string{
		"https://s3.eu-central-1.amazonaws.com": {"AWS_DEFAULT_REGION=eu-central-1", "AWS_CA_BUNDLE=" + s.ca, "CURL_CA_BUNDLE=" + s.ca},
		"http://" + endpoint:                    {"AWS_DEFAULT_REGION=us-east-1", "AWS_ENDPOINT_URL_S3=http://" + endpoint},
	}
}

func TestProgramsWithNothingButTheirEnvironment(t *testing.T) {
	s := newSite(t, nil)
	for way, env := range s.ways() {
		for name, program := range map[string]func(t *testing.T, env []string, way, bucket, dir string){"aws-cli": useAWS, "boto3": useBoto3, "curl": useCurl} {
			t.Run(name+" "+way, func(t *testing.T) {
				bucket, dir := servers.NewBucket(t, s.Client()), t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, "small"), suite.Data(100_000, 2), 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "large"), suite.Data(20<<20, 3), 0o600); err != nil {
					t.Fatal(err)
				}
				program(t, s.env(env...), way, bucket, dir)
				stored(t, s, bucket, suite.Data(100_000, 2))
			})
		}
	}
}

func same(t *testing.T, dir, got, want string) {
	t.Helper()
	a, errA := os.ReadFile(filepath.Join(dir, got))
	b, errB := os.ReadFile(filepath.Join(dir, want))
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("%s: %d bytes, %v; want %d", got, len(a), errA, len(b))
	}
}

func useAWS(t *testing.T, env []string, _, bucket, dir string) {
	for _, args := range [][]string{
		{"s3", "cp", "small", "s3://" + bucket + "/dir/key 2"}, {"s3", "cp", "large", "s3://" + bucket + "/dir/large"}, {"s3", "cp", "s3://" + bucket + "/dir/large", "back"},
		{"s3api", "copy-object", "--bucket", bucket, "--key", "dir/copy", "--copy-source", bucket + "/dir/large"}, {"s3", "ls", "s3://" + bucket + "/dir/"},
	} {
		if out, err := run(env, dir, "aws", args...); err != nil {
			t.Fatalf("aws %q: %v\n%s", args, err, out)
		}
	}
	same(t, dir, "back", "large")
}

func useBoto3(t *testing.T, env []string, _, bucket, dir string) {
	python := os.Getenv("S3VEIL_TEST_PYTHON")
	if python == "" {
		python = "python3"
	}
	const script = `
import boto3, os
c, b = boto3.client("s3"), os.environ["BUCKET"]
c.upload_file("small", b, "dir/key 2")
c.upload_file("large", b, "dir/large")
c.download_file(b, "dir/large", "back")
assert c.get_object(Bucket=b, Key="dir/key 2", Range="bytes=70000-70009")["Body"].read() == open("small", "rb").read()[70000:70010]
assert [o["Size"] for o in c.list_objects_v2(Bucket=b)["Contents"]] == [100000, 20 << 20]
c.delete_objects(Bucket=b, Delete={"Objects": [{"Key": "dir/large"}]})
`
	if out, err := run(append(env, "BUCKET="+bucket), dir, python, "-c", script); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	same(t, dir, "back", "large")
}

func useCurl(t *testing.T, env []string, way, bucket, dir string) {
	region, keys := "us-east-1", ""
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, "AWS_ACCESS_KEY_ID="); ok {
			keys = v
		}
		if v, ok := strings.CutPrefix(e, "AWS_SECRET_ACCESS_KEY="); ok {
			keys += ":" + v
		}
		if v, ok := strings.CutPrefix(e, "AWS_DEFAULT_REGION="); ok {
			region = v
		}
	}
	scheme, host, _ := strings.Cut(way, "://")
	sign := []string{"--silent", "--show-error", "--fail", "--aws-sigv4", "aws:amz:" + region + ":s3", "--user", keys, "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"}
	for _, args := range [][]string{
		{"-T", "small", fmt.Sprintf("%s://%s/%s/dir/key%%202", scheme, host, bucket)},
		{"-T", "large", fmt.Sprintf("%s://%s.%s/dir/large", scheme, bucket, host)},
		{"-o", "back", fmt.Sprintf("%s://%s.%s/dir/large", scheme, bucket, host)},
	} {
		if out, err := run(env, dir, "curl", append(sign, args...)...); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, out)
		}
	}
	same(t, dir, "back", "large")
}

// Other hosts are reached as if nobody stood in between: their own certificate, their own bytes. What is refused says why.
func TestProgramsReachOtherHosts(t *testing.T) {
	s := newSite(t, nil)
	other := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s over %v", r.URL, r.TLS != nil) }))
	defer other.Close()
	plain := httptest.NewServer(other.Config.Handler)
	defer plain.Close()
	dir := t.TempDir()
	bundle := filepath.Join(dir, "other.pem")
	leaf := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Certificate().Raw})
	if err := os.WriteFile(bundle, leaf, 0o600); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{other.URL + "/a//b": "/a//b over true", plain.URL + "/c?d": "/c?d over false"} {
		if out, err := run(s.env("CURL_CA_BUNDLE="+bundle), dir, "curl", "--silent", "--show-error", url); err != nil || out != want {
			t.Errorf("%s: %v %s", url, err, out)
		}
	}
	for url, want := range map[string]string{
		"https://a.s3-accesspoint.us-east-1.amazonaws.com/": "403", "https://169.254.169.254/": "403", s.Replicas[0].Admin + "/metrics": "s3veil itself",
		"http://169.254.169.254/latest/meta-data/": "reached for nobody", "https://" + strings.TrimPrefix(s.Endpoint(), "http://") + "/": "403",
	} {
		if out, _ := run(s.env("CURL_CA_BUNDLE="+s.ca), dir, "curl", "--silent", "--show-error", url); !strings.Contains(out, want) {
			t.Errorf("%s: %s", url, out)
		}
	}
	s.mustLog(t, "s3-accesspoint")
	if _, err := tls.Dial("tcp", strings.TrimPrefix(s.proxy, "http://"), &tls.Config{InsecureSkipVerify: true}); err == nil {
		t.Error("TLS on the forward port itself")
	}
}

// With to: host and credentials: client the application keeps its store and its keys; s3veil adds the encryption.
func TestProgramsKeepTheirStoreAndTheirKeys(t *testing.T) {
	own := servers.MustStart(t, servers.Versity)
	var proxy string
	c := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), AccessKey: own.AccessKey, SecretKey: own.SecretKey,
		Configure: func(config map[string]any) {
			ports, err := servers.FreePorts(1)
			if err != nil {
				t.Fatal(err)
			}
			proxy = fmt.Sprintf("127.0.0.1:%d", ports[0])
			config["forward"] = map[string]any{"listen": proxy, "hosts": []string{strings.TrimPrefix(own.Endpoint, "http://")}, "to": "host", "others": "deny"}
			config["upstream"].(map[string]any)["credentials"] = "client"
		}})
	s := &site{Cluster: c, proxy: "http://" + proxy}
	bucket, dir := servers.NewBucket(t, s3veil.Bare(own).Client()), t.TempDir()
	for name, size := range map[string]int{"small": 100_000, "large": 20 << 20} {
		if err := os.WriteFile(filepath.Join(dir, name), suite.Data(size, uint64(len(name)-3)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	useAWS(t, s.env("AWS_DEFAULT_REGION=us-east-1", "AWS_ENDPOINT_URL_S3="+own.Endpoint), own.Endpoint, bucket, dir)
	s.Store = own
	stored(t, s, bucket, suite.Data(100_000, 2))
}
