//go:build matrix

package matrix

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// TestJobsThroughTheForwardProxy has programs do their jobs at an S3 host that exists nowhere: their environment leads them through
// the forward port, over HTTP and, with s3veil's certificate authority, over HTTPS. The results are those of the bare store.
func TestJobsThroughTheForwardProxy(t *testing.T) {
	const host = "minio.example.internal"
	dir, ca := tools(t), t.TempDir()
	binary, err := s3veil.Build()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(binary, "ca", "--out", ca, "--host", host).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ports, err := servers.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	proxy, store := fmt.Sprintf("127.0.0.1:%d", ports[0]), servers.MustShared(t, servers.Versity)
	target := s3veil.MustStart(t, s3veil.Options{Store: store, Configure: func(config map[string]any) {
		config["buckets"] = []any{map[string]any{"name": "*", "listing": "exact"}}
		config["forward"] = map[string]any{"listen": proxy, "ca_file": filepath.Join(ca, "ca.pem"), "ca_key_file": filepath.Join(ca, "ca.key"),
			"hosts": []string{host}, "others": "deny"}
	}}).Target
	var through []string
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		through = append(through, name+"=http://"+proxy)
	}
	for _, c := range clients(dir) {
		if !c.proxied {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			want := do(t, dir, c, s3veil.Bare(store))
			for _, scheme := range []string{"http", "https"} {
				target.CAFile = ""
				if scheme == "https" {
					target.CAFile = filepath.Join(ca, "ca.pem")
				}
				got := do(t, dir, c, &target, append([]string{"S3_ENDPOINT=" + scheme + "://" + host}, through...)...)
				if got != want || got.exit != "0" {
					t.Errorf("%s:\n%+v\nthe bare store:\n%+v", scheme, got, want)
				}
			}
		})
	}
}
