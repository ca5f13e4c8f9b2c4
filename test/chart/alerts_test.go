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
)

// ruleList are the rules of groups, in order.
func ruleList(groups any) (out []map[string]any) {
	list, _ := groups.([]any)
	for _, g := range list {
		rules, _ := at(g, "rules").([]any)
		for _, r := range rules {
			out = append(out, r.(map[string]any))
		}
	}
	return out
}

// The alerts of the chart are those of the file, in the namespace of the release. test/monitoring tests what they say.
func TestChartAlertsAreThoseOfTheFile(t *testing.T) {
	text, err := os.ReadFile(chart + "/rules/s3veil.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	want := ruleList(file["groups"])
	m := parse(t, render(t, chart, "-f", "testdata/good/everything.yaml"))
	got := ruleList(at(m["PrometheusRule/veil"], "spec", "groups"))
	left := []string{"S3veilForeignReads"} // everything.yaml disables it
	want = slices.DeleteFunc(want, func(r map[string]any) bool { return slices.Contains(left, r["alert"].(string)) })
	if len(got) != len(want) || len(got) == 0 {
		t.Fatalf("%d alerts, want %d", len(got), len(want))
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
		if url := at(r, "annotations", "runbook_url"); url != "https://wiki.example/s3veil/RUNBOOKS"+anchor {
			t.Errorf("%v: %v", r["alert"], url)
		}
		for _, name := range []string{"summary", "description"} {
			if at(r, "annotations", name) != at(want[i], "annotations", name) {
				t.Errorf("%v: %s: %v", r["alert"], name, at(r, "annotations", name))
			}
		}
	}
	rules, err := yaml.Marshal(map[string]any{"groups": at(m["PrometheusRule/veil"], "spec", "groups")})
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
	_, log, err := helm(t, "template", "r", chart, "--kube-version", "1.36.0", "-f", "testdata/good/local.yaml",
		"--set-json", `metrics.prometheusRule={"enabled":true,"disabled":["S3veilNothing"]}`)
	if err == nil || !strings.Contains(log, `there is no alert "S3veilNothing"`) {
		t.Errorf("%v: %s", err, log)
	}
}
