//go:build !nodevstore && (linux || darwin || freebsd)

package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"s3veil/cmd/s3veil/internal/inject"
	"s3veil/proxy/forward"
)

// injectConfig writes the configuration of a webhook on free ports, with its certificate, into a folder.
func injectConfig(t *testing.T, profile string) (file string) {
	t.Helper()
	cert, err := filepath.Abs("testdata/server.pem")
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(fixtures(t), "server.key")
	text := fmt.Sprintf(`
listen: 127.0.0.1:0
admin: 127.0.0.1:0
drain_delay: 0s
tls: {cert_file: %q, key_file: %q}
profiles:
  - name: default
    namespaces: ["*"]
    container:
      name: s3veil
      image: s3veil
      startupProbe: {httpGet: {path: /healthz, port: 15481}}
      securityContext: {runAsNonRoot: true, readOnlyRootFilesystem: true}
%s`, cert, key, profile)
	return write(t, filepath.Join(t.TempDir(), "inject.yaml"), text)
}

const injectProfile = `
    config:
      upstream: {endpoint: "http://store:9000", credentials: {access_key: a, secret_key_file: /run/s3veil/secrets/store}}
      clients: [{access_key: app, secret_key_file: /run/s3veil/secrets/app, buckets: ["*"], actions: [read]}]
      kms: {keys: [{id: main, provider: local, file: /run/s3veil/secrets/keys.json}]}
    allow: {keys: [main, other]}
`

func TestInjectCheckConfig(t *testing.T) {
	for _, c := range []struct{ profile, want string }{
		{injectProfile, ""},
		{strings.Replace(injectProfile, "secret_key_file: /run/s3veil/secrets/store", "secret_key: b", 1), "S3VEIL_UPSTREAM_CREDENTIALS_SECRET_KEY: upstream.credentials.secret_key: is a secret and must come from a file (secret_key_file)"},
		{strings.Replace(injectProfile, "secret_key_file: /run/s3veil/secrets/app", "secret_key: b", 1), "S3VEIL_CLIENTS: clients[0].secret_key: is a secret"},
		{strings.Replace(injectProfile, "http://store:9000", "store:9000", 1), "upstream.endpoint"},
		{strings.Replace(injectProfile, "upstream:", "upstraem:", 1), "unknown variable"},
	} {
		file := injectConfig(t, c.profile)
		code, out, errs := s3veil(nil, "inject", "--check-config", "--config", file)
		if (c.want == "") != (code == exitOK) || !strings.Contains(errs, c.want) || (code == exitOK) != (out != "") {
			t.Errorf("exit code %d, %q, want %q:\n%s", code, out, c.want, errs)
		}
	}
	if code, _, errs := s3veil(nil, "inject", "--config", "testdata/none.yaml"); code != exitFailed || !strings.Contains(errs, "no such file") {
		t.Errorf("%d %q", code, errs)
	}
}

