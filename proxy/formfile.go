package proxy

import (
	"bytes"
	"context"
	"errors"
	"io"

	"s3veil/proxy/s3err"
	"s3veil/sigv4"
)

// The length of a form's file is known only at its end, that of an upload before its beginning. A body of at most
// held_body is held; beyond, the file is taken to fill the body but for the closing delimiter, as every client sends it
// whose form ends with the file. Whether that was so shows at the end, before anything is committed.

// formFile is the content of a file that is streamed.
type formFile struct {
	src    io.Reader
	ahead  []byte // read with the fields
	delim  []byte
	window []byte // the end of what has been handed out, in case the delimiter began there; at first the line break before
	left   int64
	err    error
}

var errFileNotLast = s3err.MalformedPOSTRequest.Say("The body of your POST request is not well-formed multipart/form-data. " +
	"In large forms the file must be the last field, followed by the closing boundary and a line break.")

// closing is what stands behind the file.
func closing(delim []byte) []byte { return append(bytes.Clone(delim), "--\r\n"...) }

// Read returns content. At its end, io.EOF means that the form was closed as expected.
func (f *formFile) Read(b []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	if f.left == 0 {
		f.err = f.end()
		return 0, f.err
	}
	if int64(len(b)) > f.left {
		b = b[:f.left]
	}
	n, err := f.take(b)
	f.left -= int64(n)
	if f.delimited(b[:n]) {
		f.err = errFileNotLast.With(errors.New("delimiter inside the file of a large form"))
		return 0, f.err
	}
	if err != nil {
		f.err = err
		if err == io.EOF {
			f.err = errShortBody
		}
	}
	if n > 0 {
		return n, nil
	}
	return 0, f.err
}

func (f *formFile) take(b []byte) (int, error) {
	if len(f.ahead) > 0 {
		n := copy(b, f.ahead)
		f.ahead = f.ahead[n:]
		return n, nil
	}
	return f.src.Read(b)
}

// delimited reports whether the delimiter ends in b.
func (f *formFile) delimited(b []byte) bool {
	keep := len(f.delim) - 1
	head := b[:min(keep, len(b))]
	f.window = append(f.window, head...)
	if bytes.Contains(f.window, f.delim) || bytes.Contains(b, f.delim) {
		return true
	}
	if len(b) > keep {
		f.window = append(f.window[:0], b[len(b)-keep:]...)
	} else if over := len(f.window) - keep; over > 0 {
		f.window = append(f.window[:0], f.window[over:]...)
	}
	return false
}

// end reads the closing delimiter and the end of the body.
func (f *formFile) end() error {
	want := closing(f.delim)
	have := make([]byte, len(want)+1)
	for n := 0; ; {
		m, err := f.take(have[n:])
		n += m
		switch {
		case err == io.EOF && bytes.Equal(have[:n], want):
			return io.EOF
		case err != nil && err != io.EOF:
			return err
		case err == io.EOF, n == len(have):
			return errFileNotLast.With(errors.New("the form does not end behind its file"))
		}
	}
}

// heldFile is the content of a file that is in memory already.
type heldFile struct {
	*sigv4.Payload
	plain []byte // with room behind it for the sealed form
}

// hold verifies the content.
func (h *heldFile) hold() ([]byte, error) {
	if _, err := io.Copy(io.Discard, h.Payload); err != nil {
		return nil, err
	}
	return h.plain, h.Verify()
}

// holdFile reads the rest of a small form and returns the content of its file. Fields behind the file are ignored, as on
// S3: the submit button of a page may be one.
func (x *exchange) holdFile(f *formReader, body *requestBody) (content []byte, release func(), err error) {
	size := x.s.limits.HeldBody
	if body.length >= 0 {
		size = body.length - f.read + int64(len(f.ahead()))
	}
	if int64(len(f.ahead())) > size {
		return nil, nil, s3err.MissingContentLength.With(errChunkedForm)
	}
	buf, release, err := x.s.memory.Held(context.Background(), max(size, 1))
	if err != nil {
		return nil, nil, err
	}
	end := 0
	n, err := readUpTo(body, buf[:size], copy(buf, f.ahead()))
	if err == nil {
		end, err = findEnd(buf[:n], f.delim)
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return buf[:end], release, nil
}

var errChunkedForm = errors.New("large form without Content-Length")

// readUpTo reads the body to its end; n bytes of buf are there already.
func readUpTo(body *requestBody, buf []byte, n int) (int, error) {
	var one [1]byte
	for {
		room := buf[n:]
		if len(room) == 0 {
			room = one[:]
		}
		m, err := body.Read(room)
		switch {
		case m > 0 && n == len(buf):
			return n, s3err.MissingContentLength.With(errChunkedForm)
		case err == io.EOF:
			return n + m, nil
		case err != nil:
			return n, s3err.IncompleteBody.With(err)
		}
		n += m
	}
}

// findEnd returns where the content of the file ends in the rest of a form, whose other parts it checks.
func findEnd(rest, delim []byte) (int, error) {
	f := &formReader{delim: delim, buf: rest}
	content, err := f.content()
	if err != nil {
		return 0, err
	}
	for {
		p, ok, err := f.next()
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		if p.name == "file" {
			return 0, s3err.IncorrectNumberOfFilesInPostRequest.With(errors.New("the form has a second file"))
		}
		if _, err := f.content(); err != nil {
			return 0, err
		}
	}
	return len(content), nil // what follows is RFC 2046's epilogue
}
