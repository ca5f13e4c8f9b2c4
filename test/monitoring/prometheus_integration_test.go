//go:build integration

package monitoring

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// program returns a program of the folder that .ci/run names: promtool, prometheus.
func program(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("S3VEIL_TEST_PROMETHEUS")
	if dir == "" {
		t.Fatal("S3VEIL_TEST_PROMETHEUS is not set; .ci/run sets it")
	}
	return filepath.Join(dir, name)
}

func promtool(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program(t, "promtool"), args...).CombinedOutput()
	return string(out), err
}

// asRules writes expressions as a file of recording rules, which promtool can check. JSON is YAML.
func asRules(t *testing.T, all []named) string {
	t.Helper()
	var list []any
	for i, q := range all {
		list = append(list, map[string]string{"record": fmt.Sprintf("panel:%d", i), "expr": q.expr})
	}
	text, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "panels", "rules": list}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "panels.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestDashboardQueriesParse(t *testing.T) {
	d, _ := decode(t)
	all := d.expressions()
	if out, err := promtool(t, "check", "rules", asRules(t, all)); err != nil || !strings.Contains(out, fmt.Sprintf("%d rules found", len(all))) {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := promtool(t, "check", "rules", asRules(t, []named{{expr: "sum by (x"}})); err == nil {
		t.Errorf("a broken query passes: %s", out)
	}
}

// watching starts a Prometheus that scrapes the cluster every second, and returns a query to it.
func watching(t *testing.T, c *s3veil.Cluster, rules string) (get func(path string, query url.Values, out any) error) {
	t.Helper()
	dir := t.TempDir()
	config, err := json.Marshal(map[string]any{
		"global":     map[string]any{"scrape_interval": "1s", "evaluation_interval": "1s"},
		"rule_files": []string{rules},
		"scrape_configs": []any{map[string]any{"job_name": "s3veil", "static_configs": []any{map[string]any{
			"targets": []string{strings.TrimPrefix(c.Replicas[0].Admin, "http://")}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "prometheus.yaml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	var base string
	get = func(path string, query url.Values, out any) error {
		client := http.Client{Timeout: 20 * time.Second}
		defer client.CloseIdleConnections()
		resp, err := client.Get(base + path + "?" + query.Encode())
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		var answer struct {
			Status, Error string
			Data          json.RawMessage
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			return err
		}
		if answer.Status != "success" {
			return fmt.Errorf("%s: %s", resp.Status, answer.Error)
		}
		return json.Unmarshal(answer.Data, out)
	}
	err = servers.RetryPorts(func() error {
		ports, err := servers.FreePorts(1)
		if err != nil {
			return err
		}
		address := fmt.Sprintf("127.0.0.1:%d", ports[0])
		base = "http://" + address
		p, err := servers.StartProcess(servers.Spec{Name: "prometheus", Path: program(t, "prometheus"), Log: filepath.Join(dir, "log"),
			Args: []string{"--config.file=" + file, "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + address}})
		if err != nil {
			return err
		}
		if err := p.Await(60*time.Second, func() error { return get("/api/v1/status/buildinfo", nil, new(any)) }); err != nil {
			p.Kill()
			return err
		}
		t.Cleanup(func() { p.Stop(10 * time.Second) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return get
}

// figures asks until a query has a result. The panels that show nothing while all is well are asked once.
func figures(t *testing.T, get func(string, url.Values, any) error, q named, wanted bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		var data struct{ Result []any }
		err := get("/api/v1/query", url.Values{"query": {q.expr}}, &data)
		switch {
		case err != nil:
			t.Fatalf("%s: %v: %s", q.where, err, q.expr)
		case len(data.Result) > 0 || !wanted:
			return
		case time.Now().After(deadline):
			t.Errorf("%s shows nothing: %s", q.where, q.expr)
			return
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-t.Context().Done():
			return
		}
	}
}

// Every panel shows something about a program that has served a few requests, seen by a real Prometheus.
func TestDashboardShowsFigures(t *testing.T) {
	quiet := []string{"Integrity failures by class", "Reloads", "Error ratio by operation", "annotation"}
	d, _ := decode(t)
	get := watching(t, running(t), asRules(t, nil))
	for _, q := range d.expressions() {
		wanted := true
		for _, name := range quiet {
			wanted = wanted && !strings.HasPrefix(q.where, name)
		}
		figures(t, get, q, wanted)
	}
}
