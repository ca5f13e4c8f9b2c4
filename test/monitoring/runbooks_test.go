package monitoring

import (
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"s3veil/test/s3veil"
)

const runbooksFile = "../../docs/RUNBOOKS.md"

// runbook is the part of the document that is about one alert.
type runbook struct{ alert, text string }

func runbooks(t *testing.T) (all []runbook, document string) {
	t.Helper()
	text, err := os.ReadFile(runbooksFile)
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range strings.Split(string(text), "\n## ") {
		if i == 0 {
			continue
		}
		name, rest, _ := strings.Cut(part, "\n")
		all = append(all, runbook{name, rest})
	}
	return all, string(text)
}

// The order of the document is that of the rules, so that neither has one that the other lacks.
func TestEveryAlertHasItsRunbook(t *testing.T) {
	var want, got []string
	for _, r := range alerts(t) {
		want = append(want, r.Alert)
	}
	all, _ := runbooks(t)
	for _, r := range all {
		got = append(got, r.alert)
	}
	if !slices.Equal(got, want) {
		t.Errorf("runbooks %v\nalerts %v", got, want)
	}
}

func TestRunbooksAnswerTheSameQuestions(t *testing.T) {
	all, _ := runbooks(t)
	questions := []string{"**What it means.**", "**What users see.**", "**Look first.**", "**Fix.**", "**Over when.**"}
	for _, r := range all {
		rest := r.text
		for i, q := range questions {
			before, after, ok := strings.Cut(rest, q)
			if !ok {
				t.Errorf("%s: no %s, or not in its place", r.alert, q)
				break
			}
			if i > 0 && strings.TrimSpace(before) == "" {
				t.Errorf("%s: %s is empty", r.alert, questions[i-1])
			}
			if q == "**Fix.**" && !strings.Contains(before, "```sh\n") {
				t.Errorf("%s: no command to look with", r.alert)
			}
			rest = after
		}
		if strings.TrimSpace(rest) == "" {
			t.Errorf("%s: no end", r.alert)
		}
	}
}

var (
	blockText   = regexp.MustCompile("(?s)```sh\n(.*?)```")
	tickText    = regexp.MustCompile("`([^`\n]+)`")
	commandText = regexp.MustCompile(`(?m)(?:^|[|;(] *|` + "`" + `)s3veil ([a-z]+(?:-[a-z]+)*(?: (?:verify|list|new|rotate|wrap))?)\b([^|\n` + "`" + `]*)`)
	flagText    = regexp.MustCompile(`--[a-z-]+`)
	metricText  = regexp.MustCompile(`\b(?:s3veil|process)_[a-z_]+`)
	messageText = regexp.MustCompile(`\.(?:msg|action) == "([^"]+)"`)
	fieldText   = regexp.MustCompile(`(?:^|[ (\[])\.([a-z_]+)`)
	objectText  = regexp.MustCompile(`\{([a-z_]+(?:, [a-z_]+)*)\}`)
	pathText    = regexp.MustCompile(`\badmin (/\w+)`)
	settingText = regexp.MustCompile(`^[a-zA-Z_]+(?:\[\])?(?:\.[a-zA-Z_]+)+$`)
)

// commands are what the runbooks have people type: blocks and what stands in ticks.
func commands(document string) string {
	var b strings.Builder
	for _, m := range blockText.FindAllStringSubmatch(document, -1) {
		b.WriteString(m[1])
	}
	for _, m := range tickText.FindAllStringSubmatch(blockText.ReplaceAllString(document, ""), -1) {
		b.WriteString(m[1] + "\n")
	}
	return b.String()
}

