package proxy

import (
	"fmt"
	"strconv"
	"strings"

	"s3veil/crypto/size"
)

// byteRange is the Range of a request (RFC 9110 14.1.2). The zero value asks for the whole object.
type byteRange struct {
	set    bool
	suffix int64 // last bytes, when from is -1
	from   int64
	to     int64 // -1: to the end
}

// parseRange reads a Range header. Malformed, foreign-unit and several ranges are ignored, as S3 does.
func parseRange(header string) byteRange {
	spec, ok := strings.CutPrefix(header, "bytes=")
	if !ok || strings.Contains(spec, ",") {
		return byteRange{}
	}
	first, last, ok := strings.Cut(spec, "-")
	if !ok {
		return byteRange{}
	}
	from, errFrom := parseDigits(first)
	to, errTo := parseDigits(last)
	switch {
	case first == "" && errTo == nil:
		return byteRange{set: true, from: -1, suffix: to}
	case errFrom == nil && last == "":
		return byteRange{set: true, from: from, to: -1}
	case errFrom == nil && errTo == nil && from <= to:
		return byteRange{set: true, from: from, to: to}
	}
	return byteRange{}
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

// resolve clips a range to an object of n bytes: the bytes a..b inclusive, false when it is not satisfiable. A suffix of an
// empty object is satisfiable and empty, a = 0 and b = -1. It must not be called for the whole object.
func (r byteRange) resolve(n int64) (a, b int64, ok bool) {
	switch {
	case r.from < 0:
		if r.suffix == 0 {
			return 0, 0, false
		}
		return max(0, n-r.suffix), n - 1, true
	case r.from >= n:
		return 0, 0, false
	case r.to < 0 || r.to >= n:
		return r.from, n - 1, true
	}
	return r.from, r.to, true
}

// guess maps a range onto stored bytes before anything is known of the object, as if it were one stream or had parts of
// whole packages; false where only the size could tell (suffixes) or where the arithmetic would overflow.
func (r byteRange) guess() (header string, ok bool) {
	const far = 1 << 55
	switch {
	case !r.set:
		return "", true
	case r.from < 0 || r.from >= far:
		return "", false
	case r.to < 0 || r.to >= far:
		return fmt.Sprintf("bytes=%d-", r.from/size.Package*size.Cipher), true
	}
	return formatRange(r.from/size.Package*size.Cipher, (r.to/size.Package+1)*size.Cipher-1), true
}

func formatRange(from, to int64) string {
	return "bytes=" + strconv.FormatInt(from, 10) + "-" + strconv.FormatInt(to, 10)
}

// contentRange is a parsed Content-Range: bytes from..to of total.
type contentRange struct{ from, to, total int64 }

// parseContentRange accepts exactly "bytes F-T/N" with F ≤ T < N.
func parseContentRange(s string) (contentRange, bool) {
	rest, ok := strings.CutPrefix(s, "bytes ")
	if !ok {
		return contentRange{}, false
	}
	span, total, ok := strings.Cut(rest, "/")
	if !ok {
		return contentRange{}, false
	}
	first, last, ok := strings.Cut(span, "-")
	if !ok {
		return contentRange{}, false
	}
	var c contentRange
	for _, f := range []struct {
		text string
		dst  *int64
	}{{first, &c.from}, {last, &c.to}, {total, &c.total}} {
		n, err := parseDigits(f.text)
		if err != nil {
			return contentRange{}, false
		}
		*f.dst = n
	}
	return c, c.from <= c.to && c.to < c.total
}
