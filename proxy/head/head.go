// Package head reads the head of a request as it stands on the wire, and refuses what another reader could read otherwise: two
// framings, other codings, malformed lines and targets.
package head

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"s3veil/sigv4"
)

// Head is the head of a request as it stood on the wire. It is parsed from the raw header block, because the engine's
// parsed header keeps only one of Content-Length and Transfer-Encoding, forgets the order and merges trailers later.
// It owns its strings: nothing points into the engine's pooled buffers.
type Head struct {
	Method string
	Path   string // raw, at least "/"
	Query  string // raw, without "?"
	Host   string
	Scheme string        // of a target in absolute form, else empty
	Old    bool          // HTTP/1.0
	Fields []sigv4.Field // names in lower case, in order of arrival
	// Section is the size of the header section in bytes, as a store in s3veil's place would get it: without the request line,
	// and without the lines of proxies in between.
	Section int
}

// MaxSection is S3's limit of the header section, in bytes. Request lines do not count: presigned URLs are long.
const MaxSection = 8 << 10

var (
	errDualFraming   = errors.New("content-length together with transfer-encoding")
	errHeaderSyntax  = errors.New("malformed header line")
	errFraming       = errors.New("unsupported transfer-encoding")
	errRequestTarget = errors.New("malformed request target")
	errProtocol      = errors.New("neither HTTP/1.0 nor HTTP/1.1")
)

// Parse reads the head of a request. Errors mean 400 and a closed connection: whoever sends such a head may have
// another idea of where the body ends.
func Parse(h *fasthttp.RequestHeader) (Head, error) {
	out, err := ParseFields(h)
	if err != nil {
		return out, err
	}
	return out, out.setTarget(h.RequestURI())
}

// ParseFields is Parse without the target.
func ParseFields(h *fasthttp.RequestHeader) (Head, error) {
	out := Head{Method: methodName(h.Method()), Old: !h.IsHTTP11()}
	if out.Old && string(h.Protocol()) != "HTTP/1.0" {
		return out, errProtocol
	}
	block := string(h.RawHeaders()) // one copy, into which names point that came in lower case, and all values
	out.Fields = make([]sigv4.Field, 0, 2+strings.Count(block, "\n"))
	var length, transfer int
	for len(block) > 0 {
		line, rest, _ := strings.Cut(block, "\n")
		block = rest
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !IsToken(name) {
			return out, errHeaderSyntax
		}
		name = lowerName(name)
		if !ofProxies(name) {
			out.Section += len(line) + len("\r\n")
		}
		value = trimBlank(value)
		switch name {
		case "content-length":
			length++
		case "transfer-encoding":
			transfer++
			if !strings.EqualFold(value, "chunked") {
				return out, errFraming
			}
		case "host":
			out.Host = value
		}
		out.Fields = append(out.Fields, sigv4.Field{Name: name, Value: value})
	}
	if length > 1 || transfer > 1 || length+transfer > 1 {
		return out, errDualFraming
	}
	return out, nil
}

// ofProxies reports whether a header line is between the client, or a proxy on the way, and the next proxy.
func ofProxies(name string) bool {
	return strings.HasPrefix(name, "proxy-") || strings.HasPrefix(name, "x-forwarded-") || name == "forwarded" || name == "via"
}

// methodName is method as a string; the usual ones are not copied.
func methodName(method []byte) string {
	for _, known := range [...]string{"GET", "PUT", "HEAD", "POST", "DELETE"} {
		if string(method) == known {
			return known
		}
	}
	return string(method)
}

// usualNames are the lower-case forms of header names as clients capitalise them, so that they need no copy.
var usualNames = func() map[string]string {
	names := map[string]string{}
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Authorization", "Cache-Control", "Connection", "Content-Disposition", "Content-Encoding",
		"Content-Language", "Content-Length", "Content-MD5", "Content-Md5", "Content-Type", "Date", "Expect", "Expires", "Host", "If-Match",
		"If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Origin", "Range", "Referer", "Transfer-Encoding",
		"User-Agent", "X-Amz-Acl", "X-Amz-Checksum-Algorithm", "X-Amz-Checksum-Crc32", "X-Amz-Checksum-Crc32c", "X-Amz-Checksum-Crc64nvme",
		"X-Amz-Checksum-Mode", "X-Amz-Checksum-Sha256", "X-Amz-Content-SHA256", "X-Amz-Content-Sha256", "X-Amz-Copy-Source", "X-Amz-Date",
		"X-Amz-Decoded-Content-Length", "X-Amz-Sdk-Checksum-Algorithm", "X-Amz-Security-Token", "X-Amz-Server-Side-Encryption",
		"X-Amz-Storage-Class", "X-Amz-Trailer", "X-Forwarded-For", "X-Forwarded-Proto",
	} {
		names[name] = strings.ToLower(name)
	}
	return names
}()

// lowerName is strings.ToLower without a copy for the names that most requests have.
func lowerName(name string) string {
	if lower, ok := usualNames[name]; ok {
		return lower
	}
	return strings.ToLower(name)
}

// trimBlank drops spaces and tabs around a header's value.
func trimBlank(value string) string {
	for len(value) > 0 && (value[0] == ' ' || value[0] == '\t') {
		value = value[1:]
	}
	for len(value) > 0 && (value[len(value)-1] == ' ' || value[len(value)-1] == '\t') {
		value = value[:len(value)-1]
	}
	return value
}

// setTarget splits the raw request target; the absolute form (RFC 9112 3.2.2) names the host itself.
func (h *Head) setTarget(raw []byte) error {
	if i := bytes.IndexByte(raw, '#'); i >= 0 {
		raw = raw[:i]
	}
	target := string(raw)
	if !strings.HasPrefix(target, "/") && isAbsolute(strings.ToLower(target)) {
		scheme, after, _ := strings.Cut(target, "://")
		h.Scheme = strings.ToLower(scheme)
		authority, path, found := strings.Cut(after, "/")
		if strings.ContainsAny(authority, "@?#\\") || authority == "" {
			return errRequestTarget
		}
		h.Host = authority
		target = "/"
		if found {
			target += path
		}
	}
	if !strings.HasPrefix(target, "/") {
		return errRequestTarget
	}
	h.Path, h.Query, _ = strings.Cut(target, "?")
	return nil
}

// isAbsolute reports the absolute form of a target in lower case.
func isAbsolute(target string) bool {
	return strings.HasPrefix(target, "http://") || strings.HasPrefix(target, "https://")
}

// Get returns the first value of a header by lower-case name, "" when it is absent.
func (h *Head) Get(name string) string {
	for i := range h.Fields {
		if h.Fields[i].Name == name {
			return h.Fields[i].Value
		}
	}
	return ""
}

// Count is how often a header is there.
func (h *Head) Count(name string) (n int) {
	for i := range h.Fields {
		if h.Fields[i].Name == name {
			n++
		}
	}
	return n
}

// Has reports whether a header is present.
func (h *Head) Has(name string) bool {
	for i := range h.Fields {
		if h.Fields[i].Name == name {
			return true
		}
	}
	return false
}

// FirstOf reports whether field i is the first of its name.
func (h *Head) FirstOf(i int) bool {
	for j := range i {
		if h.Fields[j].Name == h.Fields[i].Name {
			return false
		}
	}
	return true
}

// Joined returns all values of a header joined with commas, as RFC 9110 5.2 combines them.
func (h *Head) Joined(name string) string {
	first, more := "", []string(nil)
	for i := range h.Fields {
		if h.Fields[i].Name != name {
			continue
		}
		if first == "" && more == nil {
			first, more = h.Fields[i].Value, []string{}
			continue
		}
		more = append(more, h.Fields[i].Value)
	}
	if len(more) == 0 {
		return first
	}
	return first + "," + strings.Join(more, ",")
}

// AnnouncedLength is the length that the head announces: -1 for a chunked body, 0 for none.
func (h *Head) AnnouncedLength() (int64, error) {
	if h.Has("transfer-encoding") {
		return -1, nil
	}
	v := h.Get("content-length")
	if v == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("content-length %q", v)
	}
	return n, nil
}

// Request is the view that signatures are computed over.
func (h *Head) Request(hostBucket string) *sigv4.Request {
	return &sigv4.Request{HostBucket: hostBucket, Method: h.Method, Path: h.Path, Query: h.Query, Host: h.Host, Header: h.Fields}
}

// IsToken reports whether name is an RFC 9110 token: no space before the colon, no control characters.
func IsToken(name string) bool {
	if name == "" {
		return false
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return true
}
