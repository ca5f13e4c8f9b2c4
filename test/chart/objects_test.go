//go:build integration

package chart

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"s3veil/test/tree"
)

// certificate writes tls.crt and tls.key as a Secret of the type kubernetes.io/tls has them.
func certificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"s3"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "tls.crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, filepath.Join(dir, "tls.key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

// field is one expectation of a rendered object.
type field struct {
	object string
	path   []any
	want   any
}

func expect(t *testing.T, m manifests, fields []field) {
	t.Helper()
	for _, f := range fields {
		if got := tree.At(m[f.object], f.path...); !reflect.DeepEqual(got, f.want) {
			t.Errorf("%s %v: %v, want %v", f.object, f.path, got, f.want)
		}
	}
}

func TestChartDefaults(t *testing.T) {
	m := parse(t, render(t, chart, "-f", "testdata/good/local.yaml"))
	var kinds []string
	for name := range m {
		kinds = append(kinds, name)
	}
	slices.Sort(kinds)
	if want := []string{"Deployment/r-s3veil", "PodDisruptionBudget/r-s3veil", "Secret/r-s3veil-config", "Service/r-s3veil", "ServiceAccount/r-s3veil"}; !slices.Equal(kinds, want) {
		t.Errorf("%v, want %v", kinds, want)
	}
	const d = "Deployment/r-s3veil"
	pod := func(path ...any) []any { return append([]any{"spec", "template", "spec"}, path...) }
	container := func(path ...any) []any { return pod(append([]any{"containers", 0}, path...)...) }
	expect(t, m, []field{
		{d, []any{"spec", "replicas"}, 2},
		{d, []any{"spec", "strategy", "rollingUpdate", "maxUnavailable"}, 0},
		{d, pod("terminationGracePeriodSeconds"), 35},
		{d, pod("automountServiceAccountToken"), false},
		{d, pod("securityContext", "fsGroup"), 65532},
		{d, pod("topologySpreadConstraints", 1, "topologyKey"), "topology.kubernetes.io/zone"},
		{d, pod("volumes", 0, "secret", "defaultMode"), 0o440},
		{d, pod("volumes", 1, "secret"), map[string]any{"secretName": "keys", "defaultMode": 0o440}},
		{d, container("image"), "s3veil:devel"},
		{d, container("volumeMounts", 1, "mountPath"), "/run/s3veil/secrets/keys"},
		{d, container("lifecycle", "preStop", "sleep", "seconds"), 5},
		{d, container("readinessProbe", "httpGet"), map[string]any{"path": "/readyz", "port": 8081}},
		{d, container("livenessProbe", "httpGet"), map[string]any{"path": "/healthz", "port": 8081}},
		{d, container("startupProbe", "httpGet", "path"), "/healthz"},
		{d, container("securityContext"), map[string]any{"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "readOnlyRootFilesystem": true,
			"allowPrivilegeEscalation": false, "capabilities": map[string]any{"drop": []any{"ALL"}}, "seccompProfile": map[string]any{"type": "RuntimeDefault"}}},
		{"PodDisruptionBudget/r-s3veil", []any{"spec", "maxUnavailable"}, 1},
		{"Service/r-s3veil", []any{"spec", "ports", 0, "port"}, 80},
	})
	if s := tree.At(m["Service/r-s3veil"], "spec", "selector"); !reflect.DeepEqual(s, tree.At(m[d], "spec", "selector", "matchLabels")) {
		t.Errorf("the Service selects %v", s)
	}
}

