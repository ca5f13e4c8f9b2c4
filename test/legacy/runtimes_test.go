//go:build integration

package legacy

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/servers"
)

// urls are an upload and a download, presigned for AWS as an application has them from elsewhere.
func (s *site) urls(t *testing.T, bucket string) (put, get string) {
	t.Helper()
	p := s3.NewPresignClient(servers.NewClient("https://s3.eu-west-1.amazonaws.com", s.AccessKey, s.SecretKey), s3.WithPresignExpires(time.Minute))
	up, err := p.PresignPutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("dir/key 2")})
	if err != nil {
		t.Fatal(err)
	}
	down, err := p.PresignGetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("dir/key 2")})
	if err != nil {
		t.Fatal(err)
	}
	return up.URL, down.URL
}

// The recipe for Java of docs/LEGACY.md: a copy of its list of authorities with one more, and properties for the proxy.
func TestJavaWithATruststore(t *testing.T) {
	s := newSite(t, nil)
	bucket, dir := servers.NewBucket(t, s.Client()), t.TempDir()
	home, err := run(servers.CleanEnv(), dir, "java", "-XshowSettings:properties", "-version")
	if err != nil {
		t.Fatalf("%v\n%s", err, home)
	}
	_, home, _ = strings.Cut(home, "java.home = ")
	home, _, _ = strings.Cut(home, "\n")
	list, err := os.ReadFile(filepath.Join(strings.TrimSpace(home), "lib/security/cacerts"))
	if err != nil {
		t.Fatal(err)
	}
	store := filepath.Join(dir, "truststore")
	if err := os.WriteFile(store, list, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run(servers.CleanEnv(), dir, "keytool", "-importcert", "-noprompt", "-alias", "s3veil", "-file", s.ca, "-keystore", store, "-storepass", "changeit"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	proxy, err := url.Parse(s.proxy)
	if err != nil {
		t.Fatal(err)
	}
	put, get := s.urls(t, bucket)
	app, err := filepath.Abs("java/App.java")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-Dhttps.proxyHost=" + proxy.Hostname(), "-Dhttps.proxyPort=" + proxy.Port(), app, put, get}
	trust := []string{"-Djavax.net.ssl.trustStore=" + store, "-Djavax.net.ssl.trustStorePassword=changeit"}
	if out, err := run(servers.CleanEnv(), dir, "java", append(trust, args...)...); err != nil || !strings.Contains(out, "done") {
		t.Errorf("%v\n%s", err, out)
	}
	stored(t, s, bucket, []byte(strings.Repeat("the application's bytes ", 10_000)))
	if out, err := run(servers.CleanEnv(), dir, "java", args...); err == nil || !strings.Contains(out, "SSLHandshakeException") {
		t.Errorf("without the authority: %v\n%s", err, out)
	}
	s.mustLog(t, "does not trust the forward proxy")
}

func TestNodeWithAnExtraAuthority(t *testing.T) {
	s := newSite(t, nil)
	bucket, dir := servers.NewBucket(t, s.Client()), t.TempDir()
	put, get := s.urls(t, bucket)
	app, err := filepath.Abs("node/app.js")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := run(s.env("NODE_EXTRA_CA_CERTS="+s.ca), dir, "node", app, put, get); err != nil || !strings.Contains(out, "done") {
		t.Errorf("%v\n%s", err, out)
	}
	stored(t, s, bucket, []byte(strings.Repeat("the application's bytes ", 10_000)))
	if out, err := run(s.env(), dir, "node", app, put, get); err == nil || !strings.Contains(out, "certificate") {
		t.Errorf("without the authority: %v\n%s", err, out)
	}
}

// Python without an SDK: requests has variables of its own.
func TestPythonRequests(t *testing.T) {
	s := newSite(t, nil)
	bucket, dir := servers.NewBucket(t, s.Client()), t.TempDir()
	put, get := s.urls(t, bucket)
	python := os.Getenv("S3VEIL_TEST_PYTHON")
	if python == "" {
		python = "python3"
	}
	const script = `
import sys, requests
body = b"the application's bytes " * 10000
assert requests.put(sys.argv[1], data=body).status_code == 200
assert requests.get(sys.argv[2]).content == body
print("done")
`
	if out, err := run(s.env("REQUESTS_CA_BUNDLE="+s.ca), dir, python, "-c", script, put, get); err != nil || !strings.Contains(out, "done") {
		t.Errorf("%v\n%s", err, out)
	}
	stored(t, s, bucket, []byte(strings.Repeat("the application's bytes ", 10_000)))
	if out, err := run(s.env(), dir, python, "-c", script, put, get); err == nil || !strings.Contains(out, "CERTIFICATE_VERIFY_FAILED") {
		t.Errorf("without the authority: %v\n%s", err, out)
	}
}
