//go:build integration

package kms

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// metadata is the double of what machines and containers are asked for credentials: the instance metadata service (version 2)
// and the endpoint of ECS tasks and EKS pod identities.
type metadata struct {
	mu    sync.Mutex
	asked []string
}

func (m *metadata) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	m.asked = append(m.asked, r.Method+" "+r.URL.Path)
	m.mu.Unlock()
	credentials := map[string]any{"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "AKIATEST", "SecretAccessKey": "s", "Token": "t",
		"LastUpdated": time.Now().UTC().Format(time.RFC3339), "Expiration": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}
	switch {
	case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
		fmt.Fprint(w, "a-token")
	case strings.HasPrefix(r.URL.Path, "/latest/") && r.Header.Get("X-Aws-Ec2-Metadata-Token") != "a-token":
		w.WriteHeader(http.StatusUnauthorized)
	case strings.TrimSuffix(r.URL.Path, "/") == "/latest/meta-data/iam/security-credentials":
		fmt.Fprint(w, "role")
	case r.URL.Path == "/latest/meta-data/iam/security-credentials/role":
		_ = json.NewEncoder(w).Encode(credentials)
	case r.URL.Path == "/container" && r.Header.Get("Authorization") == "pod":
		_ = json.NewEncoder(w).Encode(credentials)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// TestAWSKMSCredentialChain: without credentials in the configuration each place of the AWS default chain serves: the token of a
// service account (IRSA), the container's endpoint, the instance metadata service, a profile.
func TestAWSKMSCredentialChain(t *testing.T) {
	url := servers.MustMoto(t)
	_, main, _ := awsKeys(t, url)
	dir := t.TempDir()
	for name, text := range map[string]string{"token": "a.web.token", "credentials": "[kms]\naws_access_key_id = AKIATEST\naws_secret_access_key = s\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		env   []string
		more  map[string]any
		asked string // of metadata
	}{
		"IRSA": {env: []string{"AWS_WEB_IDENTITY_TOKEN_FILE=" + filepath.Join(dir, "token"), "AWS_ROLE_ARN=arn:aws:iam::123456789012:role/s3veil",
			"AWS_ENDPOINT_URL_STS=" + url}},
		"container": {env: []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=%s/container", "AWS_CONTAINER_AUTHORIZATION_TOKEN=pod"}, asked: "GET /container"},
		"instance": {env: []string{"AWS_EC2_METADATA_SERVICE_ENDPOINT=%s", "AWS_EC2_METADATA_DISABLED=false"},
			asked: "GET /latest/meta-data/iam/security-credentials/role"},
		"profile": {env: []string{"AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(dir, "credentials")}, more: map[string]any{"profile": "kms"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := &metadata{}
			srv := httptest.NewServer(m)
			t.Cleanup(srv.Close)
			env := []string{"HOME=" + dir, "AWS_EC2_METADATA_DISABLED=true"}
			for _, e := range c.env {
				env = append(env, strings.ReplaceAll(e, "%s", srv.URL))
			}
			key := map[string]any{"id": "main", "provider": "awskms", "key": main, "endpoint": url}
			if c.more != nil {
				key["credentials"] = c.more
			}
			cluster := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), Env: env, Configure: func(config map[string]any) {
				config["kms"] = map[string]any{"keys": []any{key}}
				config["buckets"] = []any{map[string]any{"name": "*", "key": "main"}}
			}})
			client := cluster.Client()
			bucket := servers.NewBucket(t, client)
			put(t, client, bucket, "k", "")
			get(t, client, bucket, "k")
			m.mu.Lock()
			defer m.mu.Unlock()
			if c.asked != "" && !strings.Contains(strings.Join(m.asked, "\n"), c.asked) || c.asked == "" && len(m.asked) > 0 {
				t.Errorf("asked for %q, want %q", m.asked, c.asked)
			}
		})
	}
}
