package legacy

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"go.yaml.in/yaml/v3"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

// injected is a pod as `s3veil inject` has patched it.
type injected struct {
	Spec struct {
		InitContainers []injectedContainer
		Containers     []injectedContainer
	}
}

type injectedContainer struct {
	Name          string
	Args          []string
	RestartPolicy string
	Env           []struct{ Name, Value string }
	StartupProbe  struct {
		HTTPGet struct {
			Path string
			Port int
		} `json:"httpGet"`
	}
}

// webhook is `s3veil inject` with one profile, whose sidecars stand in front of a store.
type webhook struct {
	binary, dir string
	url         string
	client      *http.Client
}

// folder is where pods have what in this test lies in dir.
const folder = "/run/s3veil"

func newWebhook(t *testing.T, store *servers.Store) *webhook {
	t.Helper()
	binary, err := s3veil.Build()
	if err != nil {
		t.Fatal(err)
	}
	w := &webhook{binary: binary, dir: t.TempDir()}
	for _, d := range []string{"trust", "secrets", "tls"} {
		if err := os.Mkdir(filepath.Join(w.dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w.run(t, "keys", "new", "--out", filepath.Join(w.dir, "secrets", "keys.json"))
	w.run(t, "ca", "--out", filepath.Join(w.dir, "secrets"), "--host", "aws", "--host", endpoint)
	w.write(t, "secrets/store", store.SecretKey)
	w.write(t, "secrets/app", "secret of the application")
	roots := w.certificate(t)
	err = servers.RetryPorts(func() error {
		ports, err := servers.FreePorts(5)
		if err != nil {
			return err
		}
		w.url = fmt.Sprintf("https://127.0.0.1:%d/inject", ports[0])
		w.configure(t, store, ports)
		p, err := servers.StartProcess(servers.Spec{Name: "inject", Path: binary, Args: []string{"inject", "--config", filepath.Join(w.dir, "inject.yaml")}, Log: filepath.Join(w.dir, "inject.log")})
		if err != nil {
			return err
		}
		t.Cleanup(func() { p.Stop(10 * time.Second) })
		return p.Await(time.Minute, answers(fmt.Sprintf("http://127.0.0.1:%d/readyz", ports[1])))
	})
	if err != nil {
		t.Fatal(err)
	}
	w.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	return w
}

func (w *webhook) run(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(w.binary, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
}

func (w *webhook) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// certificate makes the webhook's own, in the folder tls.
func (w *webhook) certificate(t *testing.T) *x509.CertPool {
	t.Helper()
	file, err := s3veil.NewCA(filepath.Join(w.dir, "tls"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return roots
}

// configure writes inject.yaml: ports are those of webhook, its probes, and the sidecar's S3, probes and forward proxy.
func (w *webhook) configure(t *testing.T, store *servers.Store, ports []int) {
	t.Helper()
	secret := folder + "/secrets/"
	text, err := yaml.Marshal(map[string]any{
		"listen": fmt.Sprintf("127.0.0.1:%d", ports[0]), "admin": fmt.Sprintf("127.0.0.1:%d", ports[1]), "drain_delay": "0s",
		"tls": map[string]any{"cert_file": filepath.Join(w.dir, "tls", "server.pem"), "key_file": filepath.Join(w.dir, "tls", "server.key")},
		"profiles": []any{map[string]any{
			"name": "default", "namespaces": []string{"apps"}, "mode": "endpoint",
			"ports":   map[string]any{"s3": ports[2], "admin": ports[3], "forward": ports[4]},
			"ca_file": filepath.Join(w.dir, "secrets", "ca.pem"),
			"allow":   map[string]any{"modes": []string{"forward"}, "buckets": []string{"*"}},
			"container": map[string]any{"name": "s3veil", "image": "s3veil", "securityContext": map[string]any{"runAsNonRoot": true, "readOnlyRootFilesystem": true},
				"startupProbe": map[string]any{"httpGet": map[string]any{"path": "/readyz", "port": ports[3]}}},
			"config": map[string]any{
				"upstream": map[string]any{"endpoint": store.Endpoint, "region": "us-east-1", "credentials": map[string]any{"access_key": store.AccessKey, "secret_key_file": secret + "store"}},
				"regions":  []string{"*"},
				"clients":  []any{map[string]any{"access_key": "app", "secret_key_file": secret + "app", "buckets": []string{"*"}, "actions": []string{"read", "write"}}},
				"kms":      map[string]any{"keys": []any{map[string]any{"id": "main", "provider": "local", "file": secret + "keys.json"}}},
				"forward":  map[string]any{"hosts": []string{"aws", endpoint}, "ca_key_file": secret + "ca.key"},
			},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "inject.yaml", string(text))
}

// answers waits for status 200.
func answers(url string) func() error {
	return func() error {
		r, err := http.Get(url)
		if err != nil {
			return err
		}
		defer r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", url, r.Status)
		}
		return nil
	}
}

// pod asks the webhook as the API server does, and applies its patch as the API server does.
func (w *webhook) pod(t *testing.T, annotations map[string]string) (p injected) {
	t.Helper()
	object, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations},
		"spec": map[string]any{"containers": []any{map[string]any{"name": "app", "image": "app"}}}})
	if err != nil {
		t.Fatal(err)
	}
	review := fmt.Sprintf(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","operation":"CREATE","namespace":"apps",
		"kind":{"group":"","version":"v1","kind":"Pod"},"object":%s}}`, object)
	r, err := w.client.Post(w.url, "application/json", strings.NewReader(review))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var answer struct {
		Response struct {
			Patch  []byte
			Status struct{ Message string }
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&answer); err != nil || answer.Response.Patch == nil {
		t.Fatalf("%v: %+v", err, answer)
	}
	patch, err := jsonpatch.DecodePatch(answer.Response.Patch)
	if err != nil {
		t.Fatal(err)
	}
	if object, err = patch.Apply(object); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(bytes.ReplaceAll(object, []byte(folder), []byte(w.dir)), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// env is a container's environment as the kubelet would make it, with no more than that.
func (c injectedContainer) env() (out []string) {
	for _, e := range c.Env {
		out = append(out, e.Name+"="+strings.NewReplacer("$$(", "$(", "$(KUBERNETES_SERVICE_HOST)", "192.0.2.1").Replace(e.Value))
	}
	return out
}

// start does what the kubelet does with init containers: one after the other, of which a sidecar stays once it is started.
func (w *webhook) start(t *testing.T, p injected) {
	t.Helper()
	for _, c := range p.Spec.InitContainers {
		if c.RestartPolicy != "Always" {
			cmd := exec.Command(w.binary, c.Args...)
			cmd.Env = append(servers.CleanEnv(), c.env()...)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", c.Name, err, out)
			}
			continue
		}
		log := filepath.Join(w.dir, c.Name+".log")
		s, err := servers.StartProcess(servers.Spec{Name: c.Name, Path: w.binary, Args: c.Args, Env: c.env(), Log: log})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Stop(40 * time.Second) })
		probe := c.StartupProbe.HTTPGet
		if err := s.Await(time.Minute, answers(fmt.Sprintf("http://127.0.0.1:%d%s", probe.Port, probe.Path))); err != nil {
			t.Fatalf("%v\n%s", err, servers.Tail(log, 4096))
		}
	}
}

// A pod that asks for nothing but s3veil works as the webhook has made it: its init containers start, and an application that knows
// only the environment it was given reads and writes encrypted objects, in either mode. With a bucket named, others do not exist.
func TestInjectedPodsWork(t *testing.T) {
	store := servers.MustShared(t, servers.Versity)
	keys := []string{"AWS_ACCESS_KEY_ID=app", "AWS_SECRET_ACCESS_KEY=secret of the application", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=/nonexistent", "AWS_SHARED_CREDENTIALS_FILE=/nonexistent", "AWS_MAX_ATTEMPTS=1"}
	for mode, env := range map[string][]string{
		"endpoint": {"AWS_REGION=us-east-1", "APP_PATH_STYLE=1"},
		"forward":  {"AWS_REGION=eu-west-1"},
	} {
		t.Run(mode, func(t *testing.T) {
			w := newWebhook(t, store)
			bare := s3veil.Bare(store).Client()
			bucket, other := servers.NewBucket(t, bare), servers.NewBucket(t, bare)
			p := w.pod(t, map[string]string{"s3veil.io/inject": "true", "s3veil.io/mode": mode, "s3veil.io/buckets": bucket})
			w.start(t, p)
			env = append(append(append(servers.CleanEnv(), keys...), env...), p.Spec.Containers[0].env()...)
			if out, err := runApp(t, append(env, "APP_BUCKET="+bucket)); err != nil {
				t.Fatalf("%v\n%s%s", err, out, servers.Tail(filepath.Join(w.dir, "s3veil.log"), 4096))
			}
			stored(t, &site{Cluster: &s3veil.Cluster{Target: s3veil.Target{Store: store}}}, bucket, suite.Data(100_000, 2))
			if out, err := runApp(t, append(env, "APP_BUCKET="+other)); err == nil || !strings.Contains(out, "NoSuchBucket") {
				t.Errorf("a bucket that the pod did not name: %v\n%s", err, out)
			}
		})
	}
}
