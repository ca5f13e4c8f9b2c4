//go:build integration

package integration

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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

// program is one client program: a name and what it does with a target and a bucket.
type program struct {
	name string
	run  func(t *testing.T, p place)
}

// place is where a program works.
type place struct {
	target   *s3veil.Target
	endpoint string
	bucket   string
	dir      string // an empty directory of the test's own
}

var programs = []program{
	{"boto3", runBoto3},
	{"aws-cli", runAWS},
	{"rclone", runRclone},
	{"s3cmd", runS3cmd},
	{"restic", runRestic},
	{"curl", runCurl},
}

// runPrograms runs every program against one target.
func runPrograms(t *testing.T, target *s3veil.Target) {
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) {
			p.run(t, place{target: target, endpoint: target.Endpoint(), bucket: servers.NewBucket(t, target.Client()), dir: t.TempDir()})
		})
	}
}

// env is what every S3 program understands.
func (p place) env(more ...string) []string {
	env := append(servers.CleanEnv(), "AWS_ACCESS_KEY_ID="+p.target.AccessKey, "AWS_SECRET_ACCESS_KEY="+p.target.SecretKey,
		"AWS_DEFAULT_REGION="+servers.Region, "AWS_REGION="+servers.Region, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE="+filepath.Join(p.dir, "none"), "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(p.dir, "none"))
	if p.target.CAFile != "" {
		env = append(env, "AWS_CA_BUNDLE="+p.target.CAFile)
	}
	return append(env, more...)
}

