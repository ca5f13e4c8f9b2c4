//go:build integration && pkcs11

package kms

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

// softhsm is the library of SoftHSM 2, where Debian has it.
const softhsm = "/usr/lib/softhsm/libsofthsm2.so"

// newHSM makes a SoftHSM token "s3veil" with two keys, by the commands of docs/KMS.md, and returns the environment that
// finds it.
func newHSM(t *testing.T) (env string) {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "softhsm2.conf")
	if err := os.Mkdir(filepath.Join(dir, "tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, []byte("directories.tokendir = "+dir+"/tokens\nlog.level = ERROR\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env = "SOFTHSM2_CONF=" + conf
	hsm(t, env, "softhsm2-util", "--init-token", "--free", "--label", "s3veil", "--so-pin", "87654321", "--pin", "1234")
	for id, label := range map[string]string{"01": "s3veil", "02": "team"} {
		hsm(t, env, "pkcs11-tool", "--module", softhsm, "--token-label", "s3veil", "--login", "--pin", "1234", "--keygen", "--key-type", "AES:32",
			"--label", label, "--id", id)
	}
	return env
}

func hsm(t *testing.T, env, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name+".next", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".next", name); err != nil {
		t.Fatal(err)
	}
}

// TestKeysInAHardwareSecurityModule runs the program of the build `pkcs11` over a token: writes and reads under two keys of
// it, through a restart, a change of the mechanism, and a wrong PIN that is put right while it runs.
func TestKeysInAHardwareSecurityModule(t *testing.T) {
	program := s3veil.BuildAs(t, "nodevstore,pkcs11", "CGO_ENABLED=1")
	env := newHSM(t)
	pin := filepath.Join(t.TempDir(), "pin")
	writeFile(t, pin, "1234\n")
	key := func(id, label string, more map[string]any) map[string]any {
		k := map[string]any{"id": id, "provider": "pkcs11", "module": softhsm, "token_label": "s3veil", "pin_file": pin, "key": label}
		for name, v := range more {
			k[name] = v
		}
		return k
	}
	start := func(mechanism string) *s3veil.Cluster {
		return s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), Program: program, Env: []string{env},
			Configure: func(c map[string]any) {
				c["kms"] = map[string]any{"keys": []any{key("hsm", "s3veil", map[string]any{"mechanism": mechanism}), key("team", "#02", nil)},
					"cache": map[string]any{"max_age": "1s"}}
				c["buckets"] = []any{map[string]any{"name": "*", "key": "hsm", "keys": []string{"hsm", "team"}}}
			}})
	}
	c := start("aes-gcm")
	client := c.Client()
	bucket := servers.NewBucket(t, client)
	put(t, client, bucket, "by default", "")
	put(t, client, bucket, "by name", "team")
	large := suite.Data(11<<20, 1)
	if _, err := transfermanager.New(client).UploadObject(t.Context(), &transfermanager.UploadObjectInput{Bucket: &bucket,
		Key: aws.String("parts"), Body: bytes.NewReader(large)}); err != nil {
		t.Fatal(err)
	}
	read := func(c *s3veil.Cluster) {
		t.Helper()
		client := c.Client()
		get(t, client, bucket, "by default")
		get(t, client, bucket, "by name")
		out, err := transfermanager.New(client).GetObject(t.Context(), &transfermanager.GetObjectInput{Bucket: &bucket, Key: aws.String("parts")})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(out.Body); err != nil || !bytes.Equal(got, large) {
			t.Errorf("parts: %d bytes, %v", len(got), err)
		}
	}
	read(c)
	c.Replicas[0].Stop()
	if err := c.Replicas[0].Start(); err != nil {
		t.Fatal(err)
	}
	read(c)

	// Another mechanism wraps from now on; what the first one wrapped stays readable.
	c = start("aes-key-wrap-pad")
	read(c)
	put(t, c.Client(), bucket, "by key wrap", "")
	get(t, c.Client(), bucket, "by key wrap")

	// A PIN that is changed for a wrong one does nothing to a process that is logged in. One that starts with it is not ready,
	// says why, and is ready by itself once the file is right.
	writeFile(t, pin, "9999\n")
	read(c)
	c.Replicas[0].Stop()
	if err := c.Replicas[0].Begin(); err != nil {
		t.Fatal(err)
	}
	await(t, c, http.StatusServiceUnavailable, "CKR_PIN_INCORRECT")
	writeFile(t, pin, "1234\n")
	await(t, c, http.StatusOK, "")
	read(c)
}

// await waits for an answer of the readiness probe with a text in it.
func await(t *testing.T, c *s3veil.Cluster, status int, text string) {
	t.Helper()
	for {
		answer := "not listening"
		if resp, err := http.Get(c.Replicas[0].Admin + "/readyz"); err == nil {
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if answer = string(body); err == nil && resp.StatusCode == status && strings.Contains(answer, text) {
				return
			}
		}
		select {
		case <-t.Context().Done():
			t.Fatal(answer)
		case <-c.Replicas[0].Ended():
			t.Fatal(servers.Tail(c.Replicas[0].Log, 4000))
		case <-time.After(50 * time.Millisecond):
		}
	}
}
