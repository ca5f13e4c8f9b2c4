package monitoring

import (
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"s3veil/proxy/s3err"
)

// The rules of the gateway and of the injector.
const (
	rulesFile     = "../../charts/s3veil/rules/s3veil.yaml"
	injectorRules = "../../charts/s3veil/rules/injector.yaml"
)

type rule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

// alerts are those of both files.
func alerts(t *testing.T) []rule {
	t.Helper()
	return append(alertsOf(t, rulesFile), alertsOf(t, injectorRules)...)
}

// alertsOf reads the rules of a file; unknown fields are mistakes.
func alertsOf(t *testing.T, file string) (out []rule) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var content struct {
		Groups []struct {
			Name  string
			Rules []rule
		}
	}
	d := yaml.NewDecoder(f)
	d.KnownFields(true)
	if err := d.Decode(&content); err != nil {
		t.Fatal(err)
	}
	for _, g := range content.Groups {
		out = append(out, g.Rules...)
	}
	if len(out) == 0 {
		t.Fatal("no rules")
	}
	return out
}

func TestAlertsSayWhatIsWrongAndWhereToReadOn(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range alerts(t) {
		if !strings.HasPrefix(r.Alert, "S3veil") || seen[r.Alert] {
			t.Errorf("%q: no name, or one that stands twice", r.Alert)
		}
		seen[r.Alert] = true
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) || len(r.Labels) != 1 {
			t.Errorf("%s: labels %v", r.Alert, r.Labels)
		}
		if len(r.Annotations) != 3 || r.Annotations["summary"] == "" || r.Annotations["description"] == "" ||
			r.Annotations["runbook_url"] != "docs/RUNBOOKS.md#"+strings.ToLower(r.Alert) {
			t.Errorf("%s: %v", r.Alert, r.Annotations)
		}
		if strings.Contains(r.Annotations["summary"], "{{") {
			t.Errorf("%s: the summary is not the same for all", r.Alert)
		}
		kept := append(groupings(r.Expr), "job", "instance")
		for _, m := range legendText.FindAllStringSubmatch(r.Annotations["description"], -1) {
			if !slices.Contains(kept, m[1]) {
				t.Errorf("%s: the description names %s, which the expression does not keep", r.Alert, m[1])
			}
		}
	}
}

// Every metric, label and value that an alert names is one that the program exposes after some requests.
func TestAlertsWatchMetricsThatExist(t *testing.T) {
	literals := sourceLiterals(t)
	for file, got := range map[string]exposed{rulesFile: scrape(t, running(t)), injectorRules: scrapeInjector(t)} {
		for _, r := range alertsOf(t, file) {
			for _, what := range got.unknown(t, r.Expr, literals) {
				t.Errorf("%s: no %s: %s", r.Alert, what, r.Expr)
			}
		}
	}
}

// The codes that count as failures of the service are the ones with a status of 5xx.
func TestFailuresAreStatuses5xx(t *testing.T) {
	n := 0
	for _, r := range alerts(t) {
		for _, s := range selectors(t, r.Expr) {
			for _, m := range s.matchers {
				if s.metric != "s3veil_requests_total" || m.label != "code" {
					continue
				}
				for _, code := range alternatives(m) {
					n++
					if e, ok := s3err.Lookup(code); !ok || e.Status < 500 {
						t.Errorf("%s: %s has the status %d", r.Alert, code, e.Status)
					}
				}
			}
		}
	}
	if n < 5 {
		t.Errorf("%d codes", n)
	}
}
