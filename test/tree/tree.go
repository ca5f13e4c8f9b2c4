// Package tree looks things up in decoded JSON and YAML, for tests that read what others have rendered.
package tree

// At walks down maps (string) and lists (int). What is not there is nil, whatever else stands in its place.
func At(node any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := node.(map[string]any)
			node = m[p]
		case int:
			l, _ := node.([]any)
			if p < 0 || p >= len(l) {
				return nil
			}
			node = l[p]
		}
	}
	return node
}

// List is the list that At finds, nil for anything else.
func List(node any, path ...any) []any {
	l, _ := At(node, path...).([]any)
	return l
}
