//go:build integration

package integration

import (
	"os"
	"path/filepath"
	"testing"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// customerKey is a key of the length that SSE-C demands.
const customerKey = "an application's key of 32 bytes"

// Command line programs with their own options for encryption, each upload large enough to be one of parts.
func TestProgramsAskForEncryption(t *testing.T) {
	c := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), TLS: true})
	for _, p := range []program{{"aws-cli", sseAWS}, {"rclone", sseRclone}, {"s3cmd", sseS3cmd}} {
		t.Run(p.name, func(t *testing.T) {
			p.run(t, place{target: &c.Target, endpoint: c.Endpoint(), bucket: servers.NewBucket(t, c.Client()), dir: t.TempDir()})
		})
	}
}

func sseAWS(t *testing.T, p place) {
	src, dst := filepath.Join(p.dir, "src"), filepath.Join(p.dir, "dst")
	names := files(t, src)
	key := filepath.Join(p.dir, "key")
	if err := os.WriteFile(key, []byte(customerKey), 0o600); err != nil {
		t.Fatal(err)
	}
	aws := func(args ...string) {
		t.Helper()
		must(t, p.env(), "aws", append([]string{"--endpoint-url", p.endpoint, "s3", "--only-show-errors"}, args...)...)
	}
	url := "s3://" + p.bucket
	own := []string{"--sse-c", "AES256", "--sse-c-key", "fileb://" + key}
	source := []string{"--sse-c-copy-source", "AES256", "--sse-c-copy-source-key", "fileb://" + key}
	for what, options := range map[string]struct{ write, read []string }{
		"s3": {[]string{"--sse", "AES256"}, nil}, "kms": {[]string{"--sse", "aws:kms", "--sse-kms-key-id", "main"}, nil}, "own": {own, own},
	} {
		aws(append([]string{"cp", "--recursive", src, url + "/" + what}, options.write...)...)
		aws(append([]string{"cp", "--recursive", url + "/" + what, filepath.Join(dst, what)}, options.read...)...)
		sameFiles(t, filepath.Join(dst, what), src, names)
	}
	large := names[len(names)-1]
	aws(append(append([]string{"cp", url + "/own/" + large, url + "/copied/" + large}, source...), "--sse", "aws:kms")...)
	aws(append([]string{"cp", url + "/kms/" + large, url + "/owned/" + large}, own...)...)
	aws("cp", url+"/copied/"+large, filepath.Join(dst, "copied", large))
	sameFiles(t, filepath.Join(dst, "copied"), src, names[len(names)-1:])
	aws(append([]string{"cp", url + "/owned/" + large, filepath.Join(dst, "owned", large)}, own...)...)
	sameFiles(t, filepath.Join(dst, "owned"), src, names[len(names)-1:])
	if out, err := try(p.env(), "aws", "--endpoint-url", p.endpoint, "s3", "cp", url+"/own/"+large, filepath.Join(dst, "none")); err == nil {
		t.Errorf("read without the key: %s", out)
	}
}

func sseRclone(t *testing.T, p place) {
	src := filepath.Join(p.dir, "src")
	files(t, src)
	conf := filepath.Join(p.dir, "rclone.conf")
	if err := os.WriteFile(conf, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	env := p.env("RCLONE_CONFIG="+conf, "RCLONE_CONFIG_X_TYPE=s3", "RCLONE_CONFIG_X_PROVIDER=Other", "RCLONE_CONFIG_X_ENV_AUTH=true",
		"RCLONE_CONFIG_X_ENDPOINT="+p.endpoint, "RCLONE_CONFIG_X_REGION="+servers.Region, "RCLONE_CONFIG_X_CHUNK_SIZE=5Mi",
		"RCLONE_CONFIG_X_UPLOAD_CUTOFF=10Mi", "RCLONE_CONFIG_X_COPY_CUTOFF=10Mi", "RCLONE_RETRIES=1", "RCLONE_LOW_LEVEL_RETRIES=1",
		"RCLONE_CA_CERT="+p.target.CAFile, "AWS_CA_BUNDLE=")
	for what, options := range map[string][]string{
		"s3":  {"--s3-server-side-encryption", "AES256"},
		"kms": {"--s3-server-side-encryption", "aws:kms", "--s3-sse-kms-key-id", "main"},
		"own": {"--s3-sse-customer-algorithm", "AES256", "--s3-sse-customer-key", customerKey},
	} {
		remote := "x:" + p.bucket + "/" + what
		must(t, env, "rclone", append([]string{"copy", src, remote}, options...)...)
		must(t, env, "rclone", append([]string{"check", "--download", src, remote}, options...)...)
		must(t, env, "rclone", append([]string{"copy", remote, remote + "-copy"}, options...)...)
		must(t, env, "rclone", append([]string{"check", "--download", src, remote + "-copy"}, options...)...)
	}
}

func sseS3cmd(t *testing.T, p place) {
	src := filepath.Join(p.dir, "src")
	names := files(t, src)
	path := s3cmdConfig(t, p)
	s3cmd := func(args ...string) {
		t.Helper()
		must(t, servers.CleanEnv(), "s3cmd", append([]string{"-c", path, "--no-progress"}, args...)...)
	}
	for what, option := range map[string]string{"s3": "--server-side-encryption", "kms": "--server-side-encryption-kms-id=main"} {
		dst := filepath.Join(p.dir, what)
		if err := os.Mkdir(dst, 0o755); err != nil {
			t.Fatal(err)
		}
		s3cmd("sync", option, src+"/", "s3://"+p.bucket+"/"+what+"/")
		s3cmd("sync", "s3://"+p.bucket+"/"+what+"/", dst+"/")
		sameFiles(t, dst, src, names)
	}
}
