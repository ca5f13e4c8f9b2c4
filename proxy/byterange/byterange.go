// Package byterange reads the ranges of requests and answers (RFC 9110 14) and maps plaintext ranges onto stored bytes.
package byterange

import (
	"fmt"
	"strconv"
	"strings"

	"s3veil/crypto/size"
)

// Range is the Range of a request (RFC 9110 14.1.2). The zero value asks for the whole object.
type Range struct {
	Set    bool
	Suffix int64 // last bytes, when From is -1
	From   int64
	To     int64 // -1: to the end
}

// Parse reads a Range header. Malformed, foreign-unit and several ranges are ignored, as S3 does.
func Parse(header string) Range {
	spec, ok := strings.CutPrefix(header, "bytes=")
	if !ok || strings.Contains(spec, ",") {
		return Range{}
	}
	first, last, ok := strings.Cut(spec, "-")
	if !ok {
		return Range{}
	}
	from, errFrom := parseDigits(first)
	to, errTo := parseDigits(last)
	switch {
	case first == "" && errTo == nil:
		return Range{Set: true, From: -1, Suffix: to}
	case errFrom == nil && last == "":
		return Range{Set: true, From: from, To: -1}
	case errFrom == nil && errTo == nil && from <= to:
		return Range{Set: true, From: from, To: to}
	}
	return Range{}
}

// parseDigits accepts digits only; numbers beyond 63 bits saturate, since they mean "beyond any object".
func parseDigits(s string) (int64, error) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 1<<63 - 1, nil
	}
	return n, nil
}

// Resolve clips a range to an object of n bytes: the bytes a..b inclusive, false when it is not satisfiable. A suffix of an
// empty object is satisfiable and empty, a = 0 and b = -1. It must not be called for the whole object.
func (r Range) Resolve(n int64) (a, b int64, ok bool) {
	switch {
	case r.From < 0:
		if r.Suffix == 0 {
			return 0, 0, false
		}
		return max(0, n-r.Suffix), n - 1, true
	case r.From >= n:
		return 0, 0, false
	case r.To < 0 || r.To >= n:
		return r.From, n - 1, true
	}
	return r.From, r.To, true
}

// Stored maps a range onto stored bytes before anything is known of the object, as if it were one stream or had parts of
// whole packages; false where only the size could tell (suffixes) or where the arithmetic would overflow.
func (r Range) Stored() (header string, ok bool) {
	const far = 1 << 55
	switch {
	case !r.Set:
		return "", true
	case r.From < 0 || r.From >= far:
		return "", false
	case r.To < 0 || r.To >= far:
		return fmt.Sprintf("bytes=%d-", r.From/size.Package*size.Cipher), true
	}
	return Format(r.From/size.Package*size.Cipher, (r.To/size.Package+1)*size.Cipher-1), true
}

// Format is the Range header for the bytes from..to inclusive.
func Format(from, to int64) string {
	return "bytes=" + strconv.FormatInt(from, 10) + "-" + strconv.FormatInt(to, 10)
}

// Content is a parsed Content-Range: bytes from..to of total.
type Content struct{ From, To, Total int64 }

// ParseContent accepts exactly "bytes F-T/N" with F ≤ T < N.
func ParseContent(s string) (Content, bool) {
	rest, ok := strings.CutPrefix(s, "bytes ")
	if !ok {
		return Content{}, false
	}
	span, total, ok := strings.Cut(rest, "/")
	if !ok {
		return Content{}, false
	}
	first, last, ok := strings.Cut(span, "-")
	if !ok {
		return Content{}, false
	}
	var c Content
	for _, f := range []struct {
		text string
		dst  *int64
	}{{first, &c.From}, {last, &c.To}, {total, &c.Total}} {
		n, err := parseDigits(f.text)
		if err != nil {
			return Content{}, false
		}
		*f.dst = n
	}
	return c, c.From <= c.To && c.To < c.Total
}
