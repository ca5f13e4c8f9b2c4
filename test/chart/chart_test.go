//go:build integration

package chart

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/tree"
)

func TestMain(m *testing.M) { servers.Main(m, s3veil.RemoveBuild) }

const chart = "../../charts/s3veil"

// tool returns the program or file that an environment variable of .ci/chart names.
func tool(t *testing.T, variable string) string {
	t.Helper()
	file := os.Getenv(variable)
	if file == "" {
		t.Fatalf("%s is not set; .ci/chart sets it", variable)
	}
	return file
}

func helm(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.Command(tool(t, "S3VEIL_TEST_HELM"), args...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err = cmd.Run()
	return out.String(), log.String(), err
}

func promtool(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command(filepath.Join(tool(t, "S3VEIL_TEST_PROMETHEUS"), "promtool"), args...).CombinedOutput()
	return string(out), err
}

// render returns the manifests of a chart as text.
func render(t *testing.T, folder string, args ...string) string {
	t.Helper()
	out, log, err := helm(t, append([]string{"template", "r", folder, "-n", "ns", "--kube-version", "1.36.0"}, args...)...)
	if err != nil {
		t.Fatalf("helm template %v: %s", args, log)
	}
	return out
}

// manifests holds rendered objects by "Kind/name".
type manifests map[string]map[string]any

func parse(t *testing.T, text string) manifests {
	t.Helper()
	all := manifests{}
	d := yaml.NewDecoder(strings.NewReader(text))
	for {
		var m map[string]any
		err := d.Decode(&m)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if m != nil {
			all[m["kind"].(string)+"/"+m["metadata"].(map[string]any)["name"].(string)] = m
		}
	}
}

// secretFile returns the content of a file in a rendered Secret.
func (m manifests) secretFile(t *testing.T, secret, file string) string {
	t.Helper()
	text, _ := tree.At(m["Secret/"+secret], "data", file).(string)
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) == 0 {
		t.Fatalf("Secret %s has no %s (%v)", secret, file, err)
	}
	return string(b)
}

func goodValues(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	return files
}

// appWithSidecar is a copy of testdata/app with the chart as its dependency in place.
func appWithSidecar(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/app")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "charts", "s3veil"), os.DirFS(chart)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestChartLints(t *testing.T) {
	for _, values := range goodValues(t) {
		if out, log, err := helm(t, "lint", chart, "--strict", "--kube-version", "1.36.0", "-f", values); err != nil || strings.Contains(log, "Fail:") {
			t.Errorf("%s: %v\n%s%s", values, err, out, log)
		}
	}
}

