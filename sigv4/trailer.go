package sigv4

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"strings"

	"s3veil/sigv4/checksum"
)

const trailerSignature = "x-amz-trailer-signature"

// trailerReader takes the lines after the last chunk up to the empty one: the announced trailers, each once, and in signed
// mode their signature behind them. Lines end in CRLF; trailers may also end in LF CRLF, since minio-go sends the canonical
// form "name:value\n" as a line of its own.
type trailerReader struct {
	announced []string     // lower case
	signer    *chunkSigner // nil unless the trailer is signed
	sums      []Sum
	canonical []byte // "name:value\n" of each
	total     int    // bytes of the section
	bare      bool   // the last trailer ended in LF, its CRLF is still to come
	signed    bool   // the signature was seen and is right
}

// line takes one line with its end and reports whether it was the last.
func (t *trailerReader) line(line []byte) (done bool, err *Error) {
	if t.total += len(line); t.total > maxTrailer {
		return false, fail(codeMalformedTrailer, "the trailer is too long")
	}
	text, crlf := bytes.CutSuffix(line, []byte("\r\n"))
	if !crlf {
		text = bytes.TrimSuffix(line, []byte("\n"))
	}
	if len(text) == 0 {
		return t.blank(crlf)
	}
	name, value, ok := strings.Cut(string(text), ":")
	if !ok || t.signed || t.bare {
		return false, fail(codeMalformedTrailer, "a line of the trailer is out of place")
	}
	name, value = strings.ToLower(name), strings.Trim(value, " \t")
	if name == trailerSignature {
		return false, t.signature(value, crlf)
	}
	t.bare = !crlf
	return false, t.field(name, value)
}

// blank takes an empty line: the end of a trailer that ended in LF, or the end of the section.
func (t *trailerReader) blank(crlf bool) (done bool, err *Error) {
	switch {
	case !crlf:
		return false, fail(codeMalformedTrailer, "the trailer does not end in CRLF")
	case t.bare:
		t.bare = false
		return false, nil
	case t.signer != nil && !t.signed:
		return false, fail(codeMalformedTrailer, "the trailer has no signature")
	case len(t.sums) != len(t.announced):
		return false, fail(codeMalformedTrailer, "an announced trailer is missing")
	}
	return true, nil
}

// field takes one trailer.
func (t *trailerReader) field(name, value string) *Error {
	a, ok := checksum.FromHeader(name)
	if !ok || !isOneOf(name, t.announced) {
		return fail(codeMalformedTrailer, "trailer %q was not announced", name)
	}
	for _, s := range t.sums {
		if s.Algorithm == a {
			return fail(codeMalformedTrailer, "trailer %q is repeated", name)
		}
	}
	sum, err := a.Decode(value)
	if err != nil {
		return fail(codeInvalidRequest, "value for %s trailing header is invalid", name)
	}
	t.sums = append(t.sums, Sum{a, sum})
	t.canonical = append(append(append(append(t.canonical, name...), ':'), value...), '\n')
	return nil
}

// signature checks the signature over the trailers before it.
func (t *trailerReader) signature(value string, crlf bool) *Error {
	if t.signer == nil || !crlf {
		return fail(codeMalformedTrailer, "a trailer signature is out of place")
	}
	digest := sha256.Sum256(t.canonical)
	if subtle.ConstantTimeCompare(t.signer.trailer(digest[:]), []byte(value)) != 1 {
		return fail(codeSignatureMismatch, "the signature of the trailer differs")
	}
	t.signed = true
	return nil
}
