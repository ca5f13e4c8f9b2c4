// Package legacy looks at the forward proxy as an application does that knows nothing of it: only its environment says
// HTTP_PROXY, HTTPS_PROXY, and which certificate authorities there are. The application is this test program, started
// anew; other programs come under the build tag integration.
package legacy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// asApp makes this program the application.
const asApp = "S3VEIL_TEST_LEGACY_APP"

func TestMain(m *testing.M) {
	if os.Getenv(asApp) != "" {
		if err := app(); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	servers.Main(m, s3veil.RemoveBuild)
}

// site is s3veil with a forward port in front of a store.
type site struct {
	*s3veil.Cluster
	proxy string // http://host:port
	ca    string // ca.pem
	log   string
}

// endpoint is an S3 host that exists in the configuration alone.
const endpoint = "minio.example.internal"

// newSite starts s3veil. change may alter the settings of the forward proxy.
func newSite(t *testing.T, change func(forward map[string]any)) *site {
	t.Helper()
	binary, err := s3veil.Build()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if out, err := exec.Command(binary, "ca", "--out", dir, "--host", "aws", "--host", endpoint).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := &site{ca: filepath.Join(dir, "ca.pem")}
	s.Cluster = s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), Configure: func(config map[string]any) {
		ports, err := servers.FreePorts(1)
		if err != nil {
			t.Fatal(err)
		}
		s.proxy = fmt.Sprintf("http://127.0.0.1:%d", ports[0])
		forward := map[string]any{"listen": strings.TrimPrefix(s.proxy, "http://"), "ca_file": s.ca, "ca_key_file": filepath.Join(dir, "ca.key"),
			"hosts": []string{"aws", endpoint}}
		if change != nil {
			change(forward)
		}
		config["forward"] = forward
	}})
	s.log = s.Replicas[0].Log
	return s
}

// env is the environment of an application that has always had its keys, region and endpoint, and now a proxy.
func (s *site) env(more ...string) []string {
	return append(append(servers.CleanEnv(), "AWS_ACCESS_KEY_ID="+s.AccessKey, "AWS_SECRET_ACCESS_KEY="+s.SecretKey, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=/nonexistent", "AWS_SHARED_CREDENTIALS_FILE=/nonexistent", "HTTP_PROXY="+s.proxy, "HTTPS_PROXY="+s.proxy, "http_proxy="+s.proxy), more...)
}

// mustLog fails unless the log of s3veil has a text.
func (s *site) mustLog(t *testing.T, text string) {
	t.Helper()
	if all, err := os.ReadFile(s.log); err != nil || !strings.Contains(string(all), text) {
		t.Errorf("no %q in the log (%v):\n%s", text, err, all)
	}
}
