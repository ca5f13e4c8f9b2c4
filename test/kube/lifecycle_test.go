//go:build integration

package kube

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"s3veil/test/tree"
)

// shape is a way to use the chart.
type shape struct {
	name   string
	level  string // of Pod Security that its namespace enforces
	pods   int
	config string // where its configuration lies in the namespace
	change string // a value that changes it
	folder func(t *testing.T) string
	args   []string
	before func(t *testing.T, p *plane, namespace string)
}

func itself(*testing.T) string { return chart }

// deployment is a shape of the chart itself, with values of test/chart.
func deployment(values string, pods int, config, change string, before func(*testing.T, *plane, string)) shape {
	return shape{name: values, level: "restricted", pods: pods, config: config, change: change, folder: itself, before: before,
		// The injector is for nobody here: its webhook would be called for pods of other tests.
		args: []string{"-f", fixtures + "good/" + values + ".yaml", "--set", "injector.namespaceSelector.matchLabels.injector=nobody"}}
}

func shapes() []shape {
	const regions, level = `config.regions=["eu-west-1"]`, `injector.logLevel="error"`
	return []shape{
		deployment("local", 2, "secrets/r-s3veil-config", regions, nil),
		deployment("transit", 1, "secrets/r-s3veil-config", regions, nil),
		deployment("everything", 3, "secrets/veil-config", regions, everythingElse),
		deployment("injector", 2, "configmaps/r-s3veil-inject", level, nil),
		deployment("injector-everything", 3, "configmaps/veil-injector-inject", level, nil),
		{name: "sidecar", level: "baseline", pods: 1, config: "secrets/r-s3veil-config", change: "s3veil." + regions, folder: exampleChart},
	}
}

// exampleChart is a copy of the example application with the chart as its dependency in place.
func exampleChart(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(fixtures+"app")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "charts", "s3veil"), os.DirFS(chart)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// everythingElse makes what everything.yaml takes for granted: a volume for the audit log, and a cloud that gives addresses
// to load balancers.
func everythingElse(t *testing.T, p *plane, namespace string) {
	spec := object{"accessModes": []string{"ReadWriteMany"}, "storageClassName": "", "volumeName": namespace}
	volume := object{"accessModes": []string{"ReadWriteMany"}, "capacity": object{"storage": "1Gi"}, "hostPath": object{"path": "/nowhere"}}
	p.must(t, "POST", "/api/v1/persistentvolumes", object{"apiVersion": "v1", "kind": "PersistentVolume", "metadata": object{"name": namespace}, "spec": volume})
	spec["resources"] = object{"requests": object{"storage": "1Gi"}}
	p.must(t, "POST", "/api/v1/namespaces/"+namespace+"/persistentvolumeclaims", object{"apiVersion": "v1", "kind": "PersistentVolumeClaim",
		"metadata": object{"name": "audit"}, "spec": spec})
	p.cloud(t, namespace)
}

// cloud gives every load balancer of a namespace an address, until the test ends.
func (p *plane) cloud(t *testing.T, namespace string) {
	done, ended := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(done); <-ended })
	services := "/api/v1/namespaces/" + namespace + "/services"
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-time.After(100 * time.Millisecond):
			}
			var all object
			if p.do("GET", services, nil, &all) != nil {
				continue
			}
			for _, s := range tree.List(all, "items") {
				if text(s, "spec", "type") == "LoadBalancer" && tree.At(s, "status", "loadBalancer", "ingress") == nil {
					// A service that has gone meanwhile needs no address.
					_ = p.do("PATCH", services+"/"+name(s)+"/status", object{"status": object{"loadBalancer": object{"ingress": []object{{"ip": "10.9.9.9"}}}}}, nil)
				}
			}
		}
	}()
}

// configuration is what a release tells the program.
func (p *plane) configuration(t *testing.T, namespace, path string) string {
	t.Helper()
	data, _ := tree.At(p.must(t, "GET", "/api/v1/namespaces/"+namespace+"/"+path, nil), "data").(object)
	if len(data) == 0 {
		t.Fatalf("no configuration in %s", path)
	}
	return fmt.Sprint(data)
}

func TestEveryShapeIsInstalledUpgradedRolledBackAndRemoved(t *testing.T) {
	p := mustPlane(t)
	for _, s := range shapes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			ns, folder := p.namespace(t, s.level), s.folder(t)
			if s.before != nil {
				s.before(t, p, ns)
			}
			before := p.contents(t, ns)
			deploy := func(command string, more ...string) {
				t.Helper()
				p.mustHelm(t, slices.Concat([]string{command, "r", folder, "-n", ns, "--wait", "--timeout", "2m"}, s.args, more)...)
				p.mirrored(t, ns, "r")
			}
			deploy("install")
			first := p.replaced(t, ns, s.pods, nil)
			config := p.configuration(t, ns, s.config)

			deploy("upgrade")
			for uid := range p.replaced(t, ns, s.pods, nil) {
				if first[uid] == nil {
					t.Error("an upgrade without a change has replaced a pod")
				}
			}

			deploy("upgrade", "--set-json", s.change)
			second := p.replaced(t, ns, s.pods, first)
			if c := p.configuration(t, ns, s.config); c == config {
				t.Errorf("the new configuration has not arrived:\n%s", c)
			}

			p.mustHelm(t, "rollback", "r", "1", "-n", ns, "--wait", "--timeout", "2m")
			p.mirrored(t, ns, "r")
			p.replaced(t, ns, s.pods, second)
			if c := p.configuration(t, ns, s.config); c != config {
				t.Errorf("rolled back to\n%s, not to\n%s", c, config)
			}

			p.mustHelm(t, "uninstall", "r", "-n", ns, "--wait", "--timeout", "2m")
			eventually(t, func() error {
				if after := p.contents(t, ns); !slices.Equal(before, after) {
					return fmt.Errorf("left behind: %v, before it was %v", after, before)
				}
				return nil
			})
		})
	}
}

// Field validation of the API server itself, with the definitions of Certificate, HTTPRoute, ServiceMonitor and PrometheusRule.
func TestTheServerTakesEveryObjectStrictly(t *testing.T) {
	p := mustPlane(t)
	ns := p.namespace(t, "privileged")
	create := func(o object) error {
		return p.do("POST", pathOf(o, ns)+"?dryRun=All&fieldValidation=Strict", o, nil)
	}
	for _, s := range shapes() {
		args := slices.Concat([]string{"template", "r", s.folder(t), "-n", ns, "--kube-version", "1.36.0"}, s.args)
		for _, o := range decode(t, p.mustHelm(t, args...)) {
			if err := create(o); err != nil {
				t.Errorf("%s: %s %s: %v", s.name, text(o, "kind"), name(o), err)
			}
			spec, ok := tree.At(o, "spec").(object)
			if !ok {
				continue
			}
			spec["unheardOf"] = true
			if err := create(o); !refusedWith(err, 400) || !strings.Contains(err.Error(), "unheardOf") {
				t.Errorf("%s: %s with an unknown field: %v", s.name, text(o, "kind"), err)
			}
		}
		if _, err := p.helm(slices.Concat([]string{"install", "r", s.folder(t), "-n", ns, "--dry-run=server"}, s.args)...); err != nil {
			t.Errorf("%s: dry run: %v", s.name, err)
		}
	}
	for _, c := range p.contents(t, ns) {
		if c != "ServiceAccount/default" && c != "ConfigMap/kube-root-ca.crt" {
			t.Errorf("a dry run has made %s", c)
		}
	}
}
