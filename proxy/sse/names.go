package sse

import "strings"

// Names maps what requests call keys to configured ids, and back to what answers call them.
type Names struct {
	ids      map[string]string // every name to its configured id
	announce map[string]string // configured id to the key ARN it has among its names
	owner    map[string]string // kid to configured id
}

// NewNames takes the kids of every configured id, and the further names of ids: aliases, key ids and ARNs of the KMS. An
// ARN also makes its last part a name, as a KMS does in its own account, unless two ids would claim it. Names in aliases
// are ignored as ids of families.
func NewNames(families map[string][]string, aliases map[string]string) *Names {
	n := &Names{ids: map[string]string{}, announce: map[string]string{}, owner: map[string]string{}}
	for id, kids := range families {
		if _, alias := aliases[id]; alias {
			continue
		}
		n.ids[id] = id
		for _, kid := range kids {
			n.owner[kid] = id
		}
	}
	short := map[string]string{}
	for name, id := range aliases {
		if _, own := n.ids[name]; own {
			continue
		}
		n.ids[name] = id
		part, key := resource(name)
		if part == "" {
			continue
		}
		if key && (n.announce[id] == "" || name < n.announce[id]) {
			n.announce[id] = name
		}
		if other, twice := short[part]; twice && other != id {
			id = ""
		}
		short[part] = id
	}
	for part, id := range short {
		if _, taken := n.ids[part]; !taken && id != "" {
			n.ids[part] = id
		}
	}
	return n
}

// Resolve returns the configured id of a name.
func (n *Names) Resolve(name string) (id string, ok bool) {
	id, ok = n.ids[name]
	return id, ok
}

// Announced is what answers call the key of a kid: its ARN where it has one, else its configured id, else the kid.
func (n *Names) Announced(kid string) string {
	id, ok := n.owner[kid]
	if !ok {
		return kid
	}
	if arn := n.announce[id]; arn != "" {
		return arn
	}
	return id
}

// resource returns the last part of an ARN of a KMS: the id of a key, or "alias/…"; "" for anything else.
func resource(arn string) (part string, key bool) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "kms" {
		return "", false
	}
	if id, ok := strings.CutPrefix(parts[5], "key/"); ok && id != "" {
		return id, true
	}
	if strings.HasPrefix(parts[5], "alias/") {
		return parts[5], false
	}
	return "", false
}
