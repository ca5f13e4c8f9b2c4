package proxy

import (
	"io"
	"strings"
	"testing"
)

// Whatever the form in which a client sends its metadata, what comes back fits the MAC, of copies too (FORMAT.md 6.1).
func TestMetadataFitsItsMACInEveryForm(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) { set.Buckets[0].Metadata = MetadataFail })
	for _, h := range [][]string{
		{"x-amz-meta-a", "1"}, {"x-amz-meta-b_c", "x", "x-amz-meta-b-c", "y"}, {"content-encoding", "gzip,aws-chunked"},
		{"content-encoding", "aws-chunked"}, {"expires", "never"}, {"x-amz-meta-u", "=?UTF-8?Q?=C3=BC?="}, {"x-amz-meta-empty", ""},
		{"content-type", "text/plain; charset=utf-8"}, {"x-amz-meta-twice", "1,2"}, {"x-amz-meta-UPPER", "x"},
	} {
		header := append([]string{"content-length", "1"}, h...)
		for i := 0; i < len(header); i += 2 {
			header[i] = strings.ToLower(header[i])
		}
		c := f.dial()
		head := f.head("PUT", "/data/key", unsigned, header...)
		io.WriteString(c, strings.Replace(head, "x-amz-meta-twice: 1,2\r\n", "x-amz-meta-twice: 1\r\nX-Amz-Meta-Twice: 2\r\n", 1)+"x")
		if status, doc := answer(t, c); status != 200 {
			t.Errorf("%q: %d %s", h, status, doc)
		}
		f.must("PUT", "/data/copy", nil, "x-amz-copy-source", "/data/key")
		for _, key := range []string{"/data/key", "/data/copy"} {
			for _, method := range []string{"GET", "HEAD"} {
				if resp, doc := f.do(method, key, nil); resp.StatusCode != 200 {
					t.Errorf("%q: %s %s: %d %s", h, method, key, resp.StatusCode, doc)
				}
			}
		}
	}
}
