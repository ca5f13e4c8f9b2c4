package main

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// insecureNames lists keys with "insecure" in their name, and values of that kind as "key: value" out of the comments that name
// the values of a key.
func insecureNames(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	value := regexp.MustCompile("`(insecure_[a-z_]+)`")
	for _, row := range rows(t, reflect.TypeFor[Config](), "", fieldComments(t)) {
		cells := strings.SplitN(row, " | ", 3)
		key := strings.Trim(strings.TrimPrefix(cells[0], "| "), "`")
		key = strings.ReplaceAll(key, "upstreams[]", "upstream")
		if strings.Contains(key[strings.LastIndex(key, ".")+1:], "insecure") {
			out[key] = true
		}
		for _, m := range value.FindAllStringSubmatch(cells[2], -1) {
			out[key+": "+m[1]] = true
		}
	}
	return out
}

// docs/HARDENING.md section 8 has every switch whose name says insecure, and no other.
func TestHardeningNamesEveryInsecureSwitch(t *testing.T) {
	text, err := os.ReadFile("../../docs/HARDENING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, begun := strings.Cut(string(text), "<!-- insecure: every key and value of the configuration with that word -->")
	table, _, ended := strings.Cut(table, "<!-- end of insecure -->")
	if !begun || !ended {
		t.Fatal("the page has lost its marks")
	}
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(table, -1) {
		listed[m[1]] = true
	}
	want := insecureNames(t)
	if !maps.Equal(listed, want) || len(want) < 4 {
		t.Errorf("listed %v\nthere are %v", slices.Sorted(maps.Keys(listed)), slices.Sorted(maps.Keys(want)))
	}
}
