//go:build integration

package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/tree"
)

// injector is a release of the chart in its mode of that name, with the program running where the node only pretends. It is
// called for pods of namespaces with the label injector=NAMESPACE.
type injector struct {
	*plane
	namespace string // of the release r
	service   string // address and port of its Service
	replicas  []*webhook
}

// webhook is a process `s3veil inject`.
type webhook struct {
	proc          *servers.Process
	address       string
	admin         string
	configuration string
}

const installed = "r-s3veil" // name of what the chart makes

// install installs the chart; nothing answers yet.
func (p *plane) install(t *testing.T, more ...string) *injector {
	t.Helper()
	i := &injector{plane: p, namespace: p.namespace(t, "restricted")}
	i.helmDeploy(t, "install", more...)
	service := p.must(t, "GET", "/api/v1/namespaces/"+i.namespace+"/services/"+installed, nil)
	i.service = text(service, "spec", "clusterIP") + ":443"
	t.Cleanup(func() {
		i.connect()
		for _, w := range i.replicas {
			w.proc.Kill()
		}
	})
	return i
}

func (i *injector) helmDeploy(t *testing.T, command string, more ...string) {
	t.Helper()
	i.mustHelm(t, append([]string{command, "r", chart, "-n", i.namespace, "-f", "testdata/injector.yaml", "--wait", "--timeout", "2m",
		"--set", "injector.namespaceSelector.matchLabels.injector=" + i.namespace}, more...)...)
	i.mirrored(t, i.namespace, "r")
}

// started is an injector whose webhook is called.
func (p *plane) started(t *testing.T) *injector {
	t.Helper()
	i := p.install(t)
	i.start(t)
	i.start(t)
	i.connect(i.replicas...)
	i.called(t)
	return i
}

// start runs one more replica with configuration, account and rights that the chart gives it.
func (i *injector) start(t *testing.T) {
	t.Helper()
	dir, account := t.TempDir(), "/api/v1/namespaces/"+i.namespace+"/serviceaccounts/"+installed+"/token"
	token := text(i.must(t, "POST", account, object{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": object{}}), "status", "token")
	files, _ := tree.At(i.must(t, "GET", "/api/v1/namespaces/"+i.namespace+"/configmaps/"+installed+"-inject", nil), "data").(object)
	config := strings.ReplaceAll(text(files, "inject.yaml"), "/etc/s3veil-inject", dir)
	program, err := s3veil.Build()
	if err != nil {
		t.Fatal(err)
	}
	api, err := url.Parse(i.url)
	if err != nil {
		t.Fatal(err)
	}
	w := &webhook{configuration: filepath.Join(dir, "inject.yaml")}
	err = servers.RetryPorts(func() error {
		ports, err := servers.FreePorts(2)
		if err != nil {
			return err
		}
		w.address, w.admin = fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
		here := strings.NewReplacer("listen: :8443", "listen: "+w.address, "admin: :8081", "admin: "+w.admin).Replace(config)
		if !strings.Contains(here, w.address) || !strings.Contains(here, w.admin) {
			t.Fatalf("no addresses to replace in\n%s", config)
		}
		for name, content := range map[string]string{"inject.yaml": here, "token": token, "ca.crt": string(i.caPEM)} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				return err
			}
		}
		w.proc, err = servers.StartProcess(servers.Spec{Name: "s3veil inject", Path: program, Args: []string{"inject", "--config", w.configuration},
			Env: []string{"KUBERNETES_SERVICE_HOST=" + api.Hostname(), "KUBERNETES_SERVICE_PORT=" + api.Port(), "S3VEIL_TEST_SERVICE_ACCOUNT=" + dir},
			Dir: dir, Log: i.file(fmt.Sprintf("inject-%s-%d.log", i.namespace, len(i.replicas)))})
		if err != nil {
			return err
		}
		return w.proc.Await(60*time.Second, func() error {
			resp, err := http.Get("http://" + w.admin + "/readyz")
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
				return fmt.Errorf("%s: %s", resp.Status, answer)
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	i.replicas = append(i.replicas, w)
}

// connect lets the Service lead to these replicas.
func (i *injector) connect(replicas ...*webhook) {
	var addresses []string
	for _, w := range replicas {
		addresses = append(addresses, w.address)
	}
	i.services.route(i.service, addresses...)
}

// tenant makes a namespace whose pods the injector is asked about.
func (i *injector) tenant(t *testing.T, labels ...string) string {
	t.Helper()
	return i.plane.namespace(t, "restricted", append([]string{"injector", i.namespace}, labels...)...)
}

// called waits until the API server knows the webhook and trusts it.
func (i *injector) called(t *testing.T) {
	t.Helper()
	ns := i.tenant(t)
	eventually(t, func() error {
		out, err := i.create(ns, application(annotations("true")), "?dryRun=All")
		if err == nil && len(tree.List(out, "spec", "initContainers")) == 0 {
			err = errors.New("the webhook is not called")
		}
		return err
	})
}

func (p *plane) create(namespace string, pod object, query string) (out object, err error) {
	err = p.do("POST", "/api/v1/namespaces/"+namespace+"/pods"+query, pod, &out)
	return out, err
}

// annotations has s3veil.io/inject, and more of s3veil.io in pairs.
func annotations(inject string, more ...string) object {
	all := object{"s3veil.io/inject": inject}
	for i := 0; i < len(more); i += 2 {
		all["s3veil.io/"+more[i]] = more[i+1]
	}
	return all
}

var restricted = object{"allowPrivilegeEscalation": false, "capabilities": object{"drop": []string{"ALL"}}}

// application is a pod that the Pod Security level restricted admits: an init container, two containers, a volume.
func application(annotations object) object {
	metadata := object{"generateName": "app-", "labels": object{"app": "app"}}
	if annotations != nil {
		metadata["annotations"] = annotations
	}
	return object{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": object{
		"automountServiceAccountToken": false,
		"securityContext":              object{"runAsNonRoot": true, "runAsUser": 1000, "seccompProfile": object{"type": "RuntimeDefault"}},
		"initContainers":               []object{{"name": "prepare", "image": "prepare:1", "securityContext": restricted}},
		"containers": []object{
			{"name": "app", "image": "app:1", "env": []object{{"name": "MODE", "value": "fast"}}, "securityContext": restricted},
			{"name": "other", "image": "other:1", "securityContext": restricted, "volumeMounts": []object{{"name": "data", "mountPath": "/data"}}}},
		"volumes": []object{{"name": "data", "emptyDir": object{}}}}}
}

// copied is an object of its own, as JSON has it.
func copied(t *testing.T, o object) (out object) {
	t.Helper()
	b, err := json.Marshal(o)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}