// injectPod sends the review of a pod with annotations and returns the answer.
func injectPod(t *testing.T, client *http.Client, at, annotations string) (answer struct {
	Response struct {
		Allowed bool
		Patch   []byte
		Status  struct{ Message string }
	}
}) {
	t.Helper()
	review := fmt.Sprintf(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","kind":{"group":"","version":"v1","kind":"Pod"},
		"operation":"CREATE","namespace":"ns","object":{"metadata":{"annotations":%s},"spec":{"containers":[{"name":"app","image":"app"}]}}}}`, annotations)
	r, err := client.Post("https://"+at+"/inject?timeout=5s", "application/json", strings.NewReader(review))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.ProtoMajor != 2 {
		t.Errorf("HTTP/%d", r.ProtoMajor)
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// The program serves reviews over TLS, applies the rules of serve to what a pod chooses, takes a changed configuration, keeps the
// old one where the new one is faulty, and drains.
func TestInjectServes(t *testing.T) {
	file := injectConfig(t, injectProfile)
	var log lockedBuffer
	signals, started, done := make(chan os.Signal, 1), make(chan endpoints, 1), make(chan int, 1)
	p := &program{stdin: strings.NewReader(""), stdout: io.Discard, stderr: &log, signals: signals, started: func(at endpoints) { started <- at }, poll: 5 * time.Millisecond}
	go func() { done <- p.run([]string{"inject", "--config", file}) }()
	var at endpoints
	select {
	case at = <-started:
	case <-time.After(time.Minute):
		t.Fatal(log.String())
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots(t), ServerName: "s3.example.internal"}, ForceAttemptHTTP2: true}}
	if a := injectPod(t, client, at.Listen, `{"s3veil.io/inject":"true"}`); !a.Response.Allowed || !bytes.Contains(a.Response.Patch, []byte("S3VEIL_KMS_KEYS")) {
		t.Errorf("%+v", a)
	}
	// allowed by the profile, refused by the rules of serve
	a := injectPod(t, client, at.Listen, `{"s3veil.io/inject":"true","s3veil.io/key":"other"}`)
	if a.Response.Allowed || !strings.Contains(a.Response.Status.Message, `there is no key "other" under kms.keys`) {
		t.Errorf("%+v", a)
	}
	for path, want := range map[string]string{"/readyz": "ready", "/healthz": "ok", "/metrics": `s3veil_inject_reviews_total{result="refused"} 1`, "/metrics?": "s3veil_inject_ready 1\n"} {
		if code, body := (&running{endpoints: at}).adminGet(t, path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, strings.Replace(string(text), "namespaces: [\"*\"]", "namespaces: [other]", 1))
	await(t, "the new configuration", func() bool {
		return strings.Contains(injectPod(t, client, at.Listen, `{"s3veil.io/inject":"true"}`).Response.Status.Message, "not for pods of namespace")
	})
	write(t, file, "profiles: []")
	await(t, "the faulty configuration", func() bool { return strings.Contains(log.String(), "configuration not reloaded") })
	if a := injectPod(t, client, at.Listen, `{"s3veil.io/inject":"true"}`); a.Response.Allowed {
		t.Errorf("%+v", a)
	}
	signals <- syscall.SIGTERM
	select {
	case code := <-done:
		if code != exitOK {
			t.Errorf("exit code %d:\n%s", code, log.String())
		}
	case <-time.After(time.Minute):
		t.Fatal("it goes on")
	}
	if !strings.Contains(log.String(), `"result":"refused","namespace":"ns"`) {
		t.Errorf("no line about a refused pod:\n%s", log.String())
	}
}

func TestInjectorOnItsWayOutIsNotReady(t *testing.T) {
	i := &injector{certs: &inject.Certificates{}}
	if got := i.readiness(); got != 0 || i.ready() != errNotTrusted {
		t.Errorf("%v before it is trusted", got)
	}
	i.draining.Store(true)
	if got := i.readiness(); got != 0 || i.ready() != errDraining {
		t.Errorf("%v in drain", got)
	}
}

func TestCABundle(t *testing.T) {
	dir := t.TempDir()
	cert, key, err := forward.NewCA([]string{"s3.example.internal"}, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := forward.NewCA([]string{"other.example.internal"}, time.Now(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	roots := write(t, filepath.Join(dir, "roots.pem"), strings.TrimSpace(string(other)))
	if code, _, errs := s3veil(nil, "ca", "bundle", "--out", dir, "--pem", string(cert), "--roots", roots); code != exitOK {
		t.Fatal(errs)
	}
	bundle, err := os.ReadFile(filepath.Join(dir, "bundle.pem"))
	if err != nil || string(bundle) != string(other)+string(cert) {
		t.Errorf("%v:\n%s", err, bundle)
	}
	if alone, err := os.ReadFile(filepath.Join(dir, "ca.pem")); err != nil || string(alone) != string(cert) {
		t.Errorf("%v:\n%s", err, alone)
	}
	file := write(t, filepath.Join(dir, "both.pem"), string(cert)+string(key))
	for want, args := range map[string][]string{
		"private key":            {"--ca", file, "--roots", roots},
		"no such file":           {"--ca", filepath.Join(dir, "none")},
		"no authorities":         {"--pem", string(cert), "--roots", filepath.Join(dir, "inject.none")},
		"no certificate in PEM":  {"--pem", "x"},
		"either --ca or --pem":   {},
		"the authority: expired": {"--pem", expired(t)},
	} {
		if want == "no authorities" {
			args[3] = write(t, filepath.Join(dir, "empty"), "")
		}
		if code, _, errs := s3veil(nil, append([]string{"ca", "bundle", "--out", dir}, args...)...); code == exitOK || !strings.Contains(errs, want) {
			t.Errorf("%q: %d %q", args, code, errs)
		}
	}
}

func expired(t *testing.T) string {
	t.Helper()
	cert, _, err := forward.NewCA([]string{"s3.example.internal"}, time.Now().Add(-2*time.Hour), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return string(cert)
}
