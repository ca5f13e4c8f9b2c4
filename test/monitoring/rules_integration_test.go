//go:build integration

package monitoring

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/servers"
)

func TestRulesAreValid(t *testing.T) {
	for _, file := range []string{rulesFile, injectorRules} {
		if out, err := promtool(t, "check", "rules", "--lint=all", "--lint-fatal", file); err != nil || !strings.Contains(out, fmt.Sprintf("%d rules found", len(alertsOf(t, file)))) {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

// unit is the case as a test of promtool, with all that the alert says.
func (c alertCase) unit(r rule) map[string]any {
	var series []any
	for _, s := range c.series {
		// the values begin behind the last brace
		i := strings.LastIndex(s, "}") + 1
		series = append(series, map[string]string{"series": strings.Replace(s[:i], "~", `job="s3",instance="a"`, 1), "values": strings.TrimSpace(s[i:])})
	}
	want := []any{}
	if c.fires != silent {
		labels := map[string]string{}
		for pair := range strings.SplitSeq(c.fires, ",") {
			if name, value, ok := strings.Cut(pair, "="); ok {
				labels[name] = value
			}
		}
		texts := maps.Clone(r.Annotations)
		for k, text := range texts {
			texts[k] = legendText.ReplaceAllStringFunc(text, func(m string) string { return labels[legendText.FindStringSubmatch(m)[1]] })
		}
		labels["severity"] = r.Labels["severity"]
		want = append(want, map[string]any{"exp_labels": labels, "exp_annotations": texts})
	}
	return map[string]any{"name": c.alert + ": " + c.what, "interval": "1m", "input_series": series,
		"alert_rule_test": []any{map[string]any{"eval_time": c.at, "alertname": c.alert, "exp_alerts": want}}}
}

// testRules has promtool test cases against rules files.
func testRules(t *testing.T, cases []any, rules ...string) (string, error) {
	t.Helper()
	var files []string
	for _, r := range rules {
		file, err := filepath.Abs(r)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	text, err := json.Marshal(map[string]any{"rule_files": files, "evaluation_interval": "1m", "tests": cases})
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(t.TempDir(), "unit.yaml")
	if err := os.WriteFile(unit, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return promtool(t, "test", "rules", unit)
}

func TestAlertsFireWhenTheyMustAndOnlyThen(t *testing.T) {
	byName := map[string]rule{}
	for _, r := range alerts(t) {
		byName[r.Alert] = r
	}
	var units []any
	fires, rests := map[string]bool{}, map[string]bool{}
	for _, c := range slices.Concat(alertCases, injectorCases) {
		r, ok := byName[c.alert]
		if !ok {
			t.Fatalf("no alert %s", c.alert)
		}
		if c.fires != silent {
			fires[c.alert] = true
		} else {
			rests[c.alert] = true
		}
		units = append(units, c.unit(r))
	}
	for name := range byName {
		if !fires[name] || !rests[name] {
			t.Errorf("%s: no case where it fires, or none where it rests", name)
		}
	}
	if out, err := testRules(t, units, rulesFile, injectorRules); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// Every case tells the rule from one that never fires, or always: promtool would say so.
func TestCasesNoticeARuleThatDoesNotFit(t *testing.T) {
	for alert, change := range map[string][2]string{"S3veilMemoryNearLimit": {"> 0.9", "> 0.99"}, "S3veilKMSOutage": {"for: 8m", "for: 5m"},
		"S3veilAuditUnwritable": {`kind="audit"`, `kind="key"`}, "S3veilCertificateExpires": {"1814400", "18144000"},
		"S3veilInjectorSlow": {"> 1\n", "> 3\n"}, "S3veilInjectorRefusing": {"for: 45m", "for: 5m"}, "S3veilInjectorReplicaGone": {"up{} == 0", "up{} >= 0"}} {
		broken, file := filepath.Join(t.TempDir(), "rules.yaml"), rulesFile
		if strings.HasPrefix(alert, "S3veilInjector") {
			file = injectorRules
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), change[0]) {
			t.Fatal(change)
		}
		if err := os.WriteFile(broken, []byte(strings.ReplaceAll(string(text), change[0], change[1])), 0o600); err != nil {
			t.Fatal(err)
		}
		var units []any
		for _, r := range alertsOf(t, file) {
			for _, c := range slices.Concat(alertCases, injectorCases) {
				if c.alert == alert && r.Alert == alert {
					units = append(units, c.unit(r))
				}
			}
		}
		if out, err := testRules(t, units, broken); err == nil {
			t.Errorf("%v passes: %s", change, out)
		}
	}
}

// A real Prometheus over a real s3veil: while all is well nothing fires but what is due to a certificate made for a day; an
// object that somebody wrote around s3veil does fire, once it is read.
func TestAlertsOfARunningProgram(t *testing.T) {
	c := running(t)
	file, err := filepath.Abs(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	get := watching(t, c, file)
	type state struct{ Name, State, Health, LastError string }
	states := func() (out []state) {
		var data struct{ Groups []struct{ Rules []state } }
		if err := get("/api/v1/rules", url.Values{"type": {"alert"}}, &data); err != nil {
			t.Fatal(err)
		}
		for _, g := range data.Groups {
			out = append(out, g.Rules...)
		}
		return out
	}
	until := func(what string, f func([]state) bool) {
		t.Helper()
		for deadline := time.Now().Add(90 * time.Second); !f(states()); {
			if time.Now().After(deadline) {
				t.Fatalf("never: %s: %v", what, states())
			}
			select {
			case <-time.After(200 * time.Millisecond):
			case <-t.Context().Done():
				return
			}
		}
	}
	figures(t, get, named{"replica", `count_over_time(s3veil_build_info{}[1m]) > 3`, ""}, true)
	certificates := []string{"S3veilCertificateExpires", "S3veilCertificateUrgent"}
	until("all rules are evaluated and only certificates are due", func(all []state) bool {
		for _, s := range all {
			if s.Health == "err" {
				t.Fatal(s)
			}
			// the refused signature of the traffic counts for a while in a series of its own
			if s.Health != "ok" || s.State != "inactive" && !slices.Contains(certificates, s.Name) {
				return false
			}
		}
		return len(all) == len(alertsOf(t, rulesFile))
	})
	bare, client := c.Store.Client(), c.Client()
	bucket, key := servers.NewBucket(t, client), "smuggled"
	if _, err := bare.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("not encrypted")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key}); err == nil {
		t.Fatal("the object was read")
	}
	until("the alert fires", func(all []state) bool {
		return slices.ContainsFunc(all, func(s state) bool { return s.Name == "S3veilPlaintextObject" && s.State == "firing" })
	})
}
