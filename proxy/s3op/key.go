package s3op

import (
	"strings"
	"unicode/utf8"

	"s3veil/proxy/s3err"
)

// MaxKey is the longest key in bytes, decoded.
const MaxKey = 1024

// ReservedName is the first component of every key of the reserved prefix (FORMAT.md 9.7).
const ReservedName = ".s3veil"

// Reserved reports whether key lies under the reserved prefix, as sent or as a path-cleaning store would see it. It errs on
// the side of refusal: upper and lower case are one (some file systems agree), and a key with ".." is reserved as soon as
// any of its components is the reserved name.
func Reserved(key string) bool {
	first, climbs, named := true, false, false
	for rest := key; ; {
		component, after, more := strings.Cut(rest, "/")
		switch {
		case component == "" || component == ".":
		case component == "..":
			climbs = true
		default:
			if strings.EqualFold(component, ReservedName) {
				if first {
					return true
				}
				named = true
			}
			first = false
		}
		if climbs && named {
			return true
		}
		if !more {
			return false
		}
		rest = after
	}
}

const upperHex = "0123456789ABCDEF"

func unreserved(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}

// EscapePath percent-encodes a key for a request path as SigV4 canonicalises it ("/" kept).
func EscapePath(key string) string { return escape(key, true) }

// escape encodes all but RFC 3986's unreserved characters, in upper-case hexadecimal.
func escape(s string, slash bool) string {
	n := 0
	for i := 0; i < len(s); i++ {
		if !unreserved(s[i]) && (s[i] != '/' || !slash) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	b := make([]byte, 0, len(s)+2*n)
	for i := 0; i < len(s); i++ {
		if c := s[i]; unreserved(c) || c == '/' && slash {
			b = append(b, c)
		} else {
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return string(b)
}

// Unescape decodes percent-escapes once; plus says whether "+" is a space (queries and copy sources). It reports false for
// an escape that is not two hexadecimal digits.
func Unescape(s string, plus bool) (string, bool) {
	if strings.IndexByte(s, '%') < 0 && (!plus || strings.IndexByte(s, '+') < 0) {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%':
			if i+2 >= len(s) {
				return "", false
			}
			hi, ok1 := hexDigit(s[i+1])
			lo, ok2 := hexDigit(s[i+2])
			if !ok1 || !ok2 {
				return "", false
			}
			b = append(b, hi<<4|lo)
			i += 2
		case c == '+' && plus:
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return string(b), true
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// decodeKey decodes the raw part of a path that names a key.
func decodeKey(raw string) (string, error) {
	key, ok := Unescape(raw, false)
	if !ok {
		return "", s3err.InvalidURI
	}
	return key, CheckKey(key)
}

// CheckKey refuses keys that S3 refuses, wherever they stand: longer than MaxKey bytes (KeyTooLongError), not UTF-8, or
// with more ".." than components before them (KeyClimbs; "Naming Amazon S3 objects" in the S3 user guide), which a
// path-cleaning store would take for another bucket.
func CheckKey(key string) error {
	switch {
	case len(key) > MaxKey:
		return s3err.KeyTooLong(len(key), MaxKey)
	case !utf8.ValidString(key):
		return s3err.InvalidURI
	case climbs(key):
		return s3err.KeyClimbs
	}
	return nil
}

// IsBucket reports whether a path-cleaning store would take key for the bucket itself: "/", "./", "a/../". Such keys are good ones
// on S3; where they stand in a path a store sees that its signature is for another one, but in a document nothing says so, and at
// least one store removes the bucket.
func IsBucket(key string) bool {
	depth := 0
	for component := range strings.SplitSeq(key, "/") {
		switch component {
		case "", ".":
		case "..":
			depth--
		default:
			depth++
		}
	}
	return depth <= 0
}

// CheckID reports whether an id that a store has made, of a version or an upload, can be one: it is no path that leads
// elsewhere, neither "." nor ".." a component of it, and holds no control characters. At least one store uses ids as names of
// files and takes them as they come: "../../../../other" as the id of an upload to be aborted is another bucket.
func CheckID(id string) bool {
	for component := range strings.FieldsFuncSeq(id, func(r rune) bool { return r == '/' || r == '\\' }) {
		if component == "." || component == ".." {
			return false
		}
	}
	return !strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// climbs reports whether ".." leads above the bucket at some point of key.
func climbs(key string) bool {
	if !strings.Contains(key, "..") {
		return false
	}
	depth := 0
	for component := range strings.SplitSeq(key, "/") {
		switch component {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}
