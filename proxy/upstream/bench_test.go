package upstream

import (
	"bytes"
	"io"
	"net"
	"strconv"
	"testing"

	"bufio"
)

// quietStore answers every request with the same bytes, without parsing more than it must: what is measured is the client.
func quietStore(b *testing.B, answer []byte) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				br := bufio.NewReaderSize(c, 64<<10)
				for {
					length := 0
					for {
						line, err := br.ReadSlice('\n')
						if err != nil {
							return
						}
						if len(line) == 2 {
							break
						}
						if rest, ok := bytes.CutPrefix(line, []byte("content-length: ")); ok {
							length, _ = strconv.Atoi(string(bytes.TrimSpace(rest)))
						}
					}
					if _, err := br.Discard(length); err != nil {
						return
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func benchClient(b *testing.B, url string) *Client {
	c, err := New(Options{Endpoint: url, PathStyle: true, Payload: Trailer, Credentials: static{AccessKey: "AK", Secret: "secret"}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	return c
}

const benchHeader = "HTTP/1.1 200 OK\r\nETag: \"0123456789abcdef0123456789abcdef\"\r\nx-amz-request-id: 0123456789\r\n" +
	"Date: Sat, 21 Nov 2026 06:15:38 GMT\r\nContent-Type: binary/octet-stream\r\nLast-Modified: Sat, 21 Nov 2026 06:15:38 GMT\r\n"

func BenchmarkPut4KiB(b *testing.B) {
	c := benchClient(b, quietStore(b, []byte(benchHeader+"Content-Length: 0\r\n\r\n")))
	r := put(Bytes(make([]byte, 4096)))
	r.Header = []Field{{Name: "content-type", Value: "text/plain"}, {Name: "x-amz-meta-s3veil", Value: "0123456789012345678901234567890123456789"}}
	b.ReportAllocs()
	for b.Loop() {
		resp, err := c.Do(b.Context(), r)
		if err != nil {
			b.Fatal(err)
		}
		_ = resp.Body.Close()
	}
}

func BenchmarkGet4KiB(b *testing.B) {
	c := benchClient(b, quietStore(b, []byte(benchHeader+"Content-Length: 4096\r\n\r\n"+string(make([]byte, 4096)))))
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		resp, err := c.Do(b.Context(), get())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, buf); err != nil {
			b.Fatal(err)
		}
		_ = resp.Body.Close()
	}
}

func BenchmarkPut64MiB(b *testing.B) {
	c := benchClient(b, quietStore(b, []byte(benchHeader+"Content-Length: 0\r\n\r\n")))
	b.SetBytes(64 << 20)
	b.ReportAllocs()
	for b.Loop() {
		resp, err := c.Do(b.Context(), put(&stream{n: 64 << 20, piece: 1 << 20}))
		if err != nil {
			b.Fatal(err)
		}
		_ = resp.Body.Close()
	}
}
