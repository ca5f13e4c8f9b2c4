package attack

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/suite"
)

// mode is one way of sending a body, with all that goes on the wire after the head.
type mode struct {
	name    string
	payload string
	header  map[string]string
	wire    []byte
}

// modes are all payload modes for one body. Signed chunks carry a wrong signature: a client that dies never gets that far.
func modes(body []byte) []mode {
	n := fmt.Sprint(len(body))
	trailer := fmt.Sprintf("%x\r\n%s\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", len(body), body)
	signed := fmt.Sprintf("%x;chunk-signature=%064d\r\n%s\r\n0;chunk-signature=%064d\r\n\r\n", len(body), 0, body, 0)
	aws := func(more map[string]string) map[string]string {
		h := map[string]string{"Content-Encoding": "aws-chunked", "X-Amz-Decoded-Content-Length": n}
		for k, v := range more {
			h[k] = v
		}
		return h
	}
	sum := map[string]string{"X-Amz-Trailer": "x-amz-checksum-crc32"}
	return []mode{
		{"hash", hexSum(body), nil, body},
		{"unsigned", "UNSIGNED-PAYLOAD", nil, body},
		{"signed chunks", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", aws(nil), []byte(signed)},
		{"signed chunks and trailer", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", aws(sum), []byte(signed)},
		{"unsigned chunks and trailer", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", aws(sum), []byte(trailer)},
	}
}

// Row 21. A client that dies after k bytes, in every payload mode, framing and manner of dying, leaves nothing visible.
func TestDyingClientsLeaveNothing(t *testing.T) {
	s := NewScene(t, nil)
	deaths := map[string]func(*Wire){
		"FIN":        func(w *Wire) { w.Close() },
		"half-close": func(w *Wire) { w.Conn.(*net.TCPConn).CloseWrite(); w.Answer(); w.Close() },
		"RST":        func(w *Wire) { w.Conn.(*net.TCPConn).SetLinger(0); w.Close() },
	}
	i := 0
	for _, size := range []int{50_000, 3 << 20} {
		for _, m := range modes(suite.Data(size, 1)) {
			for _, framing := range []string{"length", "chunked"} {
				if framing == "chunked" && (m.name == "hash" || m.name == "unsigned") {
					continue // without a decoded length that is refused: see below
				}
				for death, die := range deaths {
					for _, cut := range []int{0, 1, len(m.wire) / 2, len(m.wire) - 20, len(m.wire) - 1} {
						i++
						key := fmt.Sprintf("k%d", i)
						wire, end := m.wire, cut
						head := s.Head("PUT", "/"+s.Bucket+"/"+key, m.payload, m.header)
						if framing == "chunked" {
							head += "Transfer-Encoding: chunked\r\n"
							wire = chunked(m.wire, 100_000)
							end = min(cut, len(wire)-6) // never the last chunk
						} else {
							head += fmt.Sprintf("Content-Length: %d\r\n", len(wire))
						}
						w := s.Dial()
						w.Write([]byte(head + "\r\n"))
						w.Write(wire[:end])
						die(w)
						_ = death
					}
				}
			}
		}
	}
	s.quiet()
	s.nothingVisible(fmt.Sprintf("%d dead clients", i))
}

// Row 19, 21. Chunk framing that lies: wrong signatures, wrong trailer, a last chunk that is missing, more or less than was
// announced. The answer is an error, never 200.
func TestLyingChunksAreRefused(t *testing.T) {
	s := NewScene(t, nil)
	body := suite.Data(100_000, 1)
	n := fmt.Sprint(len(body))
	trailing := func(decoded, wire string) mode {
		return mode{payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER", wire: []byte(wire), header: map[string]string{
			"Content-Encoding": "aws-chunked", "X-Amz-Decoded-Content-Length": decoded, "X-Amz-Trailer": "x-amz-checksum-crc32"}}
	}
	chunk := fmt.Sprintf("%x\r\n%s\r\n", len(body), body)
	all := modes(body)
	for what, m := range map[string]mode{
		"wrong chunk signatures":          all[2],
		"wrong chunk and trailer":         all[3],
		"wrong trailer":                   all[4],
		"no trailer":                      trailing(n, chunk+"0\r\n\r\n"),
		"other trailer":                   trailing(n, chunk+"0\r\nx-amz-checksum-crc32c:AAAAAA==\r\n\r\n"),
		"no last chunk":                   trailing(n, chunk),
		"fewer bytes than announced":      trailing("100001", chunk+"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"),
		"more bytes than announced":       trailing("99999", chunk+"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"),
		"chunk size beyond the body":      trailing(n, "fffffff\r\n"+string(body)),
		"negative chunk size":             trailing(n, "-1\r\n"+string(body)),
		"chunk size with sign":            trailing(n, "+186a0\r\n"+string(body)+"\r\n0\r\n\r\n"),
		"endless chunk header":            trailing(n, strings.Repeat("0", 20_000)),
		"bytes behind the trailer":        trailing(n, chunk+"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\nmore"),
		"announced hash of something":     {payload: hexSum([]byte("else")), wire: body},
		"unknown payload word":            {payload: "STREAMING-AWS4-ECDSA-P999-SHA256-PAYLOAD", wire: body},
		"hash in upper case and too long": {payload: strings.ToUpper(hexSum(body)) + "00", wire: body},
	} {
		w := s.Dial()
		head := s.Head("PUT", "/"+s.Bucket+"/lie", m.payload, m.header) + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(m.wire))
		w.Write(append([]byte(head), m.wire...))
		w.Conn.(*net.TCPConn).CloseWrite()
		status, text := w.Answer()
		if status/100 == 2 || status/100 == 5 && status != 501 {
			t.Errorf("%s: %d %.200s", what, status, text)
		}
		w.Close()
	}
	s.quiet()
	s.nothingVisible("lies")
}

// Row 21. Requests whose framing two servers could read differently are refused, and the connection is closed: nothing
// that follows on it is taken for a request.
func TestSmugglingIsRefused(t *testing.T) {
	s := NewScene(t, nil)
	smuggled := fmt.Sprintf("GET /smuggled HTTP/1.1\r\nHost: %s\r\n\r\n", s.host())
	put := func() string { return s.Head("PUT", "/"+s.Bucket+"/k", "UNSIGNED-PAYLOAD", nil) }
	for what, request := range map[string]string{
		"length and chunked":        put() + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"chunked and length":        put() + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + smuggled,
		"two lengths":               put() + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + smuggled,
		"length with plus":          put() + "Content-Length: +5\r\n\r\nhello" + smuggled,
		"length in hex":             put() + "Content-Length: 0x5\r\n\r\nhello" + smuggled,
		"other transfer encoding":   put() + "Transfer-Encoding: gzip\r\n\r\nhello" + smuggled,
		"two transfer encodings":    put() + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + smuggled,
		"space before colon":        put() + "Content-Length : 5\r\n\r\nhello" + smuggled,
		"chunked with space":        put() + "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + smuggled,
		"folded header":             put() + "X-Fold: a\r\n b\r\nContent-Length: 5\r\n\r\nhello" + smuggled,
		"chunk size that overflows": put() + "Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n" + smuggled,
		"refused with a body": fmt.Sprintf("PUT /%s/k HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", s.Bucket, s.host(), 8192+len(smuggled)) +
			strings.Repeat("x", 8192) + smuggled,
	} {
		w := s.Dial()
		w.Write([]byte(request))
		w.Conn.(*net.TCPConn).CloseWrite()
		status, text := w.Answer()
		if status/100 == 2 {
			t.Errorf("%s: %d", what, status)
		}
		if rest, _ := w.Closed(); strings.Contains(string(rest), "HTTP/1.1") {
			t.Errorf("%s: a second answer follows %d %.100s: %.200s", what, status, text, rest)
		}
		w.Close()
	}
	s.quiet()
	s.nothingVisible("smuggled requests")
}

// Row 21. Header floods and oversized heads end in an answer or a closed connection, and others go on being served.
func TestFloodsAreBounded(t *testing.T) {
	s := NewScene(t, nil)
	for what, request := range map[string]string{
		"one long header": s.Head("GET", "/"+s.Bucket, "UNSIGNED-PAYLOAD", nil) + "X-Long: " + strings.Repeat("a", 1<<20) + "\r\n\r\n",
		"many headers":    s.Head("GET", "/"+s.Bucket, "UNSIGNED-PAYLOAD", nil) + strings.Repeat("X-Many: a\r\n", 20_000) + "\r\n",
		"long target":     "GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		w := s.Dial()
		w.Write([]byte(request))
		if status, _ := w.Answer(); status/100 == 2 {
			t.Errorf("%s: %d", what, status)
		}
		w.Close()
	}
	s.Put("k", []byte("still here"))
}

// Expect: 100-continue is answered after authentication: a refused upload sends no body.
func TestRefusedUploadSendsNoBody(t *testing.T) {
	s := NewScene(t, nil)
	w := s.Dial()
	defer w.Close()
	fmt.Fprintf(w, "PUT /%s/k HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n", s.Bucket, s.host())
	if status, _ := w.Answer(); status != 403 {
		t.Errorf("unsigned: %d, want 403", status)
	}
	w2 := s.Dial()
	defer w2.Close()
	fmt.Fprint(w2, s.Head("PUT", "/"+s.Bucket+"/k", "UNSIGNED-PAYLOAD", nil)+"Content-Length: 5\r\nexpect: 100-Continue\r\n\r\n")
	if status, _ := w2.Answer(); status != 100 {
		t.Fatalf("signed: %d, want 100", status)
	}
	fmt.Fprint(w2, "hello")
	if status, text := w2.Answer(); status != 200 {
		t.Errorf("after the body: %d %s", status, text)
	}
}

// quiet waits until s3veil has no request in flight.
func (s *Scene) quiet() {
	s.Helper()
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if v := s.Metric("s3veil_in_flight"); v == "0" {
			return
		}
	}
	s.Errorf("requests are still in flight: %s", s.Metric("s3veil_in_flight"))
}

// nothingVisible checks that the bucket is empty at the store, and that no upload is open.
func (s *Scene) nothingVisible(what string) {
	s.Helper()
	out, err := s.Store.ListObjectsV2(s.Ctx, &s3.ListObjectsV2Input{Bucket: &s.Bucket})
	if err != nil {
		s.Fatal(err)
	}
	for _, o := range out.Contents {
		s.Errorf("%s: %s is visible with %d bytes", what, *o.Key, *o.Size)
	}
}
