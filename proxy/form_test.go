package proxy

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"strings"
	"testing"
	"testing/iotest"

	"s3veil/proxy/s3err"
)

const formType = "multipart/form-data; boundary=b"

// readForm reads a form as a small one: fields and the content of the file.
func readForm(body io.Reader) (form *postForm, content []byte, err error) {
	f, err := newFormReader(body, formType)
	if err != nil {
		return nil, nil, err
	}
	if form, err = f.readFields(); err != nil {
		return nil, nil, err
	}
	rest, err := io.ReadAll(io.MultiReader(bytes.NewReader(f.ahead()), f.src))
	if err != nil {
		return nil, nil, err
	}
	end, err := findEnd(rest, f.delim)
	if err != nil {
		return nil, nil, err
	}
	return form, rest[:end], nil
}

// FuzzForm compares with the standard library: what is accepted here reads alike there.
func FuzzForm(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		form, content, err := readForm(bytes.NewReader(body))
		slow, slowly, err2 := readForm(iotest.OneByteReader(bytes.NewReader(body)))
		if (err == nil) != (err2 == nil) || err == nil && (!bytes.Equal(content, slowly) || len(form.fields) != len(slow.fields)) {
			t.Fatalf("byte by byte: %v, %v", err, err2)
		}
		if err != nil {
			var own s3err.Error
			if !errors.As(err, &own) {
				t.Fatalf("error without a code: %v", err)
			}
			return
		}
		r := multipart.NewReader(bytes.NewReader(body), "b")
		for i := 0; ; i++ {
			p, err := r.NextRawPart()
			if err != nil {
				t.Fatalf("part %d: %v", i, err)
			}
			value, err := io.ReadAll(p)
			if err != nil {
				t.Fatal(err)
			}
			if i == len(form.fields) {
				if !strings.EqualFold(p.FormName(), "file") || !bytes.Equal(value, content) {
					t.Fatalf("file %q: %q, not %q", p.FormName(), content, value)
				}
				return
			}
			if have := form.fields[i]; !strings.EqualFold(p.FormName(), have.Name) ||
				have.Value != string(value) && !strings.Contains(string(value), "${filename}") {
				t.Fatalf("field %d: %q, not %q=%q", i, have, p.FormName(), value)
			}
		}
	})
}

// The streamed file ends where the held one does, whatever the sizes of the reads.
func TestStreamedFilesOfForms(t *testing.T) {
	delim := []byte("\r\n--b")
	for what, c := range map[string]struct {
		content, tail string
		ok            bool
	}{
		"plain":                 {"hello", "\r\n--b--\r\n", true},
		"lookalikes":            {"\r\n--\r\n--c\r\n-\r\r\n--", "\r\n--b--\r\n", true},
		"delimiter inside":      {"hello\r\n--b\r\nworld", "\r\n--b--\r\n", false},
		"delimiter at once":     {"--b\r\n", "\r\n--b--\r\n", false},
		"delimiter at the edge": {"hello\r\n--b", "\r\n--b--\r\n", false},
		"not closed":            {"hello", "\r\n--b\r\n\r\n\r\n", false},
		"no line behind":        {"hello", "\r\n--b--", false},
		"bytes behind":          {"hello", "\r\n--b--\r\nx", false},
	} {
		for size := 1; size < 40; size++ {
			for ahead := 0; ahead <= len(c.content); ahead++ {
				all := c.content + c.tail
				f := &formFile{src: strings.NewReader(all[ahead:]), ahead: []byte(all[:ahead]), delim: delim, window: bytes.Clone(crlf), left: int64(len(c.content))}
				got, err := readBy(f, size)
				if (err == nil) != c.ok || c.ok && got != c.content {
					t.Fatalf("%s, by %d behind %d: %q, %v", what, size, ahead, got, err)
				}
				if err != nil && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
					t.Fatalf("%s: %v means the end of plaintext", what, err)
				}
			}
		}
	}
}

func readBy(r io.Reader, size int) (string, error) {
	var out []byte
	for buf := make([]byte, size); ; {
		n, err := r.Read(buf)
		out = append(out, buf[:n]...)
		if err == io.EOF {
			return string(out), nil
		}
		if err != nil {
			return string(out), err
		}
	}
}

func TestFormHeadsAreBounded(t *testing.T) {
	for what, body := range map[string]string{
		"a field":  "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n",
		"a header": "--b\r\nContent-Disposition: form-data; name=\"a\"; x=\"",
		"a line":   "--b",
	} {
		src := &counted{r: io.MultiReader(strings.NewReader(body), endless(' '))}
		_, _, err := readForm(src)
		if !errors.Is(err, s3err.MaxPostPreDataLengthExceeded) || src.n > maxFormHead {
			t.Errorf("%s: %v after %d bytes", what, err, src.n)
		}
	}
}

// The name of the file, which replaces ${filename}, does not make a form longer than it may be.
func TestNamesOfFilesDoNotBlowFormsUp(t *testing.T) {
	form := func(variables, name int) string {
		return "--b\r\nContent-Disposition: form-data; name=\"x-ignore-a\"\r\n\r\n" + strings.Repeat("${filename}", variables) +
			"\r\n--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n" + strings.Repeat("${filename}", variables) +
			"\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + strings.Repeat("n", name) + "\"\r\n\r\nx\r\n--b--\r\n"
	}
	for _, c := range []struct {
		variables, name int
		ok              bool
	}{{1, 1000, true}, {2, 30_000, false}, {1, 32_000, true}, {1, 33_000, false}, {1000, 20_000, false}, {2500, 0, true}} {
		got, _, err := readForm(strings.NewReader(form(c.variables, c.name)))
		if c.ok != (err == nil) || !c.ok && !errors.Is(err, s3err.MaxPostPreDataLengthExceeded) {
			t.Errorf("%d times a name of %d bytes: %v", c.variables, c.name, err)
		}
		if err == nil && len(got.fields[1].Value) != c.variables*c.name {
			t.Errorf("%d times a name of %d bytes: %d bytes", c.variables, c.name, len(got.fields[1].Value))
		}
	}
}

type endless byte

func (e endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(e)
	}
	return len(b), nil
}

type counted struct {
	r io.Reader
	n int
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += n
	return n, err
}
