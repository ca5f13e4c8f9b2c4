package monitoring

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// selector is a metric of an expression with its matchers.
type selector struct {
	metric   string
	matchers []matcher
}

type matcher struct{ label, op, value string }

var (
	selectorText = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)\{([^}]*)\}`)
	matcherText  = regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	groupingText = regexp.MustCompile(`\b(?:by|on|ignoring|without|group_left|group_right)\s*\(([^)]*)\)`)
	bareText     = regexp.MustCompile(`\b(?:(?:s3veil|process|go)_\w+|up)\b[^{\w]`)
	legendText   = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}`)
)

// selectors are the metrics that an expression reads. Here every one has braces, so that the chart can add its namespace.
func selectors(t *testing.T, expr string) (out []selector) {
	t.Helper()
	for _, m := range selectorText.FindAllStringSubmatch(expr, -1) {
		s := selector{metric: m[1]}
		for _, l := range matcherText.FindAllStringSubmatch(m[2], -1) {
			s.matchers = append(s.matchers, matcher{l[1], l[2], l[3]})
		}
		if rest := strings.Trim(matcherText.ReplaceAllString(m[2], ""), ", "); rest != "" {
			t.Errorf("%s: %q is no matcher", expr, rest)
		}
		out = append(out, s)
	}
	if bare := bareText.FindString(expr + " "); bare != "" {
		t.Errorf("%s: %q has no braces", expr, bare)
	}
	return out
}

// groupings are the labels that an expression groups or joins by.
func groupings(expr string) (labels []string) {
	for _, m := range groupingText.FindAllStringSubmatch(expr, -1) {
		for l := range strings.SplitSeq(m[1], ",") {
			if l = strings.TrimSpace(l); l != "" && !slices.Contains(labels, l) {
				labels = append(labels, l)
			}
		}
	}
	return labels
}

// alternatives are the values that a pattern names one by one; what has other wildcards is left out.
func alternatives(m matcher) (values []string) {
	if m.op == "=" || m.op == "!=" {
		return []string{m.value}
	}
	for v := range strings.SplitSeq(m.value, "|") {
		if regexp.QuoteMeta(v) == v {
			values = append(values, v)
		}
	}
	return values
}

func TestExpressionsAreTakenApart(t *testing.T) {
	const expr = `sum by (job, code) (rate(s3veil_a{x="1",y=~"b|c.*|d"}[5m])) / on (job) group_left sum(s3veil_b{})`
	all := selectors(t, expr)
	if len(all) != 2 || all[0].metric != "s3veil_a" || all[1].metric != "s3veil_b" || len(all[1].matchers) != 0 {
		t.Fatal(all)
	}
	if got := all[0].matchers; !slices.Equal(got, []matcher{{"x", "=", "1"}, {"y", "=~", "b|c.*|d"}}) || !slices.Equal(alternatives(got[1]), []string{"b", "d"}) {
		t.Error(got)
	}
	if got := groupings(expr); !slices.Equal(got, []string{"job", "code"}) {
		t.Error(got)
	}
	for _, bare := range []string{"rate(s3veil_a[5m])", "sum(s3veil_a)", "up == 0", "1 + s3veil_a"} {
		if bareText.FindString(bare+" ") == "" {
			t.Errorf("%s passes", bare)
		}
	}
}
