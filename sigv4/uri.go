package sigv4

import (
	"bytes"
	"sort"
	"strings"
)

const upperHex = "0123456789ABCDEF"

// unreserved marks the bytes that UriEncode leaves alone.
var unreserved = func() (t [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") {
		t[c] = true
	}
	return t
}()

func appendByte(dst []byte, c byte) []byte {
	if unreserved[c] {
		return append(dst, c)
	}
	return append(dst, '%', upperHex[c>>4], upperHex[c&15])
}

// unhex returns the byte of the escape at s[i] = '%'.
func unhex(s string, i int) (byte, bool) {
	if i+2 >= len(s) {
		return 0, false
	}
	hi, lo := nibble(s[i+1]), nibble(s[i+2])
	return hi<<4 | lo, hi < 16 && lo < 16
}

// nibble returns the value of a hex digit, 0xff for other bytes.
func nibble(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// appendPath appends the canonical URI of a raw path: every byte decoded once and encoded once, nothing cleaned. An
// escaped slash stays escaped, so that different paths never share a canonical form.
func appendPath(dst []byte, raw string) ([]byte, *Error) {
	if raw == "" || raw[0] != '/' {
		return dst, fail(codeInvalidURI, "the path does not begin with a slash")
	}
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; c {
		case '/':
			dst = append(dst, '/')
		case '%':
			b, ok := unhex(raw, i)
			if !ok {
				return dst, fail(codeInvalidURI, "bad percent escape in the path")
			}
			dst = appendByte(dst, b)
			i += 2
		default:
			dst = appendByte(dst, c)
		}
	}
	return dst, nil
}

// pair is one query parameter in canonical form: enc[key:eq] and enc[val:end].
type pair struct{ key, eq, val, end int }

// query is a parsed raw query; the encoded forms lie one behind the other in enc.
type query struct {
	enc   []byte
	pairs []pair
}

func (q *query) name(p pair) []byte  { return q.enc[p.key:p.eq] }
func (q *query) value(p pair) []byte { return q.enc[p.val:p.end] }

// parse splits a raw query at "&" and re-encodes names and values; empty elements are dropped and a name without "="
// has the empty value.
func (q *query) parse(raw string) *Error {
	q.enc, q.pairs = q.enc[:0], q.pairs[:0]
	for raw != "" {
		var part string
		part, raw, _ = strings.Cut(raw, "&")
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		p := pair{key: len(q.enc)}
		if !q.append(name) {
			return fail(codeInvalidURI, "bad percent escape in the query")
		}
		p.eq, p.val = len(q.enc), len(q.enc)
		if !q.append(value) {
			return fail(codeInvalidURI, "bad percent escape in the query")
		}
		p.end = len(q.enc)
		q.pairs = append(q.pairs, p)
	}
	return nil
}

func (q *query) append(raw string) bool {
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; c {
		case '+':
			q.enc = append(q.enc, '%', '2', '0')
		case '%':
			b, ok := unhex(raw, i)
			if !ok {
				return false
			}
			q.enc = appendByte(q.enc, b)
			i += 2
		default:
			q.enc = appendByte(q.enc, c)
		}
	}
	return true
}

// Len, Less and Swap order the pairs by encoded name, then by encoded value.
func (q *query) Len() int { return len(q.pairs) }

func (q *query) Less(i, j int) bool {
	a, b := q.pairs[i], q.pairs[j]
	if c := bytes.Compare(q.name(a), q.name(b)); c != 0 {
		return c < 0
	}
	return bytes.Compare(q.value(a), q.value(b)) < 0
}

func (q *query) Swap(i, j int) { q.pairs[i], q.pairs[j] = q.pairs[j], q.pairs[i] }

// appendCanonical appends the canonical query without the signature parameter.
func (q *query) appendCanonical(dst []byte) []byte {
	if !sort.IsSorted(q) {
		sort.Sort(q)
	}
	first := true
	for _, p := range q.pairs {
		if bytes.EqualFold(q.name(p), []byte(paramSignature)) {
			continue
		}
		if !first {
			dst = append(dst, '&')
		}
		first = false
		dst = append(dst, q.name(p)...)
		dst = append(dst, '=')
		dst = append(dst, q.value(p)...)
	}
	return dst
}

// decode returns the decoded form of an encoded name or value.
func decode(enc []byte) string {
	s := string(enc)
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			c, _ = unhex(s, i)
			i += 2
		}
		b = append(b, c)
	}
	return string(b)
}
