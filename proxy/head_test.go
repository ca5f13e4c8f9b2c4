package proxy

import (
	"bufio"
	"errors"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"s3veil/sigv4"
)

func parseRaw(t *testing.T, raw string) (head, error) {
	t.Helper()
	var h fasthttp.RequestHeader
	if err := h.Read(bufio.NewReader(strings.NewReader(raw))); err != nil {
		return head{}, err
	}
	return parseHead(&h)
}

func TestHeadKeepsOrderCaseAndDuplicates(t *testing.T) {
	h, err := parseRaw(t, "PUT /b/a//b/../%2F?x=1&y HTTP/1.1\r\nHost: s3.example\r\nX-Amz-Meta-B: 2\r\nrange:bytes=0-1\r\nx-amz-meta-b:  one \r\nContent-Length: 0\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if h.method != "PUT" || h.path != "/b/a//b/../%2F" || h.query != "x=1&y" || h.host != "s3.example" {
		t.Errorf("got %+v", h)
	}
	if got := h.joined("x-amz-meta-b"); got != "2,one" {
		t.Errorf("joined = %q", got)
	}
	if got := h.get("range"); got != "bytes=0-1" {
		t.Errorf("range = %q", got)
	}
	if h.fields[0] != (sigv4.Field{Name: "host", Value: "s3.example"}) || h.fields[1].Name != "x-amz-meta-b" {
		t.Errorf("order lost: %v", h.fields)
	}
}

func TestHeadRefusesAmbiguousFraming(t *testing.T) {
	for name, raw := range map[string]string{
		"length and chunked":   "PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		"chunked twice":        "PUT /b/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		"space before colon":   "PUT /b/k HTTP/1.1\r\nHost: h\r\nX-Foo : 1\r\n\r\n",
		"other coding":         "PUT /b/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
		"target of other kind": "GET b/k HTTP/1.1\r\nHost: h\r\n\r\n",
	} {
		if _, err := parseRaw(t, raw); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	_, err := parseRaw(t, "PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")
	if !errors.Is(err, errDualFraming) {
		t.Errorf("dual framing: %v", err)
	}
}

func TestHeadAbsoluteForm(t *testing.T) {
	h, err := parseRaw(t, "GET http://s3.example:9000/b//k?x HTTP/1.1\r\nHost: other\r\n\r\n")
	if err != nil || h.host != "s3.example:9000" || h.path != "/b//k" || h.query != "x" {
		t.Errorf("%+v, %v", h, err)
	}
	if _, err := parseRaw(t, "GET http://user@s3.example/b HTTP/1.1\r\nHost: s3.example\r\n\r\n"); err == nil {
		t.Error("user info accepted")
	}
}
