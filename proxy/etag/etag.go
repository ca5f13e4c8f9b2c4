// Package etag maps entity tags between a store and its clients (FORMAT.md 11): a client sees the store's tag with "-0"
// appended where it has no dash or ends so already, so that it is never mistaken for an MD5. No state, exactly reversible.
package etag

import "strings"

const suffix = "-0"

// ToClient maps one tag of the store. Quotes and W/ stay where they are; an empty tag stays empty.
func ToClient(tag string) string {
	from, to := opaque(tag)
	if from == to || strings.Contains(tag[from:to], "-") && !strings.HasSuffix(tag[from:to], suffix) {
		return tag
	}
	return tag[:to] + suffix + tag[to:]
}

// FromClient maps what a client sent back: one tag, a list as in If-Match, or "*", quoted or not, weak or not. Each tag
// loses one trailing "-0"; everything else stays byte for byte.
func FromClient(value string) string {
	if !strings.Contains(value, suffix) {
		return value
	}
	var b strings.Builder
	b.Grow(len(value))
	last := 0
	for _, s := range spans(value) {
		from, to := opaque(value[s.from:s.to])
		from, to = s.from+from, s.from+to
		if to-from >= len(suffix) && strings.HasSuffix(value[from:to], suffix) {
			b.WriteString(value[last : to-len(suffix)])
			last = to
		}
	}
	b.WriteString(value[last:])
	return b.String()
}

// Split returns the tags of a list, as they stand in it.
func Split(value string) []string {
	var out []string
	for _, s := range spans(value) {
		out = append(out, value[s.from:s.to])
	}
	return out
}

// Match reports whether one tag of the list, or "*", names the tag of an existing object. Quotes are optional. A strong
// comparison (If-Match, RFC 9110 section 8.8.3.2) lets no weak tag match, a weak one (If-None-Match) ignores W/.
func Match(list, tag string, strong bool) bool {
	want := bare(tag)
	for _, item := range Split(list) {
		if item == "*" {
			return true
		}
		if bare(item) == want && !(strong && (weak(item) || weak(tag))) {
			return true
		}
	}
	return false
}

// Bare returns a tag without W/ and quotes, as GetObjectAttributes shows it.
func Bare(tag string) string { return bare(tag) }

// Quote puts quotes around a tag that has none; some stores leave them out of XML. An empty tag stays empty.
func Quote(tag string) string {
	if tag == "" || weak(tag) || len(tag) != len(bare(tag)) {
		return tag
	}
	return `"` + tag + `"`
}

func bare(tag string) string {
	from, to := opaque(tag)
	return tag[from:to]
}

func weak(tag string) bool { return strings.HasPrefix(tag, "W/") }

// opaque returns where the characters of a tag lie inside W/ and quotes.
func opaque(tag string) (from, to int) {
	to = len(tag)
	if weak(tag) {
		from = 2
	}
	if to-from >= 2 && tag[from] == '"' && tag[to-1] == '"' {
		from, to = from+1, to-1
	}
	return from, to
}

type span struct{ from, to int }

// spans finds the items of a list: separated by commas outside quotes, without white space around them, not empty.
func spans(value string) []span {
	var out []span
	for start := 0; start <= len(value); {
		end, quoted := start, false
		for end < len(value) && (quoted || value[end] != ',') {
			if value[end] == '"' {
				quoted = !quoted
			}
			end++
		}
		from, to := start, end
		for from < to && space(value[from]) {
			from++
		}
		for to > from && space(value[to-1]) {
			to--
		}
		if from < to {
			out = append(out, span{from, to})
		}
		start = end + 1
	}
	return out
}

func space(c byte) bool { return c == ' ' || c == '\t' }
