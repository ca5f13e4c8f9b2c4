package legacy

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

// runApp runs the application and returns what it prints.
func runApp(t *testing.T, env []string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env, cmd.WaitDelay = append(env, asApp+"=1"), time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// The application's endpoints are those it has always had: AWS in a region, and an S3 of its own.
func TestApplicationWithNothingButItsEnvironment(t *testing.T) {
	s := newSite(t, nil)
	for name, env := range map[string][]string{
		"AWS over https":        {"AWS_REGION=eu-west-1", "AWS_CA_BUNDLE=" + s.ca, "SSL_CERT_FILE=" + s.ca},
		"AWS, dual-stack":       {"AWS_REGION=ap-southeast-2", "AWS_USE_DUALSTACK_ENDPOINT=true", "AWS_CA_BUNDLE=" + s.ca, "SSL_CERT_FILE=" + s.ca},
		"AWS, path style":       {"AWS_REGION=us-east-1", "APP_PATH_STYLE=1", "AWS_CA_BUNDLE=" + s.ca, "SSL_CERT_FILE=" + s.ca},
		"own over https":        {"AWS_REGION=us-east-1", "AWS_ENDPOINT_URL_S3=https://" + endpoint, "AWS_CA_BUNDLE=" + s.ca, "SSL_CERT_FILE=" + s.ca},
		"own over http":         {"AWS_REGION=us-east-1", "AWS_ENDPOINT_URL_S3=http://" + endpoint},
		"own, path style, port": {"AWS_REGION=local", "AWS_ENDPOINT_URL_S3=http://" + endpoint + ":9000", "APP_PATH_STYLE=1"},
	} {
		t.Run(name, func(t *testing.T) {
			bucket := servers.NewBucket(t, s.Client())
			if out, err := runApp(t, s.env(append(env, "APP_BUCKET="+bucket)...)); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			stored(t, s, bucket, suite.Data(100_000, 2))
		})
	}
}

// stored looks at what lies in the store: not the plaintext.
func stored(t *testing.T, s *site, bucket string, plain []byte) {
	t.Helper()
	out, err := s3veil.Bare(s.Store).Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("dir/key 2")})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	raw, err := io.ReadAll(out.Body)
	if err != nil || len(raw) <= len(plain) || bytes.Contains(raw, plain[:64]) || out.Metadata["s3veil"] == "" {
		t.Errorf("%d bytes in the store, metadata %v, %v", len(raw), out.Metadata, err)
	}
}

// A client that does not trust the authority gets no object through, and the log says why.
func TestApplicationWithoutTheAuthority(t *testing.T) {
	s := newSite(t, nil)
	bucket := servers.NewBucket(t, s.Client())
	out, err := runApp(t, s.env("AWS_REGION=eu-west-1", "AWS_MAX_ATTEMPTS=1", "APP_BUCKET="+bucket))
	if err == nil || !strings.Contains(out, "certificate") {
		t.Errorf("%v\n%s", err, out)
	}
	s.mustLog(t, "does not trust the forward proxy")
}

// Role credentials, which s3veil cannot know, are taken where the configuration says so.
func TestApplicationWithRoleCredentials(t *testing.T) {
	role := []string{"AWS_ACCESS_KEY_ID=ASIAROLE", "AWS_SECRET_ACCESS_KEY=secret of the cloud", "AWS_SESSION_TOKEN=token of the cloud", "AWS_MAX_ATTEMPTS=1"}
	for _, trusted := range []bool{true, false} {
		s := newSite(t, func(forward map[string]any) {
			if trusted {
				forward["insecure_accept_any_signature_from"], forward["client"] = []string{"loopback"}, "app"
			}
		})
		bucket := servers.NewBucket(t, s.Client())
		for _, env := range [][]string{
			{"AWS_REGION=eu-west-1", "AWS_CA_BUNDLE=" + s.ca, "SSL_CERT_FILE=" + s.ca},
			{"AWS_REGION=us-east-1", "AWS_ENDPOINT_URL_S3=http://" + endpoint},
		} {
			out, err := runApp(t, s.env(append(append(env, "APP_BUCKET="+bucket), role...)...))
			if trusted && err != nil || !trusted && (err == nil || !strings.Contains(out, "InvalidAccessKeyId")) {
				t.Errorf("trusted %t: %v\n%s", trusted, err, out)
			}
		}
		if all, err := os.ReadFile(s.log); err != nil || strings.Contains(string(all), "token of the cloud") {
			t.Error("the session token is logged")
		}
	}
}

// With a users_file the proxy's URL carries name and password, for objects as for tunnels; without them, or with others, nobody
// passes.
func TestApplicationThatHasToNameItself(t *testing.T) {
	users := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(users, []byte("batch:p@ss word\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, func(forward map[string]any) { forward["users_file"] = users })
	host := strings.TrimPrefix(s.proxy, "http://")
	for name, who := range map[string]string{"named": "batch:p%40ss%20word@", "nameless": "", "another password": "batch:other@"} {
		for _, env := range [][]string{
			{"AWS_REGION=eu-west-1", "AWS_CA_BUNDLE=" + s.ca, "SSL_CERT_FILE=" + s.ca},
			{"AWS_REGION=us-east-1", "AWS_ENDPOINT_URL_S3=http://" + endpoint},
		} {
			bucket := servers.NewBucket(t, s.Client())
			for _, variable := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy"} {
				env = append(env, variable+"=http://"+who+host)
			}
			out, err := runApp(t, s.env(append(env, "AWS_MAX_ATTEMPTS=1", "APP_BUCKET="+bucket)...))
			switch {
			case name == "named" && err != nil:
				t.Errorf("%s: %v\n%s", name, err, out)
			case name == "named":
				stored(t, s, bucket, suite.Data(100_000, 2))
			case err == nil || !strings.Contains(out, "407") && !strings.Contains(out, "Proxy Authentication Required"):
				t.Errorf("%s: %v\n%s", name, err, out)
			}
		}
	}
	if all, err := os.ReadFile(s.log); err != nil || strings.Contains(string(all), "p@ss") {
		t.Error("the password is logged")
	}
}
