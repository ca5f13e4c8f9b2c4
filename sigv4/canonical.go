package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"
)

// Header names that signatures depend on.
const (
	hdrAuthorization = "authorization"
	hdrHost          = "host"
	hdrDate          = "date"
	hdrAmzDate       = "x-amz-date"
	hdrAmzSHA256     = "x-amz-content-sha256"
	hdrAmzToken      = "x-amz-security-token"
	amzPrefix        = "x-amz-"
)

// scratch is the working memory of one signature.
type scratch struct {
	buf   []byte
	query query
	names []string
	sig   [2 * sha256.Size]byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func (s *scratch) release() {
	clear(s.names[:cap(s.names)]) // they point into requests
	s.names = s.names[:0]
	scratches.Put(s)
}

// canonicalRequest builds the canonical request of r over the sorted, lower-case header names in s.names; s.query holds
// the parsed query and payload is the last line. Source: "Task 1: Create a canonical request".
func (s *scratch) canonicalRequest(r *Request, payload string) *Error {
	b := append(s.buf[:0], r.Method...)
	b = append(b, '\n')
	b, err := appendPath(b, r.Path)
	if err != nil {
		return err
	}
	b = append(b, '\n')
	b = s.query.appendCanonical(b)
	b = append(b, '\n')
	for _, name := range s.names {
		if b, err = appendHeader(b, r, name); err != nil {
			return err
		}
	}
	b = append(b, '\n')
	for i, name := range s.names {
		if i > 0 {
			b = append(b, ';')
		}
		b = append(b, name...)
	}
	b = append(b, '\n')
	s.buf = append(b, payload...)
	return nil
}

// stringToSign replaces the canonical request in s.buf by the string to sign. Source: "Task 2: Create a string to sign".
func (s *scratch) stringToSign(stamp, scope string) []byte {
	return s.stringToSignOf(algorithm, stamp, scope)
}

func (s *scratch) stringToSignOf(algorithm, stamp, scope string) []byte {
	sum := sha256.Sum256(s.buf)
	b := append(s.buf[:0], algorithm...)
	b = append(b, '\n')
	b = append(b, stamp...)
	b = append(b, '\n')
	b = append(b, scope...)
	b = append(b, '\n')
	s.buf = hex.AppendEncode(b, sum[:])
	return s.buf
}

// appendHeader appends "name:value\n"; the values of repeated headers are joined by commas in their order. A header that
// is listed but absent is an error: an empty value must not stand for it.
func appendHeader(b []byte, r *Request, name string) ([]byte, *Error) {
	b = append(b, name...)
	b = append(b, ':')
	if name == hdrHost && r.Host != "" {
		return append(appendFolded(b, r.Host), '\n'), nil
	}
	found := false
	for i := range r.Header {
		if r.Header[i].Name != name {
			continue
		}
		if found {
			b = append(b, ',')
		}
		found = true
		b = appendFolded(b, r.Header[i].Value)
	}
	if !found {
		return b, fail(codeSignatureMismatch, "signed header %q is missing", name)
	}
	return append(b, '\n'), nil
}

// appendFolded appends a header value without surrounding white space and with inner runs of it as one space.
func appendFolded(b []byte, value string) []byte {
	start, space := len(b), false
	for i := 0; i < len(value); i++ {
		c := value[i]
		if c == ' ' || c == '\t' {
			space = true
			continue
		}
		if space && len(b) > start {
			b = append(b, ' ')
		}
		space = false
		b = append(b, c)
	}
	return b
}

// header returns the first value of a header.
func (r *Request) header(name string) (string, bool) {
	for i := range r.Header {
		if r.Header[i].Name == name {
			return r.Header[i].Value, true
		}
	}
	return "", false
}
