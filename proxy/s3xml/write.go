package s3xml

import (
	"strconv"
	"unicode/utf8"
)

// Header is the declaration that documents start with, as S3 writes it.
const Header = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// Namespace is the namespace of S3's documents.
const Namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// open starts a document with its root element.
func open(dst []byte, root string) []byte {
	dst = append(append(dst, Header...), '<')
	dst = append(append(dst, root...), ` xmlns="`...)
	return append(append(dst, Namespace...), `">`...)
}

func start(dst []byte, name string) []byte { return append(append(append(dst, '<'), name...), '>') }

func end(dst []byte, name string) []byte { return append(append(append(dst, "</"...), name...), '>') }

// leaf appends an element with text.
func leaf(dst []byte, name, value string) []byte {
	return end(appendText(start(dst, name), value, false), name)
}

// optional appends an element unless value is empty.
func optional(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return leaf(dst, name, value)
}

func number(dst []byte, name string, value int64) []byte {
	return end(strconv.AppendInt(start(dst, name), value, 10), name)
}

func boolean(dst []byte, name string, value bool) []byte {
	return end(strconv.AppendBool(start(dst, name), value), name)
}

// appendText escapes s as character data. What XML cannot hold becomes U+FFFD, or with exact a character reference: a
// store must never be told another key than the client named, rather it refuses the document.
func appendText(dst []byte, s string, exact bool) []byte {
	last := 0
	for i := 0; i < len(s); {
		c := s[i]
		size, replacement := 1, ""
		switch {
		case c == '&':
			replacement = "&amp;"
		case c == '<':
			replacement = "&lt;"
		case c == '>':
			replacement = "&gt;"
		case c == '"':
			replacement = "&quot;"
		case c == '\r':
			replacement = "&#13;"
		case c == '\n' || c == '\t' || c >= ' ' && c < utf8.RuneSelf:
			i++
			continue
		default:
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && size == 1, !exact && (r < ' ' || r == 0xFFFE || r == 0xFFFF):
				replacement = "\uFFFD"
			case r < ' ' || r == 0xFFFE || r == 0xFFFF:
				replacement = "&#" + strconv.Itoa(int(r)) + ";"
			default:
				i += size
				continue
			}
		}
		dst = append(append(dst, s[last:i]...), replacement...)
		i += size
		last = i
	}
	return append(dst, s[last:]...)
}

// copier copies a document with changes in document order.
type copier struct {
	d    *doc
	last int32
	dst  []byte
}

// upTo copies what lies before offset.
func (c *copier) upTo(offset int32) {
	if offset > c.last {
		c.dst = append(c.dst, c.d.b[c.last:offset]...)
		c.last = offset
	}
}

// drop leaves an element out.
func (c *copier) drop(i int32) {
	c.upTo(c.d.el[i].start)
	c.last = c.d.el[i].end
}

// set replaces the contents of an element with text and keeps its name and prefix; attributes are lost.
func (c *copier) set(i int32, value string) {
	c.openTag(i)
	c.dst = appendText(c.dst, value, false)
	c.closeTag(i)
}

func (c *copier) setInt(i int32, value int64) {
	c.openTag(i)
	c.dst = strconv.AppendInt(c.dst, value, 10)
	c.closeTag(i)
}

func (c *copier) openTag(i int32) {
	c.upTo(c.d.el[i].start)
	c.dst = append(append(append(c.dst, '<'), c.rawName(i)...), '>')
}

func (c *copier) closeTag(i int32) {
	c.dst = append(append(append(c.dst, "</"...), c.rawName(i)...), '>')
	c.last = c.d.el[i].end
}

// rawName is the name with its prefix.
func (c *copier) rawName(i int32) []byte { return c.d.b[c.d.el[i].start+1 : c.d.el[i].nameEnd] }

// rest copies what is left.
func (c *copier) rest() []byte {
	c.upTo(int32(len(c.d.b)))
	return c.dst
}
