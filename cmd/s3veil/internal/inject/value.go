package inject

import (
	"encoding/json"
	"reflect"
	"strings"
)

// plain brings a value into the form that encoding/json decodes to: map[string]any, []any, float64, string, bool, nil.
func plain(v any) (out any) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	if json.Unmarshal(b, &out) != nil {
		return nil
	}
	return out
}

// dig walks down maps; what is not there is nil.
func dig(v any, path ...string) any {
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

// items returns the maps of a list.
func items(v any) (out []map[string]any) {
	list, _ := v.([]any)
	for _, i := range list {
		m, _ := i.(map[string]any)
		out = append(out, m)
	}
	return out
}

// named finds the entry of a list by its name; nil without.
func named(list any, name any) map[string]any {
	for _, m := range items(list) {
		if m["name"] == name {
			return m
		}
	}
	return nil
}

// contains reports whether everything that want says stands in have too. The API server and other webhooks add to what was
// injected: defaults, mounts, variables. Entries of lists are found by what names them, in any order; other lists are equal.
func contains(have, want any) bool {
	if have == nil && empty(want) {
		return true // the API server leaves out what is empty
	}
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok {
			return false
		}
		for key, value := range w {
			if !contains(h[key], value) {
				return false
			}
		}
		return true
	case []any:
		if len(w) == 0 || !mapWithIdentity(w[0]) {
			return reflect.DeepEqual(have, want)
		}
		h, _ := have.([]any)
		for _, entry := range w {
			if !containsEntry(h, entry) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(have, want)
}

func empty(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return v == nil || reflect.ValueOf(v).IsZero()
}

// identities are the keys by which entries of lists of a pod are told apart, the first that an entry has.
var identities = []string{"mountPath", "containerPort", "name", "key"}

func mapWithIdentity(v any) bool {
	_, _, ok := identity(v)
	return ok
}

func identity(v any) (key string, value any, ok bool) {
	m, _ := v.(map[string]any)
	for _, key := range identities {
		if value, ok := m[key]; ok {
			return key, value, true
		}
	}
	return "", nil, false
}

func containsEntry(list []any, want any) bool {
	key, value, _ := identity(want)
	for _, h := range list {
		if m, _ := h.(map[string]any); m != nil && m[key] == value {
			return contains(m, want)
		}
	}
	return false
}

// ownVariable reports whether a variable is one that configures s3veil.
func ownVariable(name string) bool { return strings.HasPrefix(name, "S3VEIL_") }

// ownVolume reports whether a name is one of the webhook's volumes.
func ownVolume(name string) bool { return strings.HasPrefix(name, "s3veil-") }
