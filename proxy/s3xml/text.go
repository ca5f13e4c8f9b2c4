package s3xml

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// name returns the local name of an element.
func (d *doc) name(i int32) string { return string(d.b[d.el[i].local:d.el[i].nameEnd]) }

// is reports whether an element has a local name, without allocating.
func (d *doc) is(i int32, name string) bool {
	return string(d.b[d.el[i].local:d.el[i].nameEnd]) == name
}

// find returns the first child of that name, -1 for none.
func (d *doc) find(parent int32, name string) int32 {
	for i := d.el[parent].child; i >= 0; i = d.el[i].next {
		if d.is(i, name) {
			return i
		}
	}
	return -1
}

// text returns the character data of an element, of its own and not of its children.
func (d *doc) text(i int32) string {
	e := &d.el[i]
	raw := d.b[e.inner:e.innerEnd]
	if e.child < 0 && bytes.IndexByte(raw, '&') < 0 && bytes.IndexByte(raw, '<') < 0 && bytes.IndexByte(raw, '\r') < 0 {
		return string(raw)
	}
	var out strings.Builder
	out.Grow(len(raw))
	at := e.inner
	for c := e.child; c >= 0; c = d.el[c].next {
		plain(&out, d.b[at:d.el[c].start])
		at = d.el[c].end
	}
	plain(&out, d.b[at:e.innerEnd])
	return out.String()
}

// childText returns the text of the first child of that name, "" for none.
func (d *doc) childText(parent int32, name string) string {
	if i := d.find(parent, name); i >= 0 {
		return d.text(i)
	}
	return ""
}

// plain appends checked character data without elements: references resolved, CDATA unwrapped, comments left out, line
// ends normalised.
func plain(out *strings.Builder, t []byte) {
	for len(t) > 0 {
		switch {
		case t[0] == '&':
			r, n := reference(t)
			if n == 0 {
				return
			}
			out.WriteRune(r)
			t = t[n:]
		case bytes.HasPrefix(t, []byte("<!--")):
			t = t[4+bytes.Index(t[4:], []byte("--"))+3:]
		case bytes.HasPrefix(t, []byte("<![CDATA[")):
			end := bytes.Index(t, []byte("]]>"))
			lines(out, t[9:end])
			t = t[end+3:]
		default:
			n := bytes.IndexAny(t[1:], "&<") + 1
			if n == 0 {
				n = len(t)
			}
			lines(out, t[:n])
			t = t[n:]
		}
	}
}

// lines appends t with CR and CR LF as LF (XML 1.0 section 2.11).
func lines(out *strings.Builder, t []byte) {
	for i, c := range t {
		switch {
		case c != '\r':
			out.WriteByte(c)
		case i+1 == len(t) || t[i+1] != '\n':
			out.WriteByte('\n')
		}
	}
}

// reference parses the entity or character reference that t starts with: its character and length, 0 when it is none.
func reference(t []byte) (rune, int) {
	end := bytes.IndexByte(t[:min(len(t), 12)], ';')
	if end < 2 {
		return 0, 0
	}
	switch name := string(t[1:end]); name {
	case "lt":
		return '<', end + 1
	case "gt":
		return '>', end + 1
	case "amp":
		return '&', end + 1
	case "quot":
		return '"', end + 1
	case "apos":
		return '\'', end + 1
	default:
		return charReference(name, end+1)
	}
}

func charReference(name string, n int) (rune, int) {
	digits, hex := strings.CutPrefix(name, "#x")
	if !hex {
		var ok bool
		if digits, ok = strings.CutPrefix(name, "#"); !ok {
			return 0, 0
		}
	}
	base := rune(10)
	if hex {
		base = 16
	}
	var r rune
	for _, c := range digits {
		var v rune
		switch {
		case c >= '0' && c <= '9':
			v = c - '0'
		case hex && c >= 'a' && c <= 'f':
			v = c - 'a' + 10
		case hex && c >= 'A' && c <= 'F':
			v = c - 'A' + 10
		default:
			return 0, 0
		}
		if r = r*base + v; r > utf8.MaxRune {
			return 0, 0
		}
	}
	if digits == "" || !utf8.ValidRune(r) {
		return 0, 0
	}
	return r, n
}
