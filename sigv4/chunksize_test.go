package sigv4

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// Only the last chunk may be smaller than 8 KiB, in every mode; the error names what S3 names.
func TestOnlyTheLastChunkMayBeSmall(t *testing.T) {
	for name, mode := range allModes {
		if !mode.Chunked() {
			continue
		}
		for _, c := range []struct {
			size, chunk int
			number, bad string // of the refusal, empty where the body is good
		}{
			{0, 1, "", ""}, {5, 5, "", ""}, {8191, 8191, "", ""}, {8192, 8192, "", ""}, {8193, 8192, "", ""}, {30_000, 8192, "", ""}, {30_000, 1 << 20, "", ""},
			{5, 3, "2", "3"}, {8192, 8191, "2", "8191"}, {30_000, 8191, "2", "8191"}, {2000, 1000, "2", "1000"},
		} {
			for _, buf := range []int{1, 700, 1 << 20} {
				data := testData(c.size)
				enc := encodeBody(t, mode, data, c.chunk)
				got, _, err := readChunks(newSplitReader(enc.wire, uint64(c.size)), enc.opts, buf, minChunk)
				if c.number == "" {
					if err != nil || !bytes.Equal(got, data) {
						t.Errorf("%s: %d bytes in chunks of %d: %d read, %v", name, c.size, c.chunk, len(got), err)
					}
					continue
				}
				wantChunkSize(t, err, c.number, c.bad)
				if len(got) > c.chunk {
					t.Errorf("%s: %d bytes of a refused body were handed out", name, len(got))
				}
			}
		}
	}
}

// A small chunk between large ones shows at the chunk behind it, and so does one behind which nothing more was announced.
func TestSmallChunksAmongLargeOnes(t *testing.T) {
	for _, c := range []struct {
		sizes       []int
		number, bad string
	}{
		{[]int{8192, 8192, 100}, "", ""}, {[]int{10_000, 9500, 20}, "", ""}, {[]int{100}, "", ""},
		{[]int{100, 8192, 100}, "2", "100"}, {[]int{8192, 10, 100}, "3", "10"}, {[]int{8192, 8192, 10, 20_000, 1}, "4", "10"},
	} {
		var wire bytes.Buffer
		total := 0
		for _, n := range c.sizes {
			fmt.Fprintf(&wire, "%x\r\n%s\r\n", n, strings.Repeat("a", n))
			total += n
		}
		wire.WriteString("0\r\n\r\n")
		o := PayloadOptions{Verified: &Verified{Payload: PayloadUnsignedChunksTrailer}, ContentLength: -1, DecodedLength: int64(total)}
		_, _, err := readChunks(bytes.NewReader(wire.Bytes()), o, 100_000, minChunk)
		if c.number != "" {
			wantChunkSize(t, err, c.number, c.bad)
		} else if err != nil {
			t.Errorf("%v: %v", c.sizes, err)
		}
	}
	o := PayloadOptions{Verified: &Verified{Payload: PayloadUnsignedChunksTrailer}, ContentLength: -1, DecodedLength: 5}
	_, _, err := readChunks(strings.NewReader("5\r\nhello\r\n1\r\n\r\n"), o, 100, minChunk)
	wantChunkSize(t, err, "2", "5")
}

func wantChunkSize(t *testing.T, err error, number, bad string) {
	t.Helper()
	wantCode(t, err, "InvalidChunkSizeError")
	var e *Error
	errors.As(err, &e)
	if want := fmt.Sprint([]Field{{"Chunk", number}, {"BadChunkSize", bad}}); fmt.Sprint(e.Fields) != want {
		t.Errorf("%v, want %s", e.Fields, want)
	}
}

// A chunk that holds more than announced is no chunk at all if it does not end where it says. Nothing of it is handed out.
func TestChunksBeyondTheAnnouncedLength(t *testing.T) {
	const cut, more = "The request body terminated unexpectedly", ""
	for what, c := range map[string]struct {
		wire    string
		decoded int64
		message string
	}{
		"too large a size":   {"B\r\ndummy data\r\n0\r\n\r\n", 10, cut},
		"too much":           {"b\r\nabcdefghijk\r\n0\r\n\r\n", 5, more},
		"nothing announced":  {"b\r\nabcdefghijk\r\n0\r\n\r\n", 0, more},
		"cut in the excess":  {"b\r\nabcdefgh", 5, "*"},
		"cut behind it":      {"b\r\nabcdefghijk", 5, "*"},
		"no end for so much": {"ffffff\r\nabc\r\n", 2, more},
		"overflow":           {"7fffffffffffffff\r\nabc\r\n", 2, more},
	} {
		for _, buf := range []int{1, 3, 1000} {
			o := PayloadOptions{Verified: &Verified{Payload: PayloadUnsignedChunksTrailer}, ContentLength: -1, DecodedLength: c.decoded}
			got, _, err := readChunks(strings.NewReader(c.wire), o, buf, minChunk)
			wantCode(t, err, "IncompleteBody")
			var e *Error
			if errors.As(err, &e); c.message != "*" && e.Message != c.message {
				t.Errorf("%s: %q (%s)", what, e.Message, e.Reason)
			}
			if len(got) > 0 {
				t.Errorf("%s: %q was handed out", what, got)
			}
		}
	}
}

