//go:build integration

package chart

import (
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"s3veil/test/s3veil"
	"s3veil/test/tree"
)

const (
	injectorValues = "testdata/good/injector.yaml"
	injectorGuide  = "../../docs/install/injector.md"
)

// injectorGuideValues writes the values of the guide to a file.
func injectorGuideValues(t *testing.T) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "values.yaml")
	write(t, file, documentBlocks(t, injectorGuide, "values")[0])
	return file
}

// files returns the data of a rendered ConfigMap.
func (m manifests) files(t *testing.T, configMap string) map[string]string {
	t.Helper()
	data, _ := tree.At(m["ConfigMap/"+configMap], "data").(map[string]any)
	out := map[string]string{}
	for name, text := range data {
		out[name], _ = text.(string)
	}
	if out["inject.yaml"] == "" {
		t.Fatalf("ConfigMap %s has no inject.yaml", configMap)
	}
	return out
}

func TestInjectorMakesWhatItNeeds(t *testing.T) {
	m := parse(t, render(t, chart, "-f", injectorValues))
	var kinds []string
	for name := range m {
		kinds = append(kinds, name)
	}
	slices.Sort(kinds)
	want := []string{"ClusterRole/r-s3veil-ns", "ClusterRoleBinding/r-s3veil-ns", "ConfigMap/r-s3veil-inject", "Deployment/r-s3veil",
		"MutatingWebhookConfiguration/r-s3veil-ns", "PodDisruptionBudget/r-s3veil", "Role/r-s3veil", "RoleBinding/r-s3veil", "Secret/r-s3veil-webhook-tls",
		"Service/r-s3veil", "ServiceAccount/r-s3veil"}
	if !slices.Equal(kinds, want) {
		t.Errorf("%v, want %v", kinds, want)
	}
	const d, w = "Deployment/r-s3veil", "MutatingWebhookConfiguration/r-s3veil-ns"
	pod := func(path ...any) []any { return append([]any{"spec", "template", "spec"}, path...) }
	hook := func(i int, path ...any) []any { return append([]any{"webhooks", i}, path...) }
	expect(t, m, []field{
		{"Secret/r-s3veil-webhook-tls", []any{"data"}, nil},
		{"Role/r-s3veil", []any{"rules"}, []any{map[string]any{"apiGroups": []any{""}, "resources": []any{"secrets"},
			"resourceNames": []any{"r-s3veil-webhook-tls"}, "verbs": []any{"get", "update"}}}},
		{"ClusterRole/r-s3veil-ns", []any{"rules"}, []any{map[string]any{"apiGroups": []any{"admissionregistration.k8s.io"},
			"resources": []any{"mutatingwebhookconfigurations"}, "resourceNames": []any{"r-s3veil-ns"}, "verbs": []any{"get", "patch"}}}},
		{d, pod("automountServiceAccountToken"), true},
		{d, pod("containers", 0, "args"), []any{"inject", "--config", "/etc/s3veil-inject/inject.yaml"}},
		{d, pod("containers", 0, "securityContext", "runAsGroup"), 65532},
		{d, pod("containers", 0, "securityContext", "readOnlyRootFilesystem"), true},
		{d, pod("containers", 0, "resources", "limits", "memory"), "128Mi"},
		{w, hook(0, "clientConfig", "service"), map[string]any{"namespace": "ns", "name": "r-s3veil", "path": "/inject", "port": 443}},
		{w, hook(1, "clientConfig", "service", "path"), "/inject/all"},
		{w, hook(0, "failurePolicy"), "Fail"},
		{w, hook(0, "sideEffects"), "None"},
		{w, hook(0, "matchPolicy"), "Equivalent"},
		{w, hook(0, "reinvocationPolicy"), "IfNeeded"},
		{w, hook(0, "rules", 0, "operations"), []any{"CREATE"}},
		{w, hook(0, "namespaceSelector", "matchExpressions", 0, "values"), []any{"kube-system", "kube-public", "kube-node-lease", "ns"}},
		{w, hook(0, "namespaceSelector", "matchExpressions", 1), map[string]any{"key": "s3veil.io/inject", "operator": "NotIn", "values": []any{"enabled", "disabled"}}},
		{w, hook(1, "namespaceSelector", "matchExpressions", 0, "values"), []any{"kube-system", "kube-public", "kube-node-lease", "ns"}},
		{w, hook(1, "namespaceSelector", "matchExpressions", 1), map[string]any{"key": "s3veil.io/inject", "operator": "In", "values": []any{"enabled"}}},
		{w, hook(0, "objectSelector", "matchExpressions", 0), map[string]any{"key": "s3veil.io/inject", "operator": "NotIn", "values": []any{"false"}}},
		{w, hook(0, "matchConditions", 1, "name"), "annotated"},
		{w, hook(1, "matchConditions", 1), nil},
	})
}

