package sigv4

import (
	"bytes"
	"crypto/sha256"
	"strings"

	"s3veil/sigv4/checksum"
)

const trailerSignature = "x-amz-trailer-signature"

// trailerReader takes the lines after the last chunk up to the empty one: the announced trailers, each once, and in signed
// mode their signature behind them. Lines end in CRLF. A trailer may also end in LF, its canonical form "name:value\n", and
// then CRLF, as the API reference writes it and minio-go sends it.
type trailerReader struct {
	announced []string     // lower case
	signer    chunkChecker // nil unless the trailer is signed
	sums      []Sum
	canonical []byte // "name:value\n" of each
	total     int    // bytes of the section
	bare      bool   // the last trailer ended in LF, its CRLF may still come
	signed    bool   // the signature was seen and is right
}

// line takes one line with its end and returns the state that follows: inTrailer, mayEnd or finished.
func (t *trailerReader) line(line []byte) (chunkState, *Error) {
	if t.total += len(line); t.total > maxTrailer {
		return inTrailer, fail(codeMalformedTrailer, "the trailer is too long")
	}
	text, crlf := bytes.CutSuffix(line, []byte("\r\n"))
	if !crlf {
		text = bytes.TrimSuffix(line, []byte("\n"))
	}
	if len(text) == 0 {
		return t.blank(crlf)
	}
	if bytes.IndexByte(text, '\r') >= 0 {
		return inTrailer, errFraming("a line of the trailer holds a CR")
	}
	name, value, ok := strings.Cut(string(text), ":")
	if t.unsigned() && (!ok || !strings.EqualFold(name, trailerSignature)) {
		return inTrailer, errNoSignature()
	}
	if !ok || t.signed {
		return inTrailer, fail(codeMalformedTrailer, "a line of the trailer is out of place")
	}
	name, value = strings.ToLower(name), strings.Trim(value, " \t")
	if name == trailerSignature {
		return inTrailer, t.signature(value, crlf)
	}
	t.bare = !crlf
	return inTrailer, t.field(name, value)
}

// blank takes an empty line: the rest of a trailer that ended in LF, the end of the section, or both in one.
func (t *trailerReader) blank(crlf bool) (chunkState, *Error) {
	bare := t.bare
	t.bare = false
	switch {
	case !crlf:
		return inTrailer, fail(codeMalformedTrailer, "the trailer does not end in CRLF")
	case t.signer != nil && !t.signed && bare:
		return inTrailer, nil
	case len(t.sums) != len(t.announced):
		return inTrailer, fail(codeMalformedTrailer, "an announced trailer is missing")
	case t.signer != nil && !t.signed:
		return inTrailer, errNoSignature()
	case bare:
		return mayEnd, nil
	}
	return finished, nil
}

// unsigned reports whether nothing but the signature is missing: from there on S3 calls a body incomplete that has something
// else, and no longer its trailer malformed.
func (t *trailerReader) unsigned() bool {
	return t.signer != nil && !t.signed && len(t.announced) > 0 && len(t.sums) == len(t.announced)
}

func errNoSignature() *Error { return errFraming("the trailer has no signature") }

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
		return fail(codeInvalidRequest, "value for %s trailing header is invalid", name).
			say("Value for %s trailing header is invalid.", name)
	}
	t.sums = append(t.sums, Sum{a, sum})
	t.canonical = append(append(append(append(t.canonical, name...), ':'), value...), '\n')
	return nil
}

// signature checks the signature over the trailers before it.
func (t *trailerReader) signature(value string, crlf bool) *Error {
	switch {
	case t.signer == nil || !crlf || len(t.announced) == 0:
		return fail(codeMalformedTrailer, "a trailer signature is out of place")
	case !t.signer.validLength(len(value)):
		return errFraming("the signature of the trailer has no valid length")
	}
	digest := sha256.Sum256(t.canonical)
	if !t.signer.checkTrailer(digest[:], []byte(value)) {
		return fail(codeSignatureMismatch, "the signature of the trailer differs")
	}
	t.signed, t.bare = true, false
	return nil
}
