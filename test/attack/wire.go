package attack

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"s3veil/test/servers"
)

// Wire is a raw connection to s3veil.
type Wire struct {
	net.Conn
	r *bufio.Reader
}

// Dial opens a raw connection.
func (s *Scene) Dial() *Wire {
	s.Helper()
	conn, err := net.Dial("tcp", s.host())
	if err != nil {
		s.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		s.Fatal(err)
	}
	return &Wire{Conn: conn, r: bufio.NewReader(conn)}
}

func (s *Scene) host() string { return strings.TrimPrefix(s.Veil.Endpoint(), "http://") }

// Answer reads one response: status and body; 0 where the connection ended without one.
func (w *Wire) Answer() (int, string) {
	resp, err := http.ReadResponse(w.r, nil)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, err.Error()
	}
	return resp.StatusCode, string(b)
}

// Closed reports whether the server has closed the connection, with what it still sent.
func (w *Wire) Closed() (rest []byte, closed bool) {
	rest, err := io.ReadAll(w.r)
	var timeout net.Error
	return rest, err == nil || !asTimeout(err, &timeout)
}

func asTimeout(err error, target *net.Error) bool {
	ne, ok := err.(net.Error)
	if ok {
		*target = ne
	}
	return ok && ne.Timeout()
}

// Head is a signed request head, without the empty line that ends it. payload is x-amz-content-sha256; the header fields
// given are signed too.
func (s *Scene) Head(method, path, payload string, header map[string]string) string {
	s.Helper()
	bare, query, _ := strings.Cut(path, "?")
	req := &http.Request{Method: method, Host: s.host(), Header: http.Header{},
		URL: &url.URL{Scheme: "http", Host: s.host(), Opaque: "//" + s.host() + bare, RawQuery: query}}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	req.Header.Set("X-Amz-Content-Sha256", payload)
	cred := aws.Credentials{AccessKeyID: s.Veil.AccessKey, SecretAccessKey: s.Veil.SecretKey}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err := signer.SignHTTP(context.Background(), cred, req, payload, "s3", servers.Region, time.Now()); err != nil {
		s.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, s.host())
	var names []string
	for name := range req.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%s: %s\r\n", name, req.Header.Get(name))
	}
	return b.String()
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// chunked frames b as HTTP chunks of at most n bytes, with the last chunk.
func chunked(b []byte, n int) []byte {
	var out bytes.Buffer
	for len(b) > 0 {
		k := min(n, len(b))
		fmt.Fprintf(&out, "%x\r\n%s\r\n", k, b[:k])
		b = b[k:]
	}
	out.WriteString("0\r\n\r\n")
	return out.Bytes()
}
