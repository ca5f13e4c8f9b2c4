package forward

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"s3veil/sigv4"
)

// Request is one request for another host, as it stood on the wire.
type Request struct {
	Method, Path, Query string
	Host                string        // the Host header
	Header              []sigv4.Field // names in lower case
	Body                io.ReadCloser // nil for none; closed when it is read no more, which may be after the answer
	Length              int64         // of the body, -1 where it is chunked
}

// relayTimeout bounds the wait for the head of an answer.
const relayTimeout = 5 * time.Minute

// viaName is s3veil in the Via header (RFC 9110 7.6.3).
const viaName = "s3veil"

// Loops reports whether a request has come through s3veil before.
func Loops(header []sigv4.Field) bool {
	for _, f := range header {
		if f.Name != "via" {
			continue
		}
		for hop := range strings.SplitSeq(f.Value, ",") {
			if words := strings.Fields(hop); len(words) > 1 && words[1] == viaName {
				return true
			}
		}
	}
	return false
}

// Relay sends a plain request to another host on behalf of a client. The connection serves this request alone, so that
// nothing a client sends can become part of another one's. The answer's body must be closed; a *Refusal says why the host
// is not reached.
func (f *Forward) Relay(t Target, client netip.Addr, r *Request) (*http.Response, error) {
	tr := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := f.Dial(ctx, t, client)
			if err != nil {
				return nil, err
			}
			return &patient{c}, nil
		},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		ResponseHeaderTimeout:  relayTimeout,
		MaxResponseHeaderBytes: 64 << 10,
	}
	req := &http.Request{
		Method: r.Method, Host: r.Host, Header: http.Header{}, ContentLength: r.Length, Close: true,
		URL: &url.URL{Scheme: "http", Host: t.String(), Opaque: r.Path, RawQuery: r.Query},
	}
	if strings.HasPrefix(r.Path, "//") { // would be read as an authority
		req.URL.Opaque = "//" + r.Host + r.Path
	}
	if r.Body != nil && r.Length != 0 {
		req.Body = r.Body
	}
	dropped := hopByHop(r.Header)
	for _, h := range r.Header {
		if !dropped[h.Name] {
			req.Header[http.CanonicalHeaderKey(h.Name)] = append(req.Header[http.CanonicalHeaderKey(h.Name)], h.Value)
		}
	}
	if req.Header["User-Agent"] == nil {
		req.Header["User-Agent"] = []string{""} // none of this library's
	}
	req.Header.Add("Via", "1.1 "+viaName)
	resp, err := tr.RoundTrip(req)
	var refused *Refusal
	if errors.As(err, &refused) {
		return nil, refused
	}
	return resp, err
}

// patient is a connection to another host that may take its time, but not for ever.
type patient struct{ net.Conn }

// Read waits for bytes as long as a tunnel would.
func (c *patient) Read(p []byte) (int, error) {
	_ = c.SetReadDeadline(time.Now().Add(tunnelIdle))
	return c.Conn.Read(p)
}

// Write waits as long as Read.
func (c *patient) Write(p []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(tunnelIdle))
	return c.Conn.Write(p)
}

// hopByHop are the headers that end at a proxy (RFC 9110 7.6.1), those that Connection names included, and those that
// http.Request holds elsewhere.
func hopByHop(header []sigv4.Field) map[string]bool {
	out := map[string]bool{"connection": true, "proxy-connection": true, "proxy-authorization": true, "proxy-authenticate": true,
		"keep-alive": true, "te": true, "trailer": true, "transfer-encoding": true, "upgrade": true, "content-length": true, "host": true, "expect": true}
	for _, f := range header {
		if f.Name == "connection" {
			for name := range strings.SplitSeq(f.Value, ",") {
				out[strings.ToLower(strings.TrimSpace(name))] = true
			}
		}
	}
	return out
}

// AnswerHeaders are the headers of an answer that may go on to the client.
func AnswerHeaders(h http.Header) []sigv4.Field {
	var all []sigv4.Field
	for name, values := range h {
		for _, v := range values {
			all = append(all, sigv4.Field{Name: strings.ToLower(name), Value: v})
		}
	}
	dropped := hopByHop(all)
	out := all[:0]
	for _, f := range all {
		if !dropped[f.Name] {
			f.Name = http.CanonicalHeaderKey(f.Name)
			out = append(out, f)
		}
	}
	return out
}