// try runs a command and returns its output and error.
func try(env []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.WaitDelay = env, time.Second
	timer := time.AfterFunc(3*time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// must runs a command that has to succeed.
func must(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	out, err := try(env, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%.3000s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// files writes a tree of test files of many sizes below dir and returns the relative names.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	for i, n := range []int{0, 1, 65_535, 65_536, 65_537, 1<<20 - 1, 1<<20 + 1, 20 << 20} {
		name := fmt.Sprintf("sub dir/file+%d.bin", n)
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, suite.Data(n, uint64(i)), 0o644); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// sameFiles compares two trees.
func sameFiles(t *testing.T, got, want string, names []string) {
	t.Helper()
	for _, name := range names {
		g, err := os.ReadFile(filepath.Join(got, name))
		if err != nil {
			t.Error(err)
			continue
		}
		w, err := os.ReadFile(filepath.Join(want, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(g, w) {
			t.Errorf("%s: %d bytes, want %d", name, len(g), len(w))
		}
	}
}

func runBoto3(t *testing.T, p place) {
	python := os.Getenv("S3VEIL_TEST_PYTHON")
	if python == "" {
		python = "python3"
	}
	out, err := try(p.env("ENDPOINT="+p.endpoint, "ACCESS_KEY="+p.target.AccessKey, "SECRET_KEY="+p.target.SecretKey,
		"BUCKET="+p.bucket, "CA="+p.target.CAFile, "KIND="+p.target.Name, "STORE="+p.target.Store.Kind), python, "py/boto3_client.py")
	ran := 0
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "ok ") {
			ran++
		}
		if strings.HasPrefix(line, "FAIL ") {
			t.Error(strings.TrimSpace(line))
		}
	}
	if err != nil && !t.Failed() || ran == 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

func runAWS(t *testing.T, p place) {
	src, dst := filepath.Join(p.dir, "src"), filepath.Join(p.dir, "dst")
	names := files(t, src)
	aws := func(args ...string) string {
		t.Helper()
		return must(t, p.env(), "aws", append([]string{"--endpoint-url", p.endpoint}, args...)...)
	}
	url := "s3://" + p.bucket
	aws("s3", "sync", "--only-show-errors", src, url+"/tree")
	if out := aws("s3", "sync", "--size-only", "--no-progress", src, url+"/tree"); strings.TrimSpace(out) != "" {
		t.Errorf("a second sync copies again: sizes in listings are wrong\n%s", out)
	}
	aws("s3", "cp", "--only-show-errors", "--recursive", url+"/tree", dst)
	sameFiles(t, dst, src, names)
	aws("s3", "cp", "--only-show-errors", url+"/tree/sub dir/file+20971520.bin", url+"/copied")
	aws("s3", "mv", "--only-show-errors", url+"/copied", url+"/moved")
	aws("s3", "cp", "--only-show-errors", url+"/moved", filepath.Join(dst, "sub dir/file+20971520.bin"))
	sameFiles(t, dst, src, names[len(names)-1:])
	if out := aws("s3", "ls", "--recursive", url); !strings.Contains(out, "20971520 moved") {
		t.Errorf("ls: %s", out)
	}
	aws("s3api", "put-object", "--bucket", p.bucket, "--key", "k", "--body", filepath.Join(src, names[4]), "--checksum-algorithm", "CRC32")
	aws("s3api", "get-object", "--bucket", p.bucket, "--key", "k", "--range", "bytes=65530-65536", filepath.Join(dst, "range"))
	if b, err := os.ReadFile(filepath.Join(dst, "range")); err != nil || len(b) != 7 {
		t.Errorf("range: %d bytes, %v", len(b), err)
	}
	signed := strings.TrimSpace(must(t, p.env("AWS_DEFAULT_REGION=us-east-1"), "aws", "--endpoint-url", p.endpoint, "s3api",
		"head-object", "--bucket", p.bucket, "--key", "k", "--query", "ContentLength"))
	if signed != "65537" {
		t.Errorf("head-object: %s", signed)
	}
	aws("s3", "rm", "--only-show-errors", "--recursive", url)
	if out, _ := try(p.env(), "aws", "--endpoint-url", p.endpoint, "s3", "ls", "--recursive", url); strings.TrimSpace(out) != "" {
		t.Errorf("left: %s", out)
	}
	aws("s3", "rb", url)
}

func runRclone(t *testing.T, p place) {
	src, dst := filepath.Join(p.dir, "src"), filepath.Join(p.dir, "dst")
	names := files(t, src)
	conf := filepath.Join(p.dir, "rclone.conf")
	if err := os.WriteFile(conf, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	env := p.env("RCLONE_CONFIG="+conf, "RCLONE_CONFIG_X_TYPE=s3", "RCLONE_CONFIG_X_PROVIDER=Other",
		"RCLONE_CONFIG_X_ENV_AUTH=true", "RCLONE_CONFIG_X_ENDPOINT="+p.endpoint, "RCLONE_CONFIG_X_REGION="+servers.Region,
		"RCLONE_CONFIG_X_CHUNK_SIZE=5Mi", "RCLONE_CONFIG_X_UPLOAD_CUTOFF=10Mi", "RCLONE_RETRIES=1", "RCLONE_LOW_LEVEL_RETRIES=1",
		"RCLONE_CONFIG_X_COPY_CUTOFF=10Mi")
	if p.target.CAFile != "" {
		env = append(env, "RCLONE_CA_CERT="+p.target.CAFile, "AWS_CA_BUNDLE=")
	}
	remote := "x:" + p.bucket
	must(t, env, "rclone", "copy", src, remote+"/tree")
	must(t, env, "rclone", "check", "--download", src, remote+"/tree")
	must(t, env, "rclone", "check", src, remote+"/tree")
	if out := must(t, env, "rclone", "copy", "-v", src, remote+"/tree"); strings.Contains(out, "Copied") {
		t.Errorf("a second copy copies again:\n%s", out)
	}
	must(t, env, "rclone", "copyto", remote+"/tree/"+names[7], remote+"/server side")
	must(t, env, "rclone", "copyto", remote+"/server side", filepath.Join(dst, names[7]))
	sameFiles(t, dst, src, names[7:])
	if out := must(t, env, "rclone", "cat", "--offset", "65530", "--count", "100", remote+"/tree/"+names[7]); out != string(suite.Data(20<<20, 7)[65530:65630]) {
		t.Errorf("cat of a range: %d bytes", len(out))
	}
	must(t, env, "rclone", "touch", "--timestamp", "2020-01-02T03:04:05", remote+"/tree/"+names[2])
	if out := must(t, env, "rclone", "lsl", remote+"/tree"); !strings.Contains(out, "2020-01-02 03:04:05") {
		t.Errorf("touch: %s", out)
	}
	must(t, env, "rclone", "purge", remote+"/tree")
}

// s3cmdConfig writes a configuration of s3cmd and returns its path.
func s3cmdConfig(t *testing.T, p place) string {
	t.Helper()
	host := p.endpoint[strings.Index(p.endpoint, "//")+2:]
	config := fmt.Sprintf("[default]\naccess_key = %s\nsecret_key = %s\nhost_base = %s\nhost_bucket = %s\nuse_https = %v\nca_certs_file = %s\nbucket_location = us-east-1\nmultipart_chunk_size_mb = 5\nmax_retries = 1\n",
		p.target.AccessKey, p.target.SecretKey, host, host, strings.HasPrefix(p.endpoint, "https"), p.target.CAFile)
	path := filepath.Join(p.dir, "s3cfg")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func runS3cmd(t *testing.T, p place) {
	src, dst := filepath.Join(p.dir, "src"), filepath.Join(p.dir, "dst")
	names := files(t, src)
	path := s3cmdConfig(t, p)
	s3cmd := func(args ...string) string {
		t.Helper()
		return must(t, servers.CleanEnv(), "s3cmd", append([]string{"-c", path, "--no-progress"}, args...)...)
	}
	url := "s3://" + p.bucket
	s3cmd("sync", src+"/", url+"/tree/")
	if err := os.Mkdir(dst, 0o755); err != nil {
		t.Fatal(err)
	}
	s3cmd("sync", url+"/tree/", dst+"/")
	sameFiles(t, dst, src, names)
	s3cmd("cp", url+"/tree/"+names[3], url+"/copy")
	s3cmd("modify", "--add-header=x-amz-meta-new:1", url+"/copy")
	if out := s3cmd("ls", url+"/copy"); !strings.Contains(out, "65536") {
		t.Errorf("ls: %s", out)
	}
	s3cmd("get", "--force", url+"/copy", filepath.Join(dst, names[3]))
	sameFiles(t, dst, src, names[3:4])
	s3cmd("del", "--recursive", "--force", url)
}

func runRestic(t *testing.T, p place) {
	src, dst := filepath.Join(p.dir, "src"), filepath.Join(p.dir, "dst")
	names := files(t, src)
	env := p.env("RESTIC_REPOSITORY=s3:"+p.endpoint+"/"+p.bucket, "RESTIC_PASSWORD=test", "RESTIC_CACHE_DIR="+filepath.Join(p.dir, "cache"))
	restic := func(args ...string) {
		t.Helper()
		if p.target.CAFile != "" {
			args = append([]string{"--cacert", p.target.CAFile}, args...)
		}
		must(t, env, "restic", args...)
	}
	restic("init")
	restic("backup", src)
	restic("check", "--read-data")
	restic("restore", "latest", "--target", dst)
	sameFiles(t, filepath.Join(dst, src), src, names)
	restic("forget", "--prune", "--keep-last", "1")
}

func runCurl(t *testing.T, p place) {
	body := suite.Data(200_000, 1)
	path := filepath.Join(p.dir, "body")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	curl := func(args ...string) string {
		t.Helper()
		all := []string{"-sS", "--fail-with-body", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", p.target.AccessKey + ":" + p.target.SecretKey}
		if p.target.CAFile != "" {
			all = append(all, "--cacert", p.target.CAFile)
		}
		return must(t, servers.CleanEnv(), "curl", append(all, args...)...)
	}
	sum, empty := sha256.Sum256(body), sha256.Sum256(nil)
	hashed := func(b []byte) []string { return []string{"-H", "x-amz-content-sha256: " + hex.EncodeToString(b)} }
	url := p.endpoint + "/" + p.bucket + "/plain"
	curl(append(hashed(sum[:]), "-T", path, url)...)
	if got := curl(append(hashed(empty[:]), url)...); got != string(body) {
		t.Errorf("GET: %d bytes", len(got))
	}
	if got := curl(append(hashed(empty[:]), "-r", "65530-65540", url)...); got != string(body[65530:65541]) {
		t.Errorf("range: %d bytes", len(got))
	}
	if got := curl(append(hashed(empty[:]), "-I", url)...); !strings.Contains(strings.ToLower(got), "content-length: 200000") {
		t.Errorf("HEAD: %s", got)
	}
	curl("-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "-T", path, url+"2")
	if got := curl(append(hashed(empty[:]), url+"2")...); got != string(body) {
		t.Errorf("GET: %d bytes", len(got))
	}
	curl(append(hashed(empty[:]), "-X", "DELETE", url)...)
}
