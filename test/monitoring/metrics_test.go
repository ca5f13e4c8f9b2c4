package monitoring

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

func TestMain(m *testing.M) { servers.Main(m, s3veil.RemoveBuild) }

// exposed is what a program exposes: label values by metric and label. A metric without labels has an empty map.
type exposed map[string]map[string][]string

var sampleText = regexp.MustCompile(`^([a-zA-Z_][a-zA-Z0-9_]*)(?:\{(.*)\})? \S+$`)

func parseMetrics(t *testing.T, text string) exposed {
	t.Helper()
	out := exposed{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		m := sampleText.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			t.Fatalf("no sample: %q", line)
		}
		labels := out[m[1]]
		if labels == nil {
			labels = map[string][]string{}
			out[m[1]] = labels
		}
		for _, l := range matcherText.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(labels[l[1]], l[3]) {
				labels[l[1]] = append(labels[l[1]], l[3])
			}
		}
	}
	return out
}

// running starts s3veil with TLS and an audit log over a store, and sends requests that succeed and requests that fail.
func running(t *testing.T) *s3veil.Cluster {
	t.Helper()
	c := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), TLS: true, Configure: func(config map[string]any) {
		config["audit"] = map[string]any{"to": "file", "file": "audit.log", "chain": true} // in the cluster's folder
	}})
	traffic(t, c)
	return c
}

func traffic(t *testing.T, c *s3veil.Cluster) {
	t.Helper()
	ctx, client := t.Context(), c.Client()
	bucket := servers.NewBucket(t, client)
	for _, key := range []string{"a", "b"} {
		if _, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(strings.Repeat(key, 100_000))}); err != nil {
			t.Fatal(err)
		}
		out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, out.Body); err != nil {
			t.Fatal(err)
		}
		out.Body.Close()
		if _, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("missing")}); err == nil {
		t.Fatal("an object that is not there was read")
	}
	stranger := *c
	stranger.SecretKey = "wrong"
	if _, err := stranger.Client().ListBuckets(ctx, nil); err == nil {
		t.Fatal("a wrong signature was accepted")
	}
}

func scrape(t *testing.T, c *s3veil.Cluster) exposed {
	t.Helper()
	return scrapeURL(t, c.Replicas[0].Admin+"/metrics")
}

func scrapeURL(t *testing.T, url string) exposed {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
	return parseMetrics(t, string(text))
}

// ofTargets are labels that Prometheus adds, and those that only it has metrics with.
var (
	ofTargets    = []string{"job", "instance", "namespace"}
	ofPrometheus = []string{"up"}
)

// unknown says what an expression names that the program does not expose: metrics, labels, values that stand alone. Values of
// patterns may also be among literals, since some of them only occur in an outage.
func (e exposed) unknown(t *testing.T, expr string, literals map[string]bool) (what []string) {
	t.Helper()
	all := selectors(t, expr)
	if len(all) == 0 {
		what = append(what, "no metric")
	}
	for _, s := range all {
		labels, ok := e[s.metric]
		if !ok && !slices.Contains(ofPrometheus, s.metric) {
			what = append(what, "metric "+s.metric)
			continue
		}
		for _, m := range s.matchers {
			values, ok := labels[m.label]
			if slices.Contains(ofTargets, m.label) {
				continue
			}
			if !ok {
				what = append(what, "label "+m.label+" of "+s.metric)
				continue
			}
			for _, v := range alternatives(m) {
				if !slices.Contains(values, v) && (m.op == "=" || m.op == "!=" || !literals[v]) {
					what = append(what, "value "+v+" of "+m.label+" of "+s.metric)
				}
			}
		}
		for _, l := range groupings(expr) {
			if l == "le" && !strings.HasSuffix(s.metric, "_bucket") {
				continue
			}
			if _, ok := labels[l]; !ok && !slices.Contains(ofTargets, l) {
				what = append(what, "label "+l+" of "+s.metric)
			}
		}
	}
	return what
}

// sourceLiterals are the string literals of the program.
func sourceLiterals(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	text := regexp.MustCompile(`"[A-Za-z_0-9.-]+"`)
	for _, dir := range []string{"../../proxy", "../../keycache", "../../cmd/s3veil"} {
		err := filepath.WalkDir(dir, func(file string, _ os.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			source, err := os.ReadFile(file)
			for _, literal := range text.FindAll(source, -1) {
				out[string(bytes.Trim(literal, `"`))] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// Every metric, label and value that a panel names is one that the program exposes after some requests.
func TestDashboardShowsMetricsThatExist(t *testing.T) {
	d, _ := decode(t)
	got, literals := scrape(t, running(t)), sourceLiterals(t)
	for _, q := range d.expressions() {
		for _, what := range got.unknown(t, q.expr, literals) {
			t.Errorf("%s: no %s: %s", q.where, what, q.expr)
		}
		by := append(groupings(q.expr), ofTargets...)
		for _, m := range legendText.FindAllStringSubmatch(q.legend, -1) {
			if !slices.Contains(by, m[1]) {
				t.Errorf("%s: the legend names %s, the query does not keep it: %s", q.where, m[1], q.expr)
			}
		}
	}
	for _, v := range d.Templating.List {
		if v.Type == "query" && (!strings.Contains(v.Definition, "label_values(s3veil_build_info") || got["s3veil_build_info"] == nil) {
			t.Errorf("%s: %s", v.Name, v.Definition)
		}
	}
}

// What the test above must find.
func TestMisspeltNamesAreFound(t *testing.T) {
	e := parseMetrics(t, "# HELP x\ns3veil_a_total{code=\"200\",op=\"Get\"} 1\ns3veil_b 2e+06\n")
	for expr, want := range map[string]string{
		`sum by (op) (rate(s3veil_a_total{code="200"}[5m]))`: "",
		`s3veil_b{job=~"x"} and on (instance) up{}`:          "",
		`s3veil_a_total{op=~"Get|Put"}`:                      "",
		`rate(s3veil_a{}[5m])`:                               "metric s3veil_a",
		`s3veil_a_total{cod="200"}`:                          "label cod of s3veil_a_total",
		`s3veil_a_total{code="201"}`:                         "value 201 of code of s3veil_a_total",
		`s3veil_a_total{op=~"Get|Pot"}`:                      "value Pot of op of s3veil_a_total",
		`sum by (opp) (s3veil_a_total{})`:                    "label opp of s3veil_a_total",
		`1 + 1`:                                              "no metric",
	} {
		if got := strings.Join(e.unknown(t, expr, map[string]bool{"Put": true}), ", "); got != want {
			t.Errorf("%s: %s, want %s", expr, strconv.Quote(got), strconv.Quote(want))
		}
	}
}
