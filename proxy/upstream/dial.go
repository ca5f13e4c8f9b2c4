package upstream

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// dial opens a connection for a HostClient; addr is that of endpoint.addr. The name is resolved each time. What it returns
// is a *conn, or a *tls.Conn above one, with the handshake done.
func (c *Client) dial(addr string, _ time.Duration) (net.Conn, error) {
	target, secure := addr, c.end.secure
	if c.proxy != nil {
		target = c.proxy.addr
	}
	d := net.Dialer{Timeout: c.o.Dial, KeepAlive: 30 * time.Second, Control: c.o.Control}
	tcp, err := d.Dial("tcp", target)
	if err != nil {
		return nil, err
	}
	c.open.Add(1)
	nc := &conn{Conn: tcp, stall: c.o.Stall, onDown: func() { c.open.Add(-1) }}
	if !secure {
		return nc, nil
	}
	if err := tcp.SetDeadline(time.Now().Add(c.o.Handshake)); err != nil {
		_ = nc.Close()
		return nil, err
	}
	secured, err := c.secure(nc, addr)
	if err == nil {
		err = tcp.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	return secured, nil
}

// secure lays a tunnel through the configured proxy, if there is one, and TLS over it.
func (c *Client) secure(nc *conn, addr string) (net.Conn, error) {
	if c.proxy != nil {
		if err := c.proxy.connect(nc.Conn, addr); err != nil {
			return nil, err
		}
	}
	name, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	config := c.tls
	if config.ServerName == "" {
		config = config.Clone()
		config.ServerName = name
	}
	t := tls.Client(nc, config)
	if err := t.Handshake(); err != nil {
		return nil, &handshakeError{err}
	}
	return t, nil
}

// clientTLS is the configuration of every connection: TLS 1.2 at least, HTTP/1.1 only, sessions resumed.
func clientTLS(o *tls.Config) *tls.Config {
	config := &tls.Config{}
	if o != nil {
		config = o.Clone()
	}
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	config.NextProtos = []string{"http/1.1"}
	if config.ClientSessionCache == nil {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(maxHosts)
	}
	return config
}

// handshakeError is a TLS failure. Trying again does not help.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "TLS handshake: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// connect asks the proxy for a tunnel (RFC 9110 section 9.3.6).
func (p *proxyAddr) connect(nc net.Conn, addr string) error {
	var head strings.Builder
	fmt.Fprintf(&head, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", addr, addr)
	if p.auth != "" {
		fmt.Fprintf(&head, "Proxy-Authorization: %s\r\n", p.auth)
	}
	head.WriteString("\r\n")
	if _, err := io.WriteString(nc, head.String()); err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	// One byte at a time: what follows the head belongs to TLS.
	br := bufio.NewReaderSize(io.LimitReader(oneByte{nc}, bufferSize), 16)
	resp, err := http.ReadResponse(br, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("proxy: %w: CONNECT %s answered %d", errProxy, addr, resp.StatusCode)
	}
	if br.Buffered() > 0 {
		return fmt.Errorf("proxy: %w: bytes after the answer to CONNECT", errProxy)
	}
	return nil
}

var errProxy = errors.New("refused")

type oneByte struct{ r io.Reader }

func (o oneByte) Read(b []byte) (int, error) { return o.r.Read(b[:min(len(b), 1)]) }