func TestChartMakesWhatKubernetesKnows(t *testing.T) {
	schemas := writeSchemas(t, tool(t, "S3VEIL_TEST_KUBE_SWAGGER"))
	conform := func(text string) (string, error) {
		cmd := exec.Command(tool(t, "S3VEIL_TEST_KUBECONFORM"), "-strict", "-summary", "-schema-location",
			schemas+"/{{.ResourceKind}}{{.KindSuffix}}.json", "-skip", "Certificate,HTTPRoute,ServiceMonitor,PrometheusRule")
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	texts := map[string]string{"app": render(t, appWithSidecar(t))}
	for _, values := range goodValues(t) {
		texts[values] = render(t, chart, "-f", values)
	}
	for i, files := range guideValues(t) {
		texts[fmt.Sprint("values of the guide ", i)] = render(t, chart, files...)
	}
	texts[podGuide] = documentBlocks(t, podGuide, "manifest")[0]
	texts[injectorGuide] = documentBlocks(t, injectorGuide, "manifest")[0]
	texts["values of "+injectorGuide] = render(t, chart, "-f", injectorGuideValues(t))
	for name, text := range texts {
		if out, err := conform(text); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	wrong := strings.Replace(texts["testdata/good/local.yaml"], "terminationGracePeriodSeconds", "terminationGracePeriod", 1)
	if out, err := conform(wrong); err == nil || !strings.Contains(out, "terminationGracePeriod") {
		t.Errorf("an unknown field passes: %v\n%s", err, out)
	}
}

func TestChartRefusesContradictions(t *testing.T) {
	base := "testdata/good/local.yaml"
	for _, c := range []struct {
		set  string // helm --set-json
		want string
	}{
		{`replica=3`, "additional properties 'replica' not allowed"},
		{`replicas=0`, "minimum: got 0, want 1"},
		{`mode="both"`, "value must be one of 'gateway', 'sidecar', 'injector'"},
		{`config={}`, "config.upstream: missing"},
		{`config.kms={}`, "config.kms.keys: missing"},
		{`config.clients=[]`, "config.clients: missing"},
		{`config.listen=":1"`, "config.listen: the chart sets it"},
		{`config.limits={"drain":"5s"}`, "config.limits.drain: use drainSeconds"},
		{`config.forward={"listen":":3128"}`, "use mode: sidecar"},
		{`secrets=[{"name":"keys","existingSecret":"k","files":{"keys.json":"x"}}]`, `secrets "keys": existingSecret and files exclude each other`},
		{`secrets=[{"name":"keys"}]`, `secrets "keys": needs existingSecret or files`},
		{`secrets=[{"name":"keys","existingSecret":"a"},{"name":"keys","existingSecret":"b"}]`, `the name "keys" stands twice`},
		{`secrets=[{"name":"keys","files":{"other.json":"x"}}]`, `secrets "keys" has no file "keys.json"`},
		{`secrets=[]`, `nothing is mounted at "/run/s3veil/secrets/keys/keys.json"`},
		{`secrets=[],extraVolumes=[{"name":"v","emptyDir":{}}],extraVolumeMounts=[{"name":"v","mountPath":"/run/s3veil/secrets/keys"}]`, "lies in an emptyDir"},
		{`tls={"existingSecret":"a","certManager":{"enabled":true,"issuerRef":{"name":"i"}}}`, "tls: existingSecret and certManager exclude each other"},
		{`tls.certManager.enabled=true`, "tls.certManager.issuerRef.name: missing"},
		{`tls.existingSecret="a",config.tls={"cert_file":"/x"}`, "config.tls: tls.existingSecret and tls.certManager set"},
		{`autoscaling={"enabled":true,"minReplicas":5,"maxReplicas":4}`, "minReplicas is above maxReplicas"},
		{`autoscaling.enabled=true,resources={"requests":null}`, "needs resources.requests.cpu"},
		{`autoscaling={"enabled":true,"targetCPUUtilizationPercentage":0}`, "needs targetCPUUtilizationPercentage or targetRequestsPerSecond"},
		{`podDisruptionBudget.minAvailable=1`, "exactly one of minAvailable and maxUnavailable"},
		{`podDisruptionBudget={"minAvailable":2,"maxUnavailable":""}`, "no node could ever be drained"},
		{`ingress.enabled=true`, "ingress.hosts: missing"},
		{`httpRoute.enabled=true`, "httpRoute.parentRefs: missing"},
		{`serviceAccount={"create":false,"annotations":{"a":"b"}}`, "serviceAccount.annotations: need create: true"},
		{`config.kms.keys=[{"id":"m","provider":"transit","kubernetes":{"role":"r"}}]`, "needs serviceAccount.automountToken: true"},
		{`metrics.serviceMonitor.enabled=true,config.admin_token_file="/x"`, "tokenSecret: missing"},
		{`metrics.serviceMonitor={"enabled":true,"tokenSecret":{"name":"a","key":"b"}}`, "nothing asks for a token"},
		{`metrics.serviceMonitor.enabled=true,networkPolicy.enabled=true`, "networkPolicy.monitoring: missing"},
		{`mode="sidecar",serviceAccount.automountToken=true`, "serviceAccount.automountToken: not with mode: sidecar"},
		{`mode="sidecar",image.pullSecrets=[{"name":"a"}]`, "image.pullSecrets: not with mode: sidecar"},
		{`mode="sidecar",ingress.enabled=true`, "ingress: not with mode: sidecar"},
		{`mode="sidecar",metrics.dashboard.enabled=true`, "metrics.dashboard: not with mode: sidecar"},
		{`mode="sidecar",nodeSelector={"a":"b"}`, "nodeSelector: not with mode: sidecar"},
	} {
		_, log, err := helm(t, "template", "r", chart, "--kube-version", "1.36.0", "-f", base, "--set-json", c.set)
		if err == nil || !strings.Contains(log, c.want) {
			t.Errorf("%s: %v, want %q:\n%s", c.set, err, c.want, log)
		}
	}
}

// What the chart renders passes the program's own check, with the files where they would be.
func TestChartConfigurationPassesTheProgram(t *testing.T) {
	program, err := s3veil.Build()
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, m manifests, secret string) {
		t.Helper()
		run := t.TempDir()
		for _, d := range []string{"secrets/keys", "secrets/files", "secrets/store", "secrets/clients", "tls", "audit"} {
			if err := os.MkdirAll(filepath.Join(run, d), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if out, err := exec.Command(program, "keys", "new", "--out", filepath.Join(run, "secrets/keys/keys.json")).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if m["Secret/veil-files"] != nil {
			for _, f := range []string{"store", "app", "token"} {
				write(t, filepath.Join(run, "secrets/files", f), m.secretFile(t, "veil-files", f))
			}
		}
		write(t, filepath.Join(run, "secrets/store/secret_key"), "b")
		write(t, filepath.Join(run, "secrets/clients/app"), "c")
		certificate(t, filepath.Join(run, "tls"))
		config := filepath.Join(run, "s3veil.yaml")
		write(t, config, strings.ReplaceAll(m.secretFile(t, secret, "s3veil.yaml"), "/run/s3veil", run))
		if out, err := exec.Command(program, "serve", "--check-config", "--config", config).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	for _, values := range goodValues(t) {
		secret := "r-s3veil-config"
		if strings.Contains(values, "injector") {
			continue // TestInjectorConfigurationPassesTheProgram
		}
		if strings.Contains(values, "everything") {
			secret = "veil-config"
		}
		check(values, parse(t, render(t, chart, "-f", values)), secret)
	}
	check("README.md", parse(t, render(t, chart, "-f", firstExample(t, chart+"/README.md"))), "r-s3veil-config")
	for _, files := range guideValues(t) {
		check("the guide", parse(t, render(t, chart, files...)), "r-s3veil-config")
	}
	check("app", parse(t, render(t, appWithSidecar(t))), "r-s3veil-config")
}

// firstExample writes the first block of YAML of a document to a file.
func firstExample(t *testing.T, document string) (file string) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	_, block, begun := strings.Cut(string(text), "```yaml\n")
	block, _, ended := strings.Cut(block, "```")
	if !begun || !ended {
		t.Fatalf("%s has no example", document)
	}
	file = filepath.Join(t.TempDir(), "values.yaml")
	write(t, file, block)
	return file
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