func TestChartWithEverything(t *testing.T) {
	m := parse(t, render(t, chart, "-f", "testdata/good/everything.yaml"))
	const d = "Deployment/veil"
	pod := func(path ...any) []any { return append([]any{"spec", "template", "spec"}, path...) }
	expect(t, m, []field{
		{d, []any{"spec", "replicas"}, nil},
		{d, []any{"spec", "template", "metadata", "labels", "g"}, "h"},
		{d, []any{"spec", "template", "metadata", "annotations", "e"}, "f"},
		{d, pod("terminationGracePeriodSeconds"), 55},
		{d, pod("serviceAccountName"), "veil-sa"},
		{d, pod("imagePullSecrets", 0, "name"), "pull"},
		{d, pod("nodeSelector", "i"), "j"},
		{d, pod("tolerations", 0, "key"), "k"},
		{d, pod("affinity"), map[string]any{"nodeAffinity": map[string]any{}}},
		{d, pod("priorityClassName"), "high"},
		{d, pod("topologySpreadConstraints", 0, "topologyKey"), "zone"},
		{d, pod("volumes", 2), map[string]any{"name": "s3veil-tls", "secret": map[string]any{"secretName": "veil-tls", "defaultMode": 0o440}}},
		{d, pod("containers", 0, "env", 0, "name"), "GOMEMLIMIT"},
		{d, pod("containers", 0, "volumeMounts", 3, "mountPath"), "/run/s3veil/audit"},
		{"HorizontalPodAutoscaler/veil", []any{"spec", "maxReplicas"}, 6},
		{"HorizontalPodAutoscaler/veil", []any{"spec", "metrics", 0, "resource", "target", "averageUtilization"}, 60},
		{"HorizontalPodAutoscaler/veil", []any{"spec", "metrics", 1, "pods"}, map[string]any{"metric": map[string]any{"name": "rps"},
			"target": map[string]any{"type": "AverageValue", "averageValue": "500"}}},
		{"HorizontalPodAutoscaler/veil", []any{"spec", "behavior"}, map[string]any{"scaleDown": map[string]any{"stabilizationWindowSeconds": 300},
			"scaleUp": map[string]any{"stabilizationWindowSeconds": 10}}},
		{"PodDisruptionBudget/veil", []any{"spec", "minAvailable"}, 2},
		{"PodDisruptionBudget/veil", []any{"spec", "maxUnavailable"}, nil},
		{"ServiceAccount/veil-sa", []any{"metadata", "annotations", "eks.amazonaws.com/role-arn"}, "arn:aws:iam::111122223333:role/s3veil"},
		{"Service/veil", []any{"spec", "type"}, "LoadBalancer"},
		{"Ingress/veil", []any{"spec", "rules", 0, "http", "paths", 0, "backend", "service", "name"}, "veil"},
		{"HTTPRoute/veil", []any{"spec", "rules", 0, "backendRefs", 0}, map[string]any{"name": "veil", "port": 443}},
		{"NetworkPolicy/veil", []any{"spec", "policyTypes"}, []any{"Ingress", "Egress"}},
		{"NetworkPolicy/veil", []any{"spec", "ingress", 0, "from", 0, "namespaceSelector", "matchLabels", "team"}, "a"},
		{"NetworkPolicy/veil", []any{"spec", "ingress", 1, "ports", 0, "port"}, "admin"},
		{"Certificate/veil", []any{"spec", "secretName"}, "veil-tls"},
		{"Certificate/veil", []any{"spec", "dnsNames"}, []any{"s3.example.internal"}},
		{"ServiceMonitor/veil", []any{"spec", "endpoints", 0, "authorization", "credentials"}, map[string]any{"name": "veil-files", "key": "token"}},
		{"ServiceMonitor/veil", []any{"metadata", "labels", "release"}, "prometheus"},
		{"Service/veil-metrics", []any{"metadata", "labels", "s3veil/metrics"}, "true"},
		{"PrometheusRule/veil", []any{"metadata", "labels", "release"}, "prometheus"},
		{"ConfigMap/veil-dashboard", []any{"metadata", "labels", "grafana_dashboard"}, "1"},
		{"ConfigMap/veil-dashboard", []any{"metadata", "labels", "team"}, "storage"},
		{"ConfigMap/veil-dashboard", []any{"metadata", "annotations", "grafana_folder"}, "S3"},
	})
	dashboard, err := os.ReadFile(chart + "/dashboards/s3veil.json")
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := tree.At(m["ConfigMap/veil-dashboard"], "data", "s3veil.json").(string); strings.TrimSpace(got) != strings.TrimSpace(string(dashboard)) {
		t.Errorf("the dashboard of the ConfigMap is another: %.200s", got)
	}
}

// The pods are replaced when, and only when, something that the chart writes for them changes.
func TestChartReplacesPodsForNewConfiguration(t *testing.T) {
	sum := func(set string) any {
		m := parse(t, render(t, chart, "-f", "testdata/good/local.yaml", "--set-json", set))
		return tree.At(m["Deployment/r-s3veil"], "spec", "template", "metadata", "annotations", "checksum/config")
	}
	first := sum(`replicas=2`)
	if first == nil || sum(`replicas=3`) != first {
		t.Error("a change of replicas replaces the pods")
	}
	for _, set := range []string{`config.domains=["a.b"]`, `drainSeconds=26`, `secrets=[{"name":"keys","files":{"keys.json":"x"}}]`} {
		if sum(set) == first {
			t.Errorf("%s does not replace the pods", set)
		}
	}
}

func TestChartSidecar(t *testing.T) {
	m := parse(t, render(t, appWithSidecar(t)))
	if len(m) != 2 {
		t.Errorf("more than the application and its configuration: %v", m)
	}
	container := func(path ...any) []any {
		return append([]any{"spec", "template", "spec", "initContainers", 0}, path...)
	}
	expect(t, m, []field{
		{"Deployment/r", container("restartPolicy"), "Always"},
		{"Deployment/r", container("name"), "s3veil"},
		{"Deployment/r", container("ports"), []any{map[string]any{"name": "admin", "containerPort": 8081}}},
		{"Deployment/r", container("lifecycle"), nil},
		{"Deployment/r", container("securityContext", "readOnlyRootFilesystem"), true},
		{"Deployment/r", []any{"spec", "template", "spec", "volumes", 0, "secret", "secretName"}, "r-s3veil-config"},
	})
	if config := m.secretFile(t, "r-s3veil-config", "s3veil.yaml"); !strings.Contains(config, "listen: 127.0.0.1:8080\n") || !strings.Contains(config, "drain_delay: 0s\n") {
		t.Errorf("the S3 endpoint leaves the pod, or its end waits for balancers:\n%s", config)
	}
}
