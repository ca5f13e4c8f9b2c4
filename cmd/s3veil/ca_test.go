package main

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMakesACertificateAuthority(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	code, out, errs := s3veil(nil, "ca", "--out", dir, "--host", "minio.example.internal", "--host", "aws", "--days", "30")
	if code != exitOK || errs != "" || !strings.Contains(out, "SHA-256") {
		t.Fatalf("%d %q %q", code, out, errs)
	}
	for name, mode := range map[string]os.FileMode{caKeyName: 0o600, caCertName: 0o644} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm()&^mode != 0 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, caCertName))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !c.IsCA || !slices.Contains(c.PermittedDNSDomains, "minio.example.internal") || !slices.Contains(c.PermittedDNSDomains, "amazonaws.com") || time.Until(c.NotAfter) > 30*24*time.Hour {
		t.Errorf("%+v until %v", c.PermittedDNSDomains, c.NotAfter)
	}
	if code, _, errs := s3veil(nil, "ca", "--out", dir); code != exitFailed || !strings.Contains(errs, "there already") {
		t.Errorf("over an old one: %d %q", code, errs)
	}
	if err := os.Remove(filepath.Join(dir, caCertName)); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := s3veil(nil, "ca", "--out", dir); code != exitFailed || !strings.Contains(errs, caKeyName+" is there already") {
		t.Errorf("over an old key: %d %q", code, errs)
	}
}

func TestCertificateAuthorityOfTheConfiguration(t *testing.T) {
	withoutAWS(t)
	dir := fixtures(t)
	if code, _, errs := s3veil(nil, "ca", "--out", dir, "--host", "minio.example"); code != exitOK {
		t.Fatal(errs)
	}
	minimal, err := os.ReadFile("testdata/good-minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := func(hosts string) string {
		return write(t, filepath.Join(dir, "forward.yaml"), string(minimal)+"\nforward: {listen: '127.0.0.1:0', ca_file: ca.pem, ca_key_file: ca.key, hosts: "+hosts+"}\n")
	}
	if code, _, errs := s3veil(nil, "serve", "--check-config", "--config", config("[minio.example, 'b.minio.example:9000']")); code != exitOK {
		t.Error(errs)
	}
	if code, _, errs := s3veil(nil, "serve", "--check-config", "--config", config("[minio.example, aws]")); code != exitFailed || !strings.Contains(errs, "forward.hosts[1]: aws is not among the names") {
		t.Errorf("hosts that clients would not take: %d %s", code, errs)
	}
	if err := os.Chmod(filepath.Join(dir, caKeyName), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := s3veil(nil, "serve", "--check-config", "--config", config("[minio.example]")); code != exitFailed || !strings.Contains(errs, "forward.ca_key_file") {
		t.Errorf("a key that others can read: %d %s", code, errs)
	}
}
