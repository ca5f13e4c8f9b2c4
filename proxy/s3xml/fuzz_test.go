package s3xml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"s3veil/proxy/s3err"
	"s3veil/proxy/s3op"
)

// outline is a document as a list of "<name", text and ">" by encoding/xml; ok is false where it is not well-formed or has
// what this package refuses.
func outline(b []byte) (out []string, ok bool) {
	dec := xml.NewDecoder(bytes.NewReader(b))
	depth, roots := 0, 0
	text := ""
	for {
		t, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return out, depth == 0 && roots == 1
		}
		if err != nil {
			return nil, false
		}
		switch t := t.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			out, text = append(out, text, "<"+t.Name.Local), ""
			depth++
		case xml.EndElement:
			out, text = append(out, text, ">"), ""
			depth--
		case xml.CharData:
			if depth > 0 {
				text += string(t)
			}
		}
	}
}

// ours is the outline of a parsed document.
func ours(d *doc) []string {
	var out []string
	var walk func(i int32)
	walk = func(i int32) {
		e := d.el[i]
		out = append(out, "<"+d.name(i))
		at := e.inner
		for c := e.child; c >= 0; c = d.el[c].next {
			var t strings.Builder
			plain(&t, d.b[at:d.el[c].start])
			out = append(out, t.String())
			walk(c)
			at = d.el[c].end
		}
		var t strings.Builder
		plain(&t, d.b[at:e.innerEnd])
		out = append(out, t.String(), ">")
	}
	walk(0)
	return append([]string{""}, out...)
}

// FuzzScan compares the scanner with encoding/xml: what both accept has the same elements and text, and what the strict
// scanner accepts is accepted by encoding/xml unless it holds references to characters that XML does not allow.
func FuzzScan(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parse(b, limits{bytes: 1 << 20, elements: 10000, strict: true})
		want, ok := outline(b)
		if err != nil {
			return
		}
		if !ok {
			if !bytes.Contains(b, []byte("&#")) && !bytes.Contains(b, []byte("]]>")) && plainNames(b) {
				t.Fatalf("accepted what encoding/xml refuses: %q", b)
			}
			return
		}
		if got := ours(d); !slices.Equal(got, want) {
			t.Fatalf("%q\n got %q\nwant %q", b, got, want)
		}
	})
}

// plainNames leaves out documents whose names or characters only a full XML parser can judge.
func plainNames(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return !bytes.Contains(b, []byte("<?xml")) && !bytes.Contains(b, []byte(":"))
}

// FuzzList holds the rewriting of listings to THREATS.md section 3: same entries, reserved prefix absent, valid XML.
func FuzzList(f *testing.F) {
	f.Fuzz(func(t *testing.T, page []byte) {
		l, err := ParseList(page)
		if err != nil {
			if !errors.Is(err, ErrSyntax) {
				t.Fatal(err)
			}
			return
		}
		out := l.Append(nil, "bucket")
		again, err := ParseList(out)
		if err != nil {
			t.Fatalf("%q became %q: %v", page, out, err)
		}
		if again.Hidden != 0 || len(again.Entries) != len(l.Entries) || again.Truncated != l.Truncated || again.Next != l.Next {
			t.Fatalf("%q became %q", page, out)
		}
		for i, e := range again.Entries {
			was := l.Entries[i]
			if e.Key != was.Key || e.Kind != was.Kind || e.VersionID != was.VersionID || was.Stored >= 0 && e.Stored != was.Size {
				t.Fatalf("%q became %q", page, out)
			}
			if s3op.Reserved(e.Key) {
				t.Fatalf("reserved key in %q", out)
			}
		}
		if _, ok := outline(page); ok {
			if _, ok := outline(out); !ok {
				t.Fatalf("%q became %q, which is not XML", page, out)
			}
		}
	})
}

// FuzzRequest: parsers of clients' documents answer with S3 errors, keep their limits, and what they accept survives being
// written for the store.
func FuzzRequest(f *testing.F) {
	f.Fuzz(func(t *testing.T, body []byte) {
		parts, err := ParseComplete(body)
		switch {
		case err != nil && s3err.From(err).Status >= 500 && s3err.From(err).Status != 501:
			t.Fatal(err)
		case err == nil:
			again, err := ParseComplete(AppendComplete(nil, parts))
			if err != nil || len(again) != len(parts) {
				t.Fatalf("%q: %v", body, err)
			}
			for i := range parts {
				if again[i].Number != parts[i].Number || again[i].ETag != parts[i].ETag || i > 0 && parts[i].Number <= parts[i-1].Number {
					t.Fatalf("%q: %+v %+v", body, parts[i], again[i])
				}
			}
		}
		entries, quiet, err := ParseDelete(body)
		switch {
		case err != nil && s3err.From(err).Status >= 500:
			t.Fatal(err)
		case err == nil:
			for i := range entries {
				entries[i].Size = ""
			}
			again, q, err := ParseDelete(AppendDelete(nil, entries, quiet))
			if err != nil || q != quiet || !slices.Equal(again, entries) {
				t.Fatalf("%q: %+v %+v %v", body, entries, again, err)
			}
		}
	})
}
