package docs

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// Settings of programs that no test runs are YAML at least.
func TestEveryRecipeIsYAML(t *testing.T) {
	n := 0
	for _, b := range blocks(t, "docs/RECIPES.md") {
		if b.lang != "yaml" {
			continue
		}
		for d := yaml.NewDecoder(strings.NewReader(b.text)); ; n++ {
			var tree map[string]any
			if err := d.Decode(&tree); errors.Is(err, io.EOF) {
				break
			} else if err != nil || len(tree) == 0 {
				t.Fatalf("%s:%d: %v", b.page, b.line, err)
			}
		}
	}
	if n < 11 {
		t.Errorf("%d documents", n)
	}
}

// The settings of the recipe for Spark are those that the job of the matrix makes.
func TestSettingsOfSparkAreThoseOfTheMatrix(t *testing.T) {
	job, err := os.ReadFile(filepath.Join(top, "test/matrix/java/hadoop/src/main/java/Job.java"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, b := range blocks(t, "docs/RECIPES.md") {
		for _, m := range regexp.MustCompile(`(?m)^spark\.hadoop\.(\S+)`).FindAllStringSubmatch(b.text, -1) {
			n++
			if !strings.Contains(string(job), `conf.set("`+m[1]+`"`) {
				t.Errorf("%s is not set there", m[1])
			}
		}
	}
	if n < 5 {
		t.Errorf("%d settings", n)
	}
}
