//go:build integration

package chart

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"s3veil/test/tree"
)

// ruleList are the rules of groups, in order.
func ruleList(groups any) (out []map[string]any) {
	list, _ := groups.([]any)
	for _, g := range list {
		rules, _ := tree.At(g, "rules").([]any)
		for _, r := range rules {
			out = append(out, r.(map[string]any))
		}
	}
	return out
}

// The alerts of the chart are those of the file of its mode, in the namespace of the release. test/monitoring tests what they say.
func TestChartAlertsAreThoseOfTheFile(t *testing.T) {
	alertsAreThoseOf(t, "s3veil.yaml", "testdata/good/everything.yaml", "PrometheusRule/veil", "S3veilForeignReads")
	alertsAreThoseOf(t, "injector.yaml", "testdata/good/injector-everything.yaml", "PrometheusRule/veil-injector", "S3veilInjectorRefusing")
}

// alertsAreThoseOf compares a rendered object with a rules file, without the alert that the values disable.
func alertsAreThoseOf(t *testing.T, rulesFile, values, name, disabled string) {
	t.Helper()
	text, err := os.ReadFile(chart + "/rules/" + rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	want := ruleList(file["groups"])
	m := parse(t, render(t, chart, "-f", values))
	got := ruleList(tree.At(m[name], "spec", "groups"))
	want = slices.DeleteFunc(want, func(r map[string]any) bool { return r["alert"] == disabled })
	if len(got) != len(want) || len(got) == 0 {
		t.Fatalf("%s: %d alerts, want %d", rulesFile, len(got), len(want))
	}
	added := regexp.MustCompile(`\{namespace="ns",`)
	for i, r := range got {
		expr := r["expr"].(string)
		if n := strings.Count(expr, "{"); n == 0 || len(added.FindAllString(expr, -1)) != n {
			t.Errorf("%v: a selector without the namespace: %s", r["alert"], expr)
		}
		if added.ReplaceAllString(expr, "{") != want[i]["expr"] || r["for"] != want[i]["for"] || r["alert"] != want[i]["alert"] {
			t.Errorf("%v differs from %v", r, want[i])
		}
		anchor := "#" + strings.ToLower(r["alert"].(string))
		if url := tree.At(r, "annotations", "runbook_url"); url != "https://wiki.example/s3veil/RUNBOOKS"+anchor {
			t.Errorf("%v: %v", r["alert"], url)
		}
		for _, text := range []string{"summary", "description"} {
			if tree.At(r, "annotations", text) != tree.At(want[i], "annotations", text) {
				t.Errorf("%v: %s: %v", r["alert"], text, tree.At(r, "annotations", text))
			}
		}
	}
	rules, err := yaml.Marshal(map[string]any{"groups": tree.At(m[name], "spec", "groups")})
	if err != nil {
		t.Fatal(err)
	}
	promtoolChecks(t, rules)
}

// promtoolChecks has promtool read the rules as a Prometheus would.
func promtoolChecks(t *testing.T, rules []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	write(t, file, string(rules))
	if out, err := promtool(t, "check", "rules", file); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestChartRefusesToLeaveOutWhatIsNoAlert(t *testing.T) {
	for values, alert := range map[string]string{"testdata/good/local.yaml": "S3veilInjectorDown", injectorValues: "S3veilAbsent"} {
		_, log, err := helm(t, "template", "r", chart, "--kube-version", "1.36.0", "-f", values,
			"--set-json", `metrics.prometheusRule={"enabled":true,"disabled":["`+alert+`"]}`)
		if err == nil || !strings.Contains(log, `there is no alert "`+alert+`"`) {
			t.Errorf("%s: %v: %s", values, err, log)
		}
	}
}
