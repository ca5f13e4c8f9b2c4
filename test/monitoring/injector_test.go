package monitoring

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"s3veil/test/s3veil"
)

// injectorConfig writes the configuration of an injector on free ports, with its certificate.
func injectorConfig(t *testing.T) (file string) {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), DNSNames: []string{"injector.svc"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	put := func(name string, text []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return put("inject.yaml", fmt.Appendf(nil, `
listen: 127.0.0.1:0
admin: 127.0.0.1:0
drain_delay: 0s
log: {format: json}
tls: {cert_file: %q, key_file: %q}
profiles:
  - name: default
    namespaces: ["*"]
    container:
      name: s3veil
      image: s3veil
      startupProbe: {httpGet: {path: /healthz, port: 15481}}
      securityContext: {runAsNonRoot: true, readOnlyRootFilesystem: true}
    config:
      upstream: {endpoint: "http://store:9000", credentials: {access_key: a, secret_key_file: /run/s3veil/secrets/store}}
      clients: [{access_key: app, secret_key_file: /run/s3veil/secrets/app, buckets: ["*"], actions: [read]}]
      kms: {keys: [{id: main, provider: local, file: /run/s3veil/secrets/keys.json}]}
`, put("tls.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})), put("tls.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))))
}

// scrapeInjector starts the injector and returns what it exposes.
func scrapeInjector(t *testing.T) exposed {
	t.Helper()
	program, err := s3veil.Build()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "inject", "--config", injectorConfig(t))
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	said := ""
	for lines := bufio.NewScanner(log); lines.Scan(); {
		var line struct{ Msg, Admin string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "serving" {
			return scrapeURL(t, "http://"+line.Admin+"/metrics")
		}
		said += lines.Text() + "\n"
	}
	t.Fatal("the injector does not serve:\n" + said)
	return nil
}

// Its page names every metric of the injector and every result, and none that it does not have.
func TestMetricsOfTheInjectorAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/install/injector.md")
	if err != nil {
		t.Fatal(err)
	}
	var has, told []string
	for name, labels := range scrapeInjector(t) {
		if name, ok := strings.CutPrefix(name, "s3veil_inject_"); ok {
			has = append(has, strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count"), "_sum"))
		}
		if name == "s3veil_inject_reviews_total" {
			for _, result := range labels["result"] {
				if !strings.Contains(string(text), "`"+result+"`") {
					t.Errorf("the page does not name the result %s", result)
				}
			}
		}
	}
	for _, m := range regexp.MustCompile("`s3veil_inject_(\\w+)").FindAllStringSubmatch(string(text), -1) {
		told = append(told, m[1])
	}
	for _, list := range []*[]string{&has, &told} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	if len(has) < 5 || !slices.Equal(has, told) {
		t.Errorf("it has %q, the page has %q", has, told)
	}
}