// What stands where the trailer's signature belongs makes the body incomplete; a trailer that is not the announced one is malformed.
func TestDamagedSignedTrailers(t *testing.T) {
	const field = "x-amz-checksum-crc32c:mnG7TA==" // of "hello"
	for what, c := range map[string]struct {
		announced []string
		damage    func(field, signature string) string
		code      string
	}{
		"whole":                   {[]string{"x-amz-checksum-crc32c"}, func(f, s string) string { return f + "\r\n" + s + "\r\n\r\n" }, ""},
		"another name":            {[]string{"x-amz-checksum-crc32c"}, func(f, s string) string { return f + "\r\n" + strings.Replace(s, "trailer", "trial", 1) + "\r\n\r\n" }, "IncompleteBody"},
		"no colon":                {[]string{"x-amz-checksum-crc32c"}, func(f, s string) string { return f + "\r\n" + strings.Replace(s, ":", "", 1) + "\r\n\r\n" }, "IncompleteBody"},
		"longer":                  {[]string{"x-amz-checksum-crc32c"}, func(f, s string) string { return f + "\r\n" + s + "0\r\n\r\n" }, "IncompleteBody"},
		"shorter":                 {[]string{"x-amz-checksum-crc32c"}, func(f, s string) string { return f + "\r\n" + s[:len(s)-1] + "\r\n\r\n" }, "IncompleteBody"},
		"another signature":       {[]string{"x-amz-checksum-crc32c"}, func(f, s string) string { return f + "\r\n" + s[:len(s)-1] + "x\r\n\r\n" }, "SignatureDoesNotMatch"},
		"none":                    {[]string{"x-amz-checksum-crc32c"}, func(f, s string) string { return f + "\r\n\r\n" }, "IncompleteBody"},
		"no end":                  {[]string{"x-amz-checksum-crc32c"}, func(f, s string) string { return f + "\r\n" + s + "pp" }, "IncompleteBody"},
		"another field":           {[]string{"x-amz-checksum-crc32c"}, func(f, s string) string { return "x-amz-invalid:invalid\r\n" + s + "\r\n\r\n" }, "MalformedTrailerError"},
		"no field":                {[]string{"x-amz-checksum-crc32c"}, func(f, s string) string { return "\r\n" + s + "\r\n\r\n" }, "MalformedTrailerError"},
		"nothing at all":          {[]string{"x-amz-checksum-crc32c"}, func(f, s string) string { return "\r\n" }, "MalformedTrailerError"},
		"not announced":           {nil, func(f, s string) string { return f + "\r\n" + s + "\r\n\r\n" }, "MalformedTrailerError"},
		"not announced, none":     {nil, func(f, s string) string { return "\r\n" }, "IncompleteBody"},
		"not announced, signed":   {nil, func(f, s string) string { return s + "\r\n\r\n" }, "MalformedTrailerError"},
		"not announced, a sum":    {nil, func(f, s string) string { return f + "\r\n\r\n" }, "MalformedTrailerError"},
		"behind the signature":    {[]string{"x-amz-checksum-crc32c"}, func(f, s string) string { return f + "\r\n" + s + "\r\n" + f + "\r\n\r\n" }, "MalformedTrailerError"},
		"a second of the same":    {[]string{"x-amz-checksum-crc32c"}, func(f, s string) string { return f + "\r\n" + f + "\r\n" + s + "\r\n\r\n" }, "IncompleteBody"},
		"signature before fields": {[]string{"x-amz-checksum-crc32c"}, func(f, s string) string { return s + "\r\n" + f + "\r\n\r\n" }, "SignatureDoesNotMatch"},
	} {
		enc := encodeBody(t, PayloadSignedChunksTrailer, []byte("hello"), 5)
		at := bytes.Index(enc.wire, []byte(field))
		signature, _, _ := strings.Cut(string(enc.wire[at+len(field)+2:]), "\r\n")
		wire := string(enc.wire[:at]) + c.damage(field, signature)
		o := enc.opts
		o.ContentLength, o.Trailer = int64(len(wire)), c.announced
		_, _, err := readChunks(strings.NewReader(wire), o, 100, minChunk)
		if c.code == "" {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) || e.Code != c.code {
			t.Errorf("%s: %v, want %s", what, err, c.code)
		}
	}
}
