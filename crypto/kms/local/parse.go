package local

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"s3veil/crypto/kms"
)

// maxKID is the longest kid that fits an envelope (FORMAT.md 3.3).
const maxKID = 64

// Mistake is one thing that is wrong with a key file. The text never holds key material.
type Mistake struct {
	Line, Column int // from 1; bytes
	Text         string
}

// ParseError holds every mistake of a key file.
type ParseError struct {
	Path     string
	Mistakes []Mistake // never empty, in the order of the file
}

// Error gives a line per mistake: path:line:column: text.
func (e *ParseError) Error() string {
	lines := make([]string, len(e.Mistakes))
	for i, m := range e.Mistakes {
		lines[i] = fmt.Sprintf("%s:%d:%d: %s", e.Path, m.Line, m.Column, m.Text)
	}
	return strings.Join(lines, "\n")
}

// parser walks the tokens of a file, so that it knows positions, repeated names and exact spelling, none of which
// decoding into a struct would tell.
type parser struct {
	text     []byte
	dec      *json.Decoder
	mistakes []Mistake
}

// field is one member of a key's object.
type field struct {
	value string
	at    int64 // offset of the value
}

// parse returns the keys of a file, or every mistake. Syntax errors end the search.
func parse(path string, text []byte) ([]*entry, error) {
	p := &parser{text: text, dec: json.NewDecoder(bytes.NewReader(text))}
	entries := p.list()
	if len(p.mistakes) > 0 {
		zero(entries)
		slices.SortStableFunc(p.mistakes, func(a, b Mistake) int {
			return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
		})
		return nil, &ParseError{Path: path, Mistakes: p.mistakes}
	}
	return entries, nil
}

func zero(entries []*entry) {
	for _, e := range entries {
		e.key.Zero()
	}
}

func (p *parser) list() (entries []*entry) {
	start := p.next()
	if tok, ok := p.token(); !ok {
		return nil
	} else if tok != json.Delim('[') {
		p.wrong(start, "the file must hold a list of keys")
		return nil
	}
	ids, keys := map[string]bool{}, map[kms.Key32]string{}
	defer clear(keys)
	for p.dec.More() {
		at := p.next()
		e, ok := p.object()
		if !ok {
			return entries
		}
		if e == nil {
			continue
		}
		entries = append(entries, e)
		if ids[e.id] {
			p.wrong(at, fmt.Sprintf("id %q stands twice", e.id))
		}
		ids[e.id] = true
		if other, twice := keys[e.key]; twice && other != e.id {
			p.wrong(at, fmt.Sprintf("%q and %q have the same key", other, e.id))
		}
		keys[e.key] = e.id
	}
	if _, ok := p.token(); !ok { // the closing bracket
		return entries
	}
	after := p.next()
	if _, err := p.dec.Token(); !errors.Is(err, io.EOF) {
		p.wrong(after, "data after the list")
	}
	if len(entries) == 0 && len(p.mistakes) == 0 {
		p.wrong(start, "the list is empty")
	}
	return entries
}

// object reads one key. It returns nil where the key has mistakes, and false where the syntax is broken.
func (p *parser) object() (*entry, bool) {
	at, before := p.next(), len(p.mistakes)
	tok, ok := p.token()
	if !ok {
		return nil, false
	}
	if tok != json.Delim('{') {
		p.wrong(at, "a key must be an object")
		return nil, p.skip(tok)
	}
	fields := map[string]field{}
	for p.dec.More() {
		nameAt := p.next()
		name, ok := p.token()
		if !ok {
			return nil, false
		}
		valueAt := p.next()
		value, ok := p.token()
		if !ok || !p.skip(value) {
			return nil, false
		}
		p.field(fields, name.(string), nameAt, value, valueAt)
	}
	if _, ok := p.token(); !ok {
		return nil, false
	}
	e := p.entry(at, fields)
	if len(p.mistakes) > before {
		e.key.Zero()
		return nil, true
	}
	return e, true
}

func (p *parser) field(fields map[string]field, name string, nameAt int64, value json.Token, valueAt int64) {
	text, isText := value.(string)
	_, twice := fields[name]
	switch {
	case name != "id" && name != "created" && name != "state" && name != "key":
		p.wrong(nameAt, fmt.Sprintf("unknown field %q", name))
		return
	case twice:
		p.wrong(nameAt, fmt.Sprintf("field %q stands twice", name))
	case !isText:
		p.wrong(valueAt, fmt.Sprintf("%s must be a string", name))
		text = ""
	}
	if !twice {
		fields[name] = field{text, valueAt}
	}
	if !isText {
		delete(fields, name)
		fields[name] = field{at: -1} // present, but already reported
	}
}

// entry checks the fields of one key.
func (p *parser) entry(at int64, fields map[string]field) *entry {
	e := &entry{}
	for _, name := range []string{"id", "created", "state", "key"} {
		f, ok := fields[name]
		if !ok {
			p.wrong(at, fmt.Sprintf("%s is missing", name))
		}
		if !ok || f.at < 0 {
			continue
		}
		if text := e.set(name, f.value); text != "" {
			p.wrong(f.at, text)
		}
	}
	return e
}

// set takes one field over and returns what is wrong with it, or "".
func (e *entry) set(name, value string) (wrong string) {
	switch name {
	case "id":
		if e.id = value; !validKID(value) {
			return "id must be 1 to 64 characters of A-Z a-z 0-9 . _ -"
		}
	case "created":
		created, err := time.Parse(time.RFC3339, value)
		e.created = created.UTC()
		if year := e.created.Year(); err != nil || year < 1970 || year > 9999 { // what can be written again
			return "created must be a time like 2026-01-02T15:04:05Z"
		}
	case "state":
		if e.state = State(value); e.state != Active && e.state != Retired && e.state != Disabled {
			return fmt.Sprintf("state must be %q, %q or %q", Active, Retired, Disabled)
		}
	case "key":
		raw, err := base64.StdEncoding.Strict().DecodeString(value)
		defer clear(raw)
		if err != nil || len(raw) != len(e.key) || strings.ContainsAny(value, "\r\n") {
			return "key must be 32 bytes in base64"
		}
		copy(e.key[:], raw)
	}
	return ""
}

// validKID reports whether id can stand in an envelope (FORMAT.md 3.3).
func validKID(id string) bool {
	if id == "" || len(id) > maxKID {
		return false
	}
	for _, c := range []byte(id) {
		if !(c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

// token returns the next token; a syntax error is reported and ends the walk.
func (p *parser) token() (json.Token, bool) {
	tok, err := p.dec.Token()
	if err == nil {
		return tok, true
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		p.wrong(max(syntax.Offset-1, 0), "not JSON: "+syntax.Error())
	} else {
		p.wrong(int64(len(p.text)), "not JSON: the file ends too early")
	}
	return nil, false
}

// skip reads the rest of a value whose first token was tok.
func (p *parser) skip(tok json.Token) bool {
	for depth := 0; ; {
		switch tok {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return true
		}
		var ok bool
		if tok, ok = p.token(); !ok {
			return false
		}
	}
}

// next returns the offset of the next token: behind white space and separators.
func (p *parser) next() int64 {
	at := p.dec.InputOffset()
	for at < int64(len(p.text)) && strings.IndexByte(" \t\r\n,:", p.text[at]) >= 0 {
		at++
	}
	return at
}

func (p *parser) wrong(at int64, text string) {
	before := p.text[:min(at, int64(len(p.text)))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := len(before) - bytes.LastIndexByte(before, '\n')
	p.mistakes = append(p.mistakes, Mistake{Line: line, Column: column, Text: text})
}
