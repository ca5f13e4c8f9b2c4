//go:build integration

package chart

import (
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// writeSchemas makes the schemas of kubeconform out of the swagger.json of Kubernetes: one per kind, without unknown fields.
func writeSchemas(t *testing.T, swagger string) (dir string) {
	t.Helper()
	b, err := os.ReadFile(swagger)
	if err != nil {
		t.Fatal(err)
	}
	var api struct {
		Definitions map[string]map[string]any `json:"definitions"`
	}
	if err := json.Unmarshal(b, &api); err != nil {
		t.Fatal(err)
	}
	for _, d := range api.Definitions {
		if d["format"] == "int-or-string" {
			delete(d, "type")
			delete(d, "format")
			d["oneOf"] = []any{map[string]any{"type": "string"}, map[string]any{"type": "integer"}}
		}
		if d["properties"] != nil {
			d["additionalProperties"] = false
		}
	}
	dir = t.TempDir()
	for name, d := range api.Definitions {
		kinds, _ := d["x-kubernetes-group-version-kind"].([]any)
		if len(kinds) != 1 { // several: DeleteOptions and such
			continue
		}
		used := map[string]any{}
		references(api.Definitions, d, used)
		kind := kinds[0].(map[string]any)
		group, _, _ := strings.Cut(kind["group"].(string), ".")
		file := strings.ToLower(kind["kind"].(string)) + "-" + group + "-" + kind["version"].(string) + ".json"
		used[name] = d
		b, err := json.Marshal(map[string]any{"$ref": "#/definitions/" + name, "definitions": used})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, strings.Replace(file, "--", "-", 1)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// references adds the definitions that node refers to, directly or not.
func references(all map[string]map[string]any, node any, found map[string]any) {
	switch n := node.(type) {
	case map[string]any:
		if ref, ok := n["$ref"].(string); ok {
			name := path.Base(ref)
			if found[name] == nil {
				found[name] = all[name]
				references(all, all[name], found)
			}
		}
		for _, v := range n {
			references(all, v, found)
		}
	case []any:
		for _, v := range n {
			references(all, v, found)
		}
	}
}