func TestInjectorWithEverything(t *testing.T) {
	m := parse(t, render(t, chart, "-f", "testdata/good/injector-everything.yaml"))
	const d, w = "Deployment/veil-injector", "MutatingWebhookConfiguration/veil-injector-ns"
	pod := func(path ...any) []any { return append([]any{"spec", "template", "spec"}, path...) }
	expect(t, m, []field{
		{"Secret/veil-injector-webhook-tls", nil, map[string]any(nil)},
		{"ClusterRole/veil-injector-ns", nil, map[string]any(nil)},
		{d, []any{"spec", "replicas"}, 3},
		{d, pod("automountServiceAccountToken"), false},
		{d, pod("imagePullSecrets", 0, "name"), "pull"},
		{d, pod("priorityClassName"), "system-cluster-critical"},
		{d, pod("volumes", 1, "secret"), map[string]any{"secretName": "veil-injector-tls", "defaultMode": 0o440}},
		{w, []any{"metadata", "annotations", "cert-manager.io/inject-ca-from"}, "ns/veil-injector"},
		{w, []any{"webhooks", 0, "failurePolicy"}, "Ignore"},
		{w, []any{"webhooks", 0, "timeoutSeconds"}, 3},
		{w, []any{"webhooks", 0, "namespaceSelector", "matchLabels", "tier"}, "apps"},
		{w, []any{"webhooks", 1, "namespaceSelector", "matchExpressions", 0, "values"}, []any{"kube-system", "ns"}},
		{w, []any{"webhooks", 1, "namespaceSelector", "matchExpressions", 2, "key"}, "env"},
		{"Certificate/veil-injector", []any{"spec", "dnsNames", 2}, "veil-injector.ns.svc"},
		{"PodDisruptionBudget/veil-injector", []any{"spec", "minAvailable"}, 2},
		{"NetworkPolicy/veil-injector", []any{"spec", "ingress", 0, "ports", 0, "port"}, "webhook"},
		{"Service/veil-injector-metrics", []any{"spec", "ports", 0, "targetPort"}, "admin"},
		{"ServiceMonitor/veil-injector", []any{"metadata", "labels", "release"}, "prometheus"},
		{"PrometheusRule/veil-injector", []any{"metadata", "labels", "release"}, "prometheus"},
	})
	p := tree.At(parseOne(t, m.files(t, "veil-injector-inject")["inject.yaml"]), "profiles", 0)
	for _, f := range []struct {
		path []any
		want any
	}{
		{[]any{"container", "resources", "limits", "memory"}, "256Mi"},
		{[]any{"container", "env", 0, "value"}, "200MiB"},
		{[]any{"container", "volumeMounts", 2, "mountPath"}, "/run/s3veil/audit"},
		{[]any{"config", "limits"}, map[string]any{"memory": 67108864, "drain": "40s", "drain_delay": "0s"}},
		{[]any{"ca_file"}, "/etc/s3veil-inject/ca-legacy.pem"},
		{[]any{"mode"}, "forward"},
		{[]any{"ports", "admin"}, 15491},
		{[]any{"container", "startupProbe", "httpGet", "port"}, 15491},
		{[]any{"container", "ports", 0, "containerPort"}, 15491},
		{[]any{"allow", "keys"}, []any{"other"}},
		{[]any{"image_pull_secrets"}, []any{"pull"}},
		{[]any{"no_proxy"}, []any{".corp.internal"}},
	} {
		if got := tree.At(p, f.path...); !reflect.DeepEqual(got, f.want) {
			t.Errorf("%v: %v, want %v", f.path, got, f.want)
		}
	}
}

// parseOne parses a text that is one mapping.
func parseOne(t *testing.T, text string) map[string]any {
	t.Helper()
	return parse(t, "kind: one\nmetadata: {name: one}\n"+text)["one/one"]
}