func TestRunbooksNameMetricsAndPathsThatExist(t *testing.T) {
	c := running(t)
	got := scrape(t, c)
	maps.Copy(got, scrapeInjector(t))
	_, document := runbooks(t)
	text := commands(document)
	metrics := metricText.FindAllString(text, -1)
	if len(metrics) < 30 {
		t.Fatal(metrics)
	}
	for _, name := range metrics {
		if got[name] == nil {
			t.Errorf("no metric %s", name)
		}
	}
	paths := map[string]bool{}
	for _, m := range pathText.FindAllStringSubmatch(text, -1) {
		paths[m[1]] = true
	}
	if len(paths) < 3 {
		t.Error(paths)
	}
	for path := range paths {
		resp, err := http.Get(c.Replicas[0].Admin + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

func TestRunbooksNameCommandsThatExist(t *testing.T) {
	program, err := s3veil.Build()
	if err != nil {
		t.Fatal(err)
	}
	_, document := runbooks(t)
	seen := map[string]bool{}
	for _, m := range commandText.FindAllStringSubmatch(commands(document), -1) {
		out, err := exec.Command(program, append(strings.Fields(m[1]), "--help")...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "s3veil "+m[1]) {
			t.Errorf("s3veil %s: %v\n%s", m[1], err, out)
		}
		for _, flag := range flagText.FindAllString(m[2], -1) {
			if !regexp.MustCompile(`(?m)^ +(?:-., )?` + flag + `\b`).Match(out) {
				t.Errorf("s3veil %s has no %s", m[1], flag)
			}
		}
		seen[m[1]] = true
	}
	for _, want := range []string{"inspect", "repair", "serve", "audit-log verify", "keys list", "ca", "inject"} {
		if !seen[want] {
			t.Errorf("s3veil %s is not looked at: %v", want, seen)
		}
	}
}

// programText is the source of the program without its tests.
func programText(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, dir := range []string{"../../proxy", "../../keycache", "../../cmd/s3veil"} {
		err := filepath.WalkDir(dir, func(file string, _ os.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			source, err := os.ReadFile(file)
			b.Write(source)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// What is looked for in log and audit log is written there.
func TestRunbooksLookForWhatIsLogged(t *testing.T) {
	_, document := runbooks(t)
	source := programText(t)
	var text strings.Builder
	for _, m := range blockText.FindAllStringSubmatch(document, -1) {
		for line := range strings.Lines(m[1]) {
			if strings.Contains(line, "jq") {
				text.WriteString(line)
			}
		}
	}
	messages := messageText.FindAllStringSubmatch(text.String(), -1)
	if len(messages) < 5 {
		t.Fatal(messages)
	}
	for _, m := range messages {
		if !strings.Contains(source, `"`+m[1]+`"`) {
			t.Errorf("nothing logs %q", m[1])
		}
	}
	fields := []string{}
	for _, m := range fieldText.FindAllStringSubmatch(text.String(), -1) {
		fields = append(fields, m[1])
	}
	for _, m := range objectText.FindAllStringSubmatch(text.String(), -1) {
		fields = append(fields, strings.Split(m[1], ", ")...)
	}
	for _, f := range fields {
		if !slices.Contains([]string{"time", "msg", "level"}, f) && !strings.Contains(source, `"`+f+`"`) && !strings.Contains(source, `json:"`+f+`,`) {
			t.Errorf("nothing logs a field %s", f)
		}
	}
}

// Settings in ticks are those of the program (docs/CONFIGURATION.md) or values of the chart.
func TestRunbooksNameSettingsThatExist(t *testing.T) {
	manual, err := os.ReadFile("../../docs/CONFIGURATION.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../charts/s3veil/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	ofChart := func(path string) bool {
		var node any = values
		for name := range strings.SplitSeq(path, ".") {
			m, _ := node.(map[string]any)
			var ok bool
			if node, ok = m[name]; !ok {
				return false
			}
		}
		return true
	}
	_, document := runbooks(t)
	n := 0
	for _, m := range tickText.FindAllStringSubmatch(blockText.ReplaceAllString(document, ""), -1) {
		if !settingText.MatchString(m[1]) {
			continue
		}
		n++
		if !strings.Contains(string(manual), "| `"+m[1]+"`") && !strings.Contains(string(manual), "| `"+m[1]+"[]`") && !ofChart(m[1]) {
			t.Errorf("no setting %s", m[1])
		}
	}
	if n < 30 {
		t.Errorf("%d settings", n)
	}
}
