//go:build integration

package lifecycle

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// balance starts HAProxy in front of the replicas and returns its address. It checks /readyz and keeps its connections to the
// replicas for whichever client comes next; it repeats nothing, so that every failure shows.
func balance(t *testing.T, c *s3veil.Cluster) string {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "haproxy.log")
	var at string
	err := servers.RetryPorts(func() error {
		ports, err := servers.FreePorts(1)
		if err != nil {
			return err
		}
		at = fmt.Sprintf("127.0.0.1:%d", ports[0])
		file := filepath.Join(dir, "haproxy.cfg")
		if err := os.WriteFile(file, []byte(balancerConfig(at, c)), 0o600); err != nil {
			return err
		}
		p, err := servers.StartProcess(servers.Spec{Name: "haproxy", Path: "haproxy", Args: []string{"-db", "-f", file}, Log: log})
		if err != nil {
			return err
		}
		err = p.Await(10*time.Second, func() error {
			conn, err := net.Dial("tcp", at)
			if err == nil {
				conn.Close()
			}
			return err
		})
		if err != nil {
			p.Kill()
			return err
		}
		t.Cleanup(func() {
			p.Kill()
			if t.Failed() {
				t.Logf("end of the balancer's log:\n%s", servers.Tail(log, 4000))
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + at
}

func balancerConfig(at string, c *s3veil.Cluster) string {
	var b strings.Builder
	fmt.Fprintf(&b, `global
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  option dontlog-normal
  retries 0
  no option redispatch
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend s3
  bind %s
  default_backend replicas
backend replicas
  balance roundrobin
  option httpchk GET /readyz
  http-check expect status 200
  default-server check inter 250ms fall 2 rise 1
`, at)
	for i, r := range c.Replicas {
		_, port, _ := net.SplitHostPort(strings.TrimPrefix(r.Admin, "http://"))
		fmt.Fprintf(&b, "  server r%d %s port %s\n", i, strings.TrimPrefix(r.Endpoint, "http://"), port)
	}
	return b.String()
}
