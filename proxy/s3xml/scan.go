// Package s3xml reads and writes the XML documents of S3: strict readers of what clients send, rewriting of what stores
// answer, and writers of s3veil's own answers. It is pure: bytes in, bytes out.
//
// Documents are held whole, within a byte limit, and parsed into a flat table of elements; encoding/xml would take several
// times the CPU that a listing costs at all. Rewriting copies the store's bytes from change to change, so what s3veil does
// not know passes unharmed. Document types, entities other than XML's five, and processing instructions are refused.
package s3xml

import (
	"bytes"
	"errors"
	"unicode/utf8"
)

// ErrSyntax reports a document that is not well-formed, too deep, or larger than its limits.
var ErrSyntax = errors.New("s3xml: not a well-formed document within limits")

const (
	maxDepth = 16
	maxName  = 256
)

// limits bound a document. strict refuses what no XML document may hold, for documents of clients; stores are seen to send
// such characters inside keys.
type limits struct {
	bytes    int
	elements int
	strict   bool
}

// element is one element of a document; all fields but links are offsets.
type element struct {
	local, nameEnd  int32 // local name without prefix; the raw name starts at start+1
	start, end      int32 // with its tags
	inner, innerEnd int32 // between its tags; equal for an empty element
	child, next     int32 // first child and next sibling, -1 for none
}

// doc is a parsed document. Element 0 is the root.
type doc struct {
	b  []byte
	el []element
}

// scanner holds the state of one parse.
type scanner struct {
	doc
	lim   limits
	pos   int
	open  [maxDepth]int32 // indexes of open elements
	last  [maxDepth]int32 // last child seen at each depth, -1 for none
	depth int
}

// parse reads a whole document. b must not change while the result is in use. White space in front is what stores send while
// a long operation lasts.
func parse(b []byte, lim limits) (*doc, error) {
	if len(b) > lim.bytes || lim.strict && !utf8.Valid(b) {
		return nil, ErrSyntax
	}
	s := &scanner{lim: lim}
	if !lim.strict {
		b = bytes.TrimLeft(b, " \t\r\n")
	}
	s.b = b
	s.el = make([]element, 0, min(bytes.Count(b, []byte{'<'})/2+1, lim.elements))
	s.prolog()
	for s.pos < len(s.b) {
		i := bytes.IndexByte(s.b[s.pos:], '<')
		if i < 0 {
			i = len(s.b) - s.pos
		}
		if !s.text(s.b[s.pos : s.pos+i]) {
			return nil, ErrSyntax
		}
		if s.pos += i; s.pos == len(s.b) {
			break
		}
		if !s.markup() {
			return nil, ErrSyntax
		}
	}
	if s.depth != 0 || len(s.el) == 0 {
		return nil, ErrSyntax
	}
	return &s.doc, nil
}

// prolog skips a byte order mark and the XML declaration.
func (s *scanner) prolog() {
	s.b = bytes.TrimPrefix(s.b, []byte("\xef\xbb\xbf"))
	if !bytes.HasPrefix(s.b, []byte("<?xml")) || len(s.b) < 6 || !space(s.b[5]) {
		return
	}
	end := bytes.Index(s.b, []byte("?>"))
	if end < 0 {
		return
	}
	declaration := s.b[:end]
	if i := bytes.Index(declaration, []byte("encoding")); i >= 0 &&
		!bytes.Contains(bytes.ToLower(declaration[i:]), []byte("utf-8")) {
		return // left in place, where markup refuses it
	}
	s.pos = end + 2
}

// text checks character data between tags.
func (s *scanner) text(t []byte) bool {
	if s.depth == 0 {
		for _, c := range t {
			if !space(c) {
				return false
			}
		}
		return true
	}
	return s.characters(t, true)
}

// characters checks references and, in strict documents, control characters.
func (s *scanner) characters(t []byte, references bool) bool {
	if s.lim.strict {
		for _, c := range t {
			if c < ' ' && !space(c) {
				return false
			}
		}
	}
	for references {
		i := bytes.IndexByte(t, '&')
		if i < 0 {
			break
		}
		_, n := reference(t[i:])
		if n == 0 {
			return false
		}
		t = t[i+n:]
	}
	return true
}

