package inject

import (
	"fmt"
	"strings"
)

// operation is one of a JSON patch (RFC 6902); only `add` is needed.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// pointer makes a JSON pointer (RFC 6901).
func pointer(parts ...any) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(fmt.Sprint(p)))
	}
	return b.String()
}

// patch collects operations; each sees the pod as those before it have left it.
type patch []operation

func (p *patch) add(path string, value any) { *p = append(*p, operation{"add", path, value}) }

// extend adds entries to the end of a list; there says whether the list is there at all.
func (p *patch) extend(list string, there bool, entries []any) {
	if len(entries) == 0 {
		return
	}
	if !there {
		p.add(list, entries)
		return
	}
	for _, e := range entries {
		p.add(list+"/-", e)
	}
}

// prepend adds entries to the front of a list.
func (p *patch) prepend(list string, there bool, entries []any) {
	if !there {
		p.extend(list, false, entries)
		return
	}
	for i, e := range entries {
		p.add(fmt.Sprintf("%s/%d", list, i), e)
	}
}
