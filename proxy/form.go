package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"slices"
	"strings"

	"s3veil/proxy/head"
	"s3veil/proxy/s3err"
	"s3veil/sigv4"
)

// maxFormHead bounds what stands before the content of a form's file, in bytes.
const maxFormHead = 64 << 10

// maxBoundary is the longest boundary (RFC 2046 5.1.1).
const maxBoundary = 70

var (
	errFormCut   = errors.New("the form ends early")
	errDelimiter = errors.New("the content of a part begins with the delimiter")
)

// formReader reads a multipart/form-data body (RFC 7578) up to the content of its file. Only that much is ever kept.
type formReader struct {
	src   io.Reader // nil: nothing follows buf
	delim []byte    // CRLF, two dashes, the boundary
	buf   []byte    // what has been read, behind a CRLF of our own so that all delimiters look alike
	r     int       // how much of it has been used
	read  int64     // bytes taken from src
}

// newFormReader takes the boundary from the request's Content-Type.
func newFormReader(src io.Reader, contentType string) (*formReader, error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, s3err.MalformedPOSTRequest.With(err)
	}
	boundary := params["boundary"]
	if boundary == "" || len(boundary) > maxBoundary || strings.ContainsAny(boundary, "\r\n") {
		return nil, s3err.MalformedPOSTRequest.With(fmt.Errorf("boundary %q", boundary))
	}
	return &formReader{src: src, delim: []byte("\r\n--" + boundary), buf: []byte("\r\n")}, nil
}

// ahead is what has been read and not used.
func (f *formReader) ahead() []byte { return f.buf[f.r:] }

// more reads on.
func (f *formReader) more() error {
	if f.src == nil {
		return s3err.MalformedPOSTRequest.With(errFormCut)
	}
	if len(f.buf) >= maxFormHead {
		return s3err.MaxPostPreDataLengthExceeded
	}
	f.buf = slices.Grow(f.buf, min(4096, maxFormHead-len(f.buf)))
	room := f.buf[len(f.buf):min(cap(f.buf), maxFormHead)]
	for range 100 {
		n, err := f.src.Read(room)
		f.read += int64(n)
		f.buf = f.buf[:len(f.buf)+n]
		switch {
		case n > 0:
			return nil
		case err == io.EOF:
			return s3err.MalformedPOSTRequest.With(errFormCut)
		case errors.Is(err, errShortBody):
			return s3err.IncompleteBody.With(err)
		case err != nil:
			return err
		}
	}
	return s3err.IncompleteBody.With(io.ErrNoProgress)
}

// until returns the bytes before sep and goes behind it. They are valid until the next call.
func (f *formReader) until(sep []byte) ([]byte, error) {
	from := 0
	for {
		if i := bytes.Index(f.ahead()[from:], sep); i >= 0 {
			text := f.ahead()[:from+i]
			f.r += from + i + len(sep)
			return text, nil
		}
		from = max(0, len(f.ahead())-len(sep)+1)
		if err := f.more(); err != nil {
			return nil, err
		}
	}
}

var crlf = []byte("\r\n")

// begin goes behind the first delimiter. An empty line may stand before it, but no other preamble.
func (f *formReader) begin() error {
	for len(f.ahead()) < len(f.delim)+2 && !bytes.HasPrefix(f.ahead(), f.delim) {
		if err := f.more(); err != nil {
			return err
		}
	}
	if bytes.HasPrefix(f.ahead(), f.delim) {
		f.r += len(f.delim)
		return nil
	}
	if bytes.HasPrefix(f.ahead()[2:], f.delim) && bytes.HasPrefix(f.ahead(), crlf) {
		f.r += 2 + len(f.delim)
		return nil
	}
	return s3err.MalformedPOSTRequest.With(errors.New("the body does not begin with its boundary"))
}

// formPart is the head of a part.
type formPart struct {
	name     string // in lower case: names of fields have no case
	filename string // without directories
}

// next reads the head of a part, behind a delimiter. At the closing delimiter ok is false.
func (f *formReader) next() (p formPart, ok bool, err error) {
	for len(f.ahead()) < 2 {
		if err := f.more(); err != nil {
			return p, false, err
		}
	}
	if bytes.HasPrefix(f.ahead(), []byte("--")) {
		f.r += 2
		return p, false, nil
	}
	line, err := f.until(crlf)
	if err != nil {
		return p, false, err
	}
	if len(bytes.Trim(line, " \t")) > 0 {
		return p, false, s3err.MalformedPOSTRequest.With(errors.New("bytes behind a boundary"))
	}
	for {
		if line, err = f.until(crlf); err != nil {
			return p, false, err
		}
		if len(line) == 0 {
			break
		}
		if err := p.header(string(line)); err != nil {
			return p, false, err
		}
	}
	if p.name == "" {
		return p, false, s3err.MalformedPOSTRequest.With(errors.New("part without a name"))
	}
	return p, true, nil
}

// header takes in one header line of a part. The content type of a part says nothing about the object, as on S3.
func (p *formPart) header(line string) error {
	name, value, ok := strings.Cut(line, ":")
	if !ok || !head.IsToken(name) || hasControl(line) {
		return s3err.MalformedPOSTRequest.With(errors.New("malformed header of a part"))
	}
	switch strings.ToLower(name) {
	case "content-disposition":
		kind, params, err := mime.ParseMediaType(value)
		if err != nil || kind != "form-data" || params["name"] == "" || p.name != "" {
			return s3err.MalformedPOSTRequest.With(fmt.Errorf("content-disposition %q", value))
		}
		p.name = strings.ToLower(params["name"])
		p.filename = params["filename"]
		p.filename = p.filename[strings.LastIndexAny(p.filename, `/\`)+1:]
	case "content-transfer-encoding":
		switch strings.ToLower(strings.TrimSpace(value)) {
		case "7bit", "8bit", "binary":
		default:
			return s3err.MalformedPOSTRequest.With(fmt.Errorf("content-transfer-encoding %q", value))
		}
	}
	return nil
}

// content reads the content of a part and goes behind the delimiter. A delimiter in its first line is refused: readers
// differ about it.
func (f *formReader) content() ([]byte, error) {
	text, err := f.until(f.delim)
	if err == nil && bytes.HasPrefix(text, f.delim[len(crlf):]) {
		err = s3err.MalformedPOSTRequest.With(errDelimiter)
	}
	return text, err
}

// hasControl reports whether text holds what no header may.
func hasControl(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// postForm is a form as far as it stands before the content of its file.
type postForm struct {
	fields   []sigv4.Field // names in lower case, in order
	filename string        // what ${filename} stands for
	policy   *sigv4.Policy // nil for an anonymous form
}

// readFields reads the fields before the file and stops at its first byte.
func (f *formReader) readFields() (*postForm, error) {
	if err := f.begin(); err != nil {
		return nil, err
	}
	form := &postForm{}
	for {
		p, ok, err := f.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, s3err.IncorrectNumberOfFilesInPostRequest.With(errors.New("the form has no file"))
		}
		if p.name == "file" {
			form.filename = p.filename
			return form, form.expand()
		}
		value, err := f.content()
		if err != nil {
			return nil, err
		}
		form.fields = append(form.fields, sigv4.Field{Name: p.name, Value: string(value)})
	}
}

// variable stands for the file's name.
const variable = "${filename}"

// expand puts the file's name in place of ${filename}. The policy is left alone: its signature covers it as sent. The bound is that
// of the form: nobody answers for it yet, and a long name in many places would make megabytes of a few kilobytes.
func (p *postForm) expand() error {
	total := 0
	for i := range p.fields {
		f := &p.fields[i]
		if f.Name == "policy" || !strings.Contains(f.Value, variable) {
			continue
		}
		total += len(f.Value) + strings.Count(f.Value, variable)*len(p.filename)
		if total > maxFormHead {
			return s3err.MaxPostPreDataLengthExceeded.With(errors.New("fields with the name of the file in place of " + variable))
		}
		f.Value = strings.ReplaceAll(f.Value, variable, p.filename)
	}
	return nil
}

// get returns the value of a field.
func (p *postForm) get(name string) (string, bool) {
	for i := range p.fields {
		if p.fields[i].Name == name {
			return p.fields[i].Value, true
		}
	}
	return "", false
}