// markup reads what starts with "<" at pos.
func (s *scanner) markup() bool {
	rest := s.b[s.pos:]
	switch {
	case len(rest) < 2 || rest[1] == '?':
		return false
	case rest[1] == '/':
		return s.endTag()
	case bytes.HasPrefix(rest, []byte("<!--")):
		end := bytes.Index(rest[4:], []byte("--"))
		if end < 0 || len(rest) <= 4+end+2 || rest[4+end+2] != '>' {
			return false
		}
		s.pos += 4 + end + 3
		return s.characters(rest[4:4+end], false)
	case bytes.HasPrefix(rest, []byte("<![CDATA[")):
		end := bytes.Index(rest, []byte("]]>"))
		if end < 0 || s.depth == 0 {
			return false
		}
		s.pos += end + 3
		return s.characters(rest[9:end], false)
	case rest[1] == '!':
		return false
	}
	return s.startTag()
}

func (s *scanner) endTag() bool {
	if s.depth == 0 {
		return false
	}
	e := &s.el[s.open[s.depth-1]]
	name := s.b[e.start+1 : e.nameEnd]
	e.innerEnd = int32(s.pos)
	p := s.pos + 2
	if !bytes.HasPrefix(s.b[p:], name) {
		return false
	}
	for p += len(name); p < len(s.b) && space(s.b[p]); p++ {
	}
	if p >= len(s.b) || s.b[p] != '>' {
		return false
	}
	s.pos = p + 1
	e.end = int32(s.pos)
	s.depth--
	return true
}

func (s *scanner) startTag() bool {
	if s.depth == maxDepth || s.depth == 0 && len(s.el) > 0 || len(s.el) >= s.lim.elements {
		return false
	}
	e := element{start: int32(s.pos), child: -1, next: -1}
	p, ok := s.name(s.pos+1, &e)
	if !ok {
		return false
	}
	p, empty, ok := s.attributes(p)
	if !ok {
		return false
	}
	s.pos = p
	e.inner, e.innerEnd, e.end = int32(p), int32(p), int32(p)
	index := int32(len(s.el))
	if s.depth > 0 {
		if before := s.last[s.depth-1]; before >= 0 {
			s.el[before].next = index
		} else {
			s.el[s.open[s.depth-1]].child = index
		}
		s.last[s.depth-1] = index
	}
	s.el = append(s.el, e)
	if !empty {
		s.open[s.depth], s.last[s.depth] = index, -1
		s.depth++
	}
	return true
}

// name reads the name of a start tag at p and returns the offset behind it.
func (s *scanner) name(p int, e *element) (int, bool) {
	from := p
	e.local = int32(p)
	for ; p < len(s.b); p++ {
		c := s.b[p]
		if c == ':' {
			if e.local != int32(from) || p == from {
				return p, false
			}
			e.local = int32(p + 1)
			continue
		}
		if !nameByte(c, p == int(e.local)) {
			break
		}
	}
	e.nameEnd = int32(p)
	return p, p > int(e.local) && p-from <= maxName && utf8.Valid(s.b[from:p])
}

// attributes skips the attributes of a start tag from p and returns the offset behind the tag.
func (s *scanner) attributes(p int) (next int, empty, ok bool) {
	for {
		from := p
		for p < len(s.b) && space(s.b[p]) {
			p++
		}
		switch {
		case p >= len(s.b):
			return p, false, false
		case s.b[p] == '>':
			return p + 1, false, true
		case s.b[p] == '/':
			return p + 2, true, p+1 < len(s.b) && s.b[p+1] == '>'
		case p == from:
			return p, false, false
		}
		var name element
		if p, ok = s.name(p, &name); !ok {
			return p, false, false
		}
		for p < len(s.b) && space(s.b[p]) {
			p++
		}
		if p >= len(s.b) || s.b[p] != '=' {
			return p, false, false
		}
		for p++; p < len(s.b) && space(s.b[p]); p++ {
		}
		if p >= len(s.b) || s.b[p] != '"' && s.b[p] != '\'' {
			return p, false, false
		}
		length := bytes.IndexByte(s.b[p+1:], s.b[p])
		if length < 0 {
			return p, false, false
		}
		value := s.b[p+1 : p+1+length]
		if bytes.IndexByte(value, '<') >= 0 || !s.characters(value, true) {
			return p, false, false
		}
		p += length + 2
	}
}

func nameByte(c byte, first bool) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80 ||
		!first && (c >= '0' && c <= '9' || c == '-' || c == '.')
}

func space(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }
