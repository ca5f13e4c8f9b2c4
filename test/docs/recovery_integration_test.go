//go:build integration

package docs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// startConfig is how the configuration begins, up to the keys.
const startConfig = `
listen: 127.0.0.1:8080
admin: 127.0.0.1:8081
upstream:
  endpoint: http://127.0.0.1:9000
  credentials: {access_key: store-access-key, secret_key: store-secret-key}
clients:
  - {access_key: app, secret_key: app-secret-key, buckets: ["*"], actions: [read, write, delete, admin]}
`

// running starts s3veil as the pages about its operation take it to be: a configuration, a key file, a client.
func running(t *testing.T) *story {
	t.Helper()
	return runningWith(newStory(t), "")
}

// runningWith is running with more keys in the configuration.
func runningWith(s *story, more string) *story {
	s.t.Helper()
	s.play(block{page: "the start", lang: "yaml", mark: markFile + "s3veil.yaml", text: startConfig + `kms:
  keys:
    - {id: main, provider: local, file: keys.json}
audit: {to: "off"}
` + more})
	s.play(block{page: "the start", lang: "sh", mark: markRun, text: "umask 077\nchmod 600 s3veil.yaml\n./s3veil keys new --out keys.json\n"})
	s.play(block{page: "the start", lang: "sh", mark: markServe, text: "./s3veil serve --config s3veil.yaml"})
	s.play(block{page: "the start", lang: "sh", mark: markRun,
		text: "curl --silent --show-error --retry 60 --retry-delay 1 --retry-connrefused http://127.0.0.1:8081/readyz\n"})
	return s
}

// TestRecoveryPageRecovers runs the whole page of disasters, the drill included.
func TestRecoveryPageRecovers(t *testing.T) {
	s := running(t)
	s.env = append(s.env, "S3VEIL_DRILL_PORT="+s.spare)
	said := ""
	s.tell("docs/RECOVERY.md", "", func(b block) {
		if b.mark == markRun {
			said += s.output
		}
	})
	for _, want := range []string{"bound to           key", "every byte of 20009792 stored ones is authentic", "written to .s3veil/m/", "\"old\"",
		"read without s3veil", "the drill has passed"} {
		if !strings.Contains(said, want) {
			t.Errorf("nothing said %q:\n%s", want, said)
		}
	}
	// what the section on copies says of programs that lose the envelope
	s.play(block{page: "losing", lang: "sh", mark: markRun, text: `
sed -i '/^s3 =/,$d' aws.config
aws --profile store s3 mb s3://lost
aws --profile store s3 sync s3://photos s3://lost
aws --profile veil s3api get-object --bucket lost --key film nothing 2>&1 || true
`})
	if !strings.Contains(s.output, "ObjectNotEncrypted") {
		t.Errorf("aws-cli 1 keeps metadata of large objects: the table of section 4 is out of date\n%s", s.output)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "plain", "index.json")); err != nil {
		t.Error(err)
	}
}
