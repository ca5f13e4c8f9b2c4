package upstream

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// endpoint is one address of a service.
type endpoint struct {
	secure     bool
	name, port string // name without brackets
}

func parseEndpoint(s string) (endpoint, error) {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return endpoint{}, fmt.Errorf("upstream: endpoint %q is not http(s)://host[:port]", s)
	}
	if (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return endpoint{}, fmt.Errorf("upstream: endpoint of %q has more than a scheme, a host and a port", u.Host)
	}
	e := endpoint{secure: u.Scheme == "https", name: strings.ToLower(u.Hostname()), port: u.Port()}
	if e.port == "" {
		e.port = e.defaultPort()
	}
	return e, nil
}

func (e endpoint) defaultPort() string {
	if e.secure {
		return "443"
	}
	return "80"
}

// addr is what is dialled; it is resolved anew for each connection.
func (e endpoint) addr() string { return net.JoinHostPort(e.name, e.port) }

func (e endpoint) scheme() string {
	if e.secure {
		return "https"
	}
	return "http"
}

// host is the Host header with prefix before the name. A default port is left out, as clients do.
func (e endpoint) host(prefix string) string {
	name := e.name
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	if e.port == e.defaultPort() {
		return prefix + name
	}
	return prefix + name + ":" + e.port
}

// virtual reports whether bucket can stand before the host: not before an address, and under TLS not with a dot, which no
// wildcard certificate covers. Hosts have no upper case, so that before one "Data" is the bucket "data": names that hosts do not
// keep as they are stand in the path. So do those of keys that would be a path of the store's administration.
func (e endpoint) virtual(bucket, key string) bool {
	return hostName(bucket) && !e.keeps(key) && net.ParseIP(e.name) == nil && (!e.secure || !strings.Contains(bucket, "."))
}

// keeps reports whether a store may have something else than a bucket below a path: MinIO and RustFS have their administration there,
// whatever the host, and take s3veil's signature for it.
func (e endpoint) keeps(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return (first == "minio" || first == "rustfs") && !e.aws()
}

// hostName reports whether a bucket's name is one of a host, letter by letter (RFC 1123 2.1).
func hostName(bucket string) bool {
	for i := range len(bucket) {
		b := bucket[i]
		inside := (b == '-' || b == '.') && i > 0 && i < len(bucket)-1
		if !('a' <= b && b <= 'z' || '0' <= b && b <= '9' || inside) {
			return false
		}
	}
	return bucket != "" && len(bucket) <= 63
}

// locate returns the Host header and the raw path of a bucket and a key.
func (e endpoint) locate(pathStyle bool, bucket, key string) (host, path string) {
	switch {
	case bucket == "":
		return e.host(""), "/"
	case !pathStyle && e.virtual(bucket, key):
		return e.host(bucket + "."), "/" + escape(key, true)
	default:
		return e.host(""), bucketPath(bucket, key)
	}
}

// bucketPath is the raw path of a bucket, and of a key in it unless that is empty.
func bucketPath(bucket, key string) string {
	if key == "" {
		return "/" + escape(bucket, false)
	}
	return "/" + escape(bucket, false) + "/" + escape(key, true)
}

// locate is endpoint.locate; the names of the client's own endpoint are made once.
func (c *Client) locate(e endpoint, bucket, key string) (host, path string) {
	if e == c.end && bucket != "" && (c.o.PathStyle || !c.mayBeVirtual) {
		return c.endHost, bucketPath(bucket, key)
	}
	return e.locate(c.o.PathStyle, bucket, key)
}

// addrOf is endpoint.addr, made once for the client's own endpoint.
func (c *Client) addrOf(e endpoint) string {
	if e == c.end {
		return c.endAddr
	}
	return e.addr()
}

// escape is UriEncode of the SigV4 pages: all but unreserved characters, and slashes where slash is set, become %XX. The
// path on the wire and the path that is signed are the same, since S3 does not encode twice.
func escape(s string, slash bool) string {
	plain := func(b byte) bool {
		return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' ||
			b == '-' || b == '_' || b == '.' || b == '~' || (slash && b == '/')
	}
	n := 0
	for i := range len(s) {
		if !plain(s[i]) {
			n++
		}
	}
	if n == 0 {
		return s
	}
	const hex = "0123456789ABCDEF"
	out := make([]byte, 0, len(s)+2*n)
	for i := range len(s) {
		if b := s[i]; plain(b) {
			out = append(out, b)
		} else {
			out = append(out, '%', hex[b>>4], hex[b&15])
		}
	}
	return string(out)
}

// encodeQuery writes parameters in their order.
func encodeQuery(params []Param) string {
	if len(params) == 0 {
		return ""
	}
	var b strings.Builder
	for i, p := range params {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(escape(p.Name, false))
		if !p.Bare {
			b.WriteByte('=')
			b.WriteString(escape(p.Value, false))
		}
	}
	return b.String()
}

// proxyAddr is upstream.proxy.
type proxyAddr struct {
	addr string
	auth string // value of Proxy-Authorization, or empty
}

func parseProxy(s string) (*proxyAddr, error) {
	if s == "" {
		return nil, nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" || u.Hostname() == "" {
		return nil, errors.New("upstream: proxy is not http://host:port")
	}
	p := &proxyAddr{addr: u.Host}
	if u.Port() == "" {
		p.addr = net.JoinHostPort(u.Hostname(), "80")
	}
	if u.User != nil {
		password, _ := u.User.Password()
		p.auth = "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))
	}
	return p, nil
}
