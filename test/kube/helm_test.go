//go:build integration

package kube

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"s3veil/test/servers"
	"s3veil/test/tree"
)

const (
	chart    = "../../charts/s3veil"
	fixtures = "../chart/testdata/"
)

// helm runs Helm against the control plane and returns its standard output; the error has what it said.
func (p *plane) helm(args ...string) (string, error) {
	program := os.Getenv("S3VEIL_TEST_HELM")
	if program == "" {
		return "", errors.New("S3VEIL_TEST_HELM is not set; .ci/kube sets it")
	}
	cmd := exec.Command(program, append(args, "--kubeconfig", p.kubeconfig)...)
	cmd.Env = append(servers.CleanEnv(), "HELM_CACHE_HOME="+p.file("helm"), "HELM_CONFIG_HOME="+p.file("helm"), "HELM_DATA_HOME="+p.file("helm"))
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("helm %s: %w: %s", strings.Join(args, " "), err, log.Bytes())
	}
	return out.String(), nil
}

func (p *plane) mustHelm(t *testing.T, args ...string) string {
	t.Helper()
	out, err := p.helm(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// namespace makes one for the test, with what controllers put into it. Pods that violate the level of Pod Security are refused.
func (p *plane) namespace(t *testing.T, level string, labels ...string) string {
	t.Helper()
	var random [4]byte
	rand.Read(random[:])
	ns := "t-" + hex.EncodeToString(random[:])
	all := object{"pod-security.kubernetes.io/enforce": level}
	for i := 0; i < len(labels); i += 2 {
		all[labels[i]] = labels[i+1]
	}
	p.must(t, "POST", "/api/v1/namespaces", object{"apiVersion": "v1", "kind": "Namespace",
		"metadata": object{"name": ns, "labels": all}})
	eventually(t, func() error {
		return errors.Join(p.do("GET", "/api/v1/namespaces/"+ns+"/serviceaccounts/default", nil, nil),
			p.do("GET", "/api/v1/namespaces/"+ns+"/configmaps/kube-root-ca.crt", nil, nil))
	})
	return ns
}

// decode reads a stream of YAML documents as the API server's JSON would be read.
func decode(t *testing.T, manifest string) (all []object) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(manifest))
	for {
		var tree map[string]any
		err := d.Decode(&tree)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if tree == nil {
			continue
		}
		b, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		var o object
		if err := json.Unmarshal(b, &o); err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
}

// plurals of the kinds that the chart and the test's applications make.
var plurals = map[string]string{"NetworkPolicy": "networkpolicies", "Ingress": "ingresses"}

// pathOf is where the API server has an object.
func pathOf(o object, namespace string) string {
	version, kind := text(o, "apiVersion"), text(o, "kind")
	prefix := "/apis/"
	if version == "v1" {
		prefix = "/api/"
	}
	plural := plurals[kind]
	if plural == "" {
		plural = strings.ToLower(kind) + "s"
	}
	if namespace != "" && !strings.HasPrefix(kind, "Cluster") && kind != "MutatingWebhookConfiguration" {
		version += "/namespaces/" + namespace
	}
	return prefix + version + "/" + plural
}

// missing returns the first field of want that got does not have. got may have more, lists may not.
func missing(want, got any, path string) string {
	switch w := want.(type) {
	case map[string]any:
		g, _ := got.(map[string]any)
		for k, v := range w {
			if m := missing(v, g[k], path+"."+k); m != "" {
				return m
			}
		}
		return ""
	case []any:
		g, _ := got.([]any)
		if len(g) != len(w) {
			return fmt.Sprintf("%s: %v, promised %v", path, got, want)
		}
		for i, v := range w {
			if m := missing(v, g[i], fmt.Sprintf("%s[%d]", path, i)); m != "" {
				return m
			}
		}
		return ""
	}
	if !reflect.DeepEqual(want, got) {
		return fmt.Sprintf("%s: %v, promised %v", path, got, want)
	}
	return ""
}

// mirrored checks that the cluster has every field of every object of a release, and no object that the release lost.
func (p *plane) mirrored(t *testing.T, namespace, release string) {
	t.Helper()
	var promised, found []string
	for _, o := range decode(t, p.mustHelm(t, "get", "manifest", release, "-n", namespace)) {
		live := p.must(t, "GET", pathOf(o, namespace)+"/"+name(o), nil)
		if m := missing(o, live, text(o, "kind")+"/"+name(o)); m != "" {
			t.Error(m)
		}
		promised = append(promised, text(o, "kind")+"/"+name(o))
	}
	for _, o := range p.everything(t, namespace) {
		a := tree.At(o, "metadata", "annotations")
		if text(a, "meta.helm.sh/release-name") == release && text(a, "meta.helm.sh/release-namespace") == namespace &&
			tree.At(o, "metadata", "deletionTimestamp") == nil && text(o, "kind") != "ReplicaSet" {
			found = append(found, text(o, "kind")+"/"+name(o))
		}
	}
	slices.Sort(promised)
	slices.Sort(found)
	if !slices.Equal(promised, found) {
		t.Errorf("%s has %v, promised %v", release, found, promised)
	}
}

// pods returns the pods of a namespace that are not being deleted, by UID.
func (p *plane) pods(t *testing.T, namespace string) map[string]object {
	t.Helper()
	all := map[string]object{}
	for _, o := range p.items(t, "/api/v1/namespaces/"+namespace+"/pods") {
		if tree.At(o, "metadata", "deletionTimestamp") == nil {
			all[text(o, "metadata", "uid")] = o.(object)
		}
	}
	return all
}

// replaced waits until n pods run and none of them is one of old.
func (p *plane) replaced(t *testing.T, namespace string, n int, old map[string]object) (pods map[string]object) {
	t.Helper()
	eventually(t, func() error {
		pods = p.pods(t, namespace)
		for uid, o := range pods {
			if old[uid] != nil {
				return fmt.Errorf("pod %s is an old one", name(o))
			}
			if text(o, "status", "phase") != "Running" {
				return fmt.Errorf("pod %s is %s", name(o), text(o, "status", "phase"))
			}
		}
		if len(pods) != n {
			return fmt.Errorf("%d pods, want %d", len(pods), n)
		}
		return nil
	})
	return pods
}
