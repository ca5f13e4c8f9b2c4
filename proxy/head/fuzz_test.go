package head

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
)

// FuzzParse holds what is accepted against another reader of HTTP: where both accept a head, they must see the same method and
// the same end of its body, or a request could be hidden in it.
func FuzzParse(f *testing.F) {
	for _, head := range []string{"", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: Chunked\r\nX-A:\t b \r\n",
		"Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: identity\r\n",
		"X-A: 1\n Content-Length: 3\r\n", "Content-Length : 3\r\n", "Content-Length: 05\r\n"} {
		f.Add("PUT /b/k?x=1 HTTP/1.1\r\nHost: h\r\n" + head + "\r\n")
	}
	f.Add("GET http://h/b HTTP/1.0\r\n\r\n")
	f.Fuzz(func(t *testing.T, raw string) {
		h, err := parse(raw)
		if err != nil {
			return
		}
		length, err := h.AnnouncedLength()
		if err != nil {
			return
		}
		for _, field := range h.Fields {
			if field.Name != strings.ToLower(field.Name) || !IsToken(field.Name) || strings.ContainsAny(field.Value, "\n") {
				t.Errorf("field %q: %q", field.Name, field.Value)
			}
		}
		if !strings.HasPrefix(h.Path, "/") {
			t.Errorf("path %q", h.Path)
		}
		other, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
		if err != nil {
			return
		}
		if other.Method != h.Method || other.ContentLength != length || (length < 0) != (len(other.TransferEncoding) > 0) {
			t.Errorf("%s with %d bytes, to the other reader %s with %d, %q", h.Method, length, other.Method, other.ContentLength, other.TransferEncoding)
		}
	})
}
