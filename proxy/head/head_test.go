package head

import (
	"bufio"
	"errors"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"s3veil/sigv4"
)

// parse has the engine read a head, as it does in service, and then reads it again.
func parse(raw string) (Head, error) {
	var h fasthttp.RequestHeader
	if err := h.Read(bufio.NewReader(strings.NewReader(raw))); err != nil {
		return Head{}, err
	}
	return Parse(&h)
}

func TestHeadKeepsOrderCaseAndDuplicates(t *testing.T) {
	h, err := parse("PUT /b/a//b/../%2F?x=1&y HTTP/1.1\r\nHost: s3.example\r\nX-Amz-Meta-B: 2\r\nrange:bytes=0-1\r\nx-amz-meta-b:  one \r\nContent-Length: 0\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if h.Method != "PUT" || h.Path != "/b/a//b/../%2F" || h.Query != "x=1&y" || h.Host != "s3.example" {
		t.Errorf("got %+v", h)
	}
	if got := h.Joined("x-amz-meta-b"); got != "2,one" {
		t.Errorf("joined = %q", got)
	}
	if got := h.Get("range"); got != "bytes=0-1" {
		t.Errorf("range = %q", got)
	}
	if h.Fields[0] != (sigv4.Field{Name: "host", Value: "s3.example"}) || h.Fields[1].Name != "x-amz-meta-b" {
		t.Errorf("order lost: %v", h.Fields)
	}
}

func TestHeadRefusesAmbiguousFraming(t *testing.T) {
	for name, raw := range map[string]string{
		"length and chunked":   "PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		"chunked twice":        "PUT /b/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		"space before colon":   "PUT /b/k HTTP/1.1\r\nHost: h\r\nX-Foo : 1\r\n\r\n",
		"other coding":         "PUT /b/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
		"none that is one":     "PUT /b/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n", // the engine lets it pass
		"target of other kind": "GET b/k HTTP/1.1\r\nHost: h\r\n\r\n",
	} {
		if _, err := parse(raw); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	_, err := parse("PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n")
	if !errors.Is(err, errDualFraming) {
		t.Errorf("dual framing: %v", err)
	}
}

func TestHeadAbsoluteForm(t *testing.T) {
	h, err := parse("GET http://s3.example:9000/b//k?x HTTP/1.1\r\nHost: other\r\n\r\n")
	if err != nil || h.Host != "s3.example:9000" || h.Path != "/b//k" || h.Query != "x" {
		t.Errorf("%+v, %v", h, err)
	}
	if _, err := parse("GET http://user@s3.example/b HTTP/1.1\r\nHost: s3.example\r\n\r\n"); err == nil {
		t.Error("user info accepted")
	}
}

func TestHeadRefusesOtherVersionsOfHTTP(t *testing.T) {
	for version, good := range map[string]bool{"HTTP/1.1": true, "HTTP/1.0": true, "HTTP/1.2": false, "HTTP/2.0": false, "HTTP/0.9": false, "ICY/1.1": false} {
		h, err := parse("GET /b/k " + version + "\r\nHost: h\r\n\r\n")
		if (err == nil) != good || good && h.Old != (version == "HTTP/1.0") {
			t.Errorf("%s: %v, old %v", version, err, h.Old)
		}
	}
}

// The request line and the lines of proxies do not count.
func TestHeadMeasuresItsSection(t *testing.T) {
	for more, want := range map[string]int{"": 0, "X-A:  1\r\n": 9, "Via: x\r\nForwarded: x\r\nX-Forwarded-For: x\r\nProxy-Authorization: x\r\n": 0} {
		if h, err := parse("GET /b/k?a=b HTTP/1.1\r\nHost: h\r\n" + more + "\r\n"); err != nil || h.Section != len("Host: h\r\n")+want {
			t.Errorf("%q: %d, %v", more, h.Section, err)
		}
	}
}

func TestAnnouncedLength(t *testing.T) {
	for line, want := range map[string]int64{"": 0, "Content-Length: 0\r\n": 0, "Content-Length: 17\r\n": 17, "Transfer-Encoding: Chunked\r\n": -1} {
		h, err := parse("PUT /b/k HTTP/1.1\r\nHost: h\r\n" + line + "\r\n")
		if n, lengthErr := h.AnnouncedLength(); err != nil || lengthErr != nil || n != want {
			t.Errorf("%q: %d, %v, %v", line, n, err, lengthErr)
		}
	}
	for _, bad := range []string{"-1", "+", "1x", "99999999999999999999"} {
		if n, err := (&Head{Fields: []sigv4.Field{{Name: "content-length", Value: bad}}}).AnnouncedLength(); err == nil {
			t.Errorf("%q is %d", bad, n)
		}
	}
}