// The container of a profile is that of the sidecar, but for what the injector itself sets and for the ports.
func TestInjectorsContainerIsTheSidecars(t *testing.T) {
	sidecar, _ := tree.At(parse(t, render(t, appWithSidecar(t)))["Deployment/r"], "spec", "template", "spec", "initContainers", 0).(map[string]any)
	m := parse(t, render(t, chart, "-f", injectorValues))
	injected, _ := tree.At(parseOne(t, m.files(t, "r-s3veil-inject")["inject.yaml"]), "profiles", 0, "container").(map[string]any)
	for _, key := range []string{"image", "imagePullPolicy", "resources", "lifecycle"} {
		if !reflect.DeepEqual(sidecar[key], injected[key]) {
			t.Errorf("%s: %v and %v", key, sidecar[key], injected[key])
		}
	}
	for _, c := range []map[string]any{sidecar, injected} {
		for _, probe := range []string{"startupProbe", "livenessProbe", "readinessProbe"} {
			delete(tree.At(c, probe, "httpGet").(map[string]any), "port")
		}
		delete(c["securityContext"].(map[string]any), "runAsGroup")
	}
	for _, key := range []string{"startupProbe", "livenessProbe", "readinessProbe", "securityContext"} {
		if sidecar[key] == nil || !reflect.DeepEqual(sidecar[key], injected[key]) {
			t.Errorf("%s: %v and %v", key, sidecar[key], injected[key])
		}
	}
}

// What the chart renders passes the injector's own check.
func TestInjectorConfigurationPassesTheProgram(t *testing.T) {
	program, err := s3veil.Build()
	if err != nil {
		t.Fatal(err)
	}
	for values, configMap := range map[string]string{injectorValues: "r-s3veil-inject", injectorGuideValues(t): "r-s3veil-inject", "testdata/good/injector-everything.yaml": "veil-injector-inject"} {
		dir := t.TempDir()
		for name, text := range parse(t, render(t, chart, "-f", values)).files(t, configMap) {
			write(t, filepath.Join(dir, name), strings.ReplaceAll(text, "/etc/s3veil-inject", dir))
		}
		if out, err := exec.Command(program, "inject", "--check-config", "--config", filepath.Join(dir, "inject.yaml")).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", values, err, out)
		}
	}
}

func TestInjectorRefusesContradictions(t *testing.T) {
	for _, c := range []struct {
		set  string
		want string
	}{
		{`config={"upstream":{"endpoint":"http://a"}}`, "config: with mode: injector each profile has its own"},
		{`secrets=[{"name":"a","existingSecret":"b"}]`, "secrets: with mode: injector each profile has its own"},
		{`ingress.enabled=true`, "ingress: not with mode: injector"},
		{`serviceAccount.automountToken=true`, "with mode: injector the chart decides"},
		{`injector.profiles=[]`, "injector.profiles: missing"},
		{`injector.defaultProfile="x"`, `injector.defaultProfile: there is no profile "x"`},
		{`injector.failurePolicy="Open"`, "value must be one of 'Fail', 'Ignore'"},
		{`injector.timeoutSeconds=31`, "maximum: got 31, want 30"},
		{`injector.caBundle="-----BEGIN CERTIFICATE-----"`, "injector.caBundle: only with tls.existingSecret"},
		{`tls.existingSecret="a"`, "injector.caBundle: missing"},
		{`injector.profiles[0].namespaces=[]`, "minItems: got 0, want 1"},
		{`injector.profiles[0].config={}`, "config.upstream: missing"},
		{`injector.profiles[0].config.listen=":1"`, "config.listen: the chart sets it"},
		{`injector.profiles[0].config.forward={"ca_file":"x"}`, "config.forward.ca_file: the injector sets it"},
		{`injector.profiles[0].secrets=[{"name":"keys","files":{"keys.json":"x"}}]`, `secrets "keys": only existingSecret`},
		{`injector.profiles[0].secrets=[]`, `nothing is mounted at "/run/s3veil/secrets/keys/keys.json"`},
		{`injector.profiles[0].extraVolumes=[{"name":"a","emptyDir":{}}]`, "must begin with s3veil-"},
		{`podDisruptionBudget={"minAvailable":2,"maxUnavailable":""}`, "no node could ever be drained"},
		{`mode="gateway"`, "injector.profiles: need mode: injector"},
	} {
		_, log, err := helm(t, "template", "r", chart, "--kube-version", "1.36.0", "-f", injectorValues, "--set-json", c.set)
		if err == nil || !strings.Contains(log, c.want) {
			t.Errorf("%s: %v, want %q:\n%s", c.set, err, c.want, log)
		}
	}
}
