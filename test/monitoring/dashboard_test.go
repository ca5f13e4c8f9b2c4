package monitoring

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

const dashboardFile = "../../charts/s3veil/dashboards/s3veil.json"

type dashboard struct {
	UID         string
	Title       string
	Panels      []panel
	Annotations struct {
		List []struct {
			Datasource source
			Expr       string
		}
	}
	Templating struct{ List []variable }
}

type source struct{ Type, UID string }

type panel struct {
	ID          int
	Type        string
	Title       string
	Description string
	Datasource  source
	GridPos     struct{ H, W, X, Y int }
	Targets     []target
	FieldConfig struct {
		Defaults struct{ Unit string }
	}
}

type target struct {
	RefID        string
	Datasource   source
	Expr         string
	LegendFormat string
}

type variable struct {
	Name, Type string
	Query      any
	Definition string
	Datasource source
	AllValue   string
}

// decode reads the dashboard as Grafana would see it.
func decode(t *testing.T) (d dashboard, text []byte) {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d, text
}

// expand puts values in the place of Grafana's variables.
func expand(expr string) string {
	return strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h", "$namespace", ".*", "$job", ".*", "$instance", ".*").Replace(expr)
}

// named is an expression and where it stands.
type named struct{ where, expr, legend string }

// expressions are those of panels, annotations and variables.
func (d dashboard) expressions() (out []named) {
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			out = append(out, named{p.Title + " " + q.RefID, expand(q.Expr), q.LegendFormat})
		}
	}
	for _, a := range d.Annotations.List {
		out = append(out, named{"annotation", expand(a.Expr), ""})
	}
	return out
}

// Two people who save the same dashboard get the same file: keys sorted, two spaces, no identity of an installation.
func TestDashboardIsWrittenInOneWay(t *testing.T) {
	d, text := decode(t)
	var tree map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	encoder := json.NewEncoder(&want)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(tree); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, want.Bytes()) {
		t.Error("keys are not sorted, or the indentation is not two spaces")
	}
	if id, ok := tree["id"]; !ok || id != nil {
		t.Errorf("id %v belongs to an installation", id)
	}
	if d.UID != "s3veil" || d.Title != "s3veil" {
		t.Errorf("uid %q, title %q", d.UID, d.Title)
	}
}

func TestDashboardPanels(t *testing.T) {
	d, _ := decode(t)
	ids, titles := map[int]bool{}, map[string]bool{}
	taken := map[[2]int]string{}
	for _, p := range d.Panels {
		if p.ID <= 0 || ids[p.ID] || titles[p.Title] {
			t.Errorf("%s: id %d or the title stands twice", p.Title, p.ID)
		}
		ids[p.ID], titles[p.Title] = true, true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x > 23 {
					t.Fatalf("%s lies over %q or the edge at %d, %d", p.Title, other, x, y)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || p.FieldConfig.Defaults.Unit == "" && p.Type != "heatmap" || len(p.Targets) == 0 {
			t.Errorf("%s: no description, unit or query", p.Title)
		}
		var refs []string
		for _, q := range p.Targets {
			if slices.Contains(refs, q.RefID) {
				t.Errorf("%s: two queries %s", p.Title, q.RefID)
			}
			refs = append(refs, q.RefID)
			if q.Datasource != p.Datasource {
				t.Errorf("%s: %v", p.Title, q.Datasource)
			}
		}
	}
	for _, topic := range []string{"Traffic", "Latency", "Errors", "Integrity", "KMS and caches", "Stores", "Memory and connections", "Audit log and configuration"} {
		if !titles[topic] {
			t.Errorf("nothing about %s", topic)
		}
	}
}

// Nothing names a data source, job or namespace of somebody's installation.
func TestDashboardLeavesTheChoiceOfWhatItShows(t *testing.T) {
	d, _ := decode(t)
	here := source{"prometheus", "${datasource}"}
	for _, p := range d.Panels {
		if p.Type != "row" && p.Datasource != here {
			t.Errorf("%s: %v", p.Title, p.Datasource)
		}
		for _, q := range p.Targets {
			for _, s := range selectors(t, q.Expr) {
				want := []matcher{{"namespace", "=~", "$namespace"}, {"job", "=~", "$job"}, {"instance", "=~", "$instance"}}
				if len(s.matchers) < 3 || !slices.Equal(s.matchers[:3], want) {
					t.Errorf("%s: %v does not follow the variables", p.Title, s)
				}
			}
		}
	}
	for _, a := range d.Annotations.List {
		if a.Datasource != here {
			t.Errorf("annotation: %v", a.Datasource)
		}
	}
	var names []string
	for _, v := range d.Templating.List {
		names = append(names, v.Name)
		if v.Type == "query" && (v.Datasource != here || v.AllValue != ".*") {
			t.Errorf("%s: %v, all is %q", v.Name, v.Datasource, v.AllValue)
		}
	}
	if !slices.Equal(names, []string{"datasource", "namespace", "job", "instance"}) {
		t.Errorf("variables %v", names)
	}
}
