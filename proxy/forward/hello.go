package forward

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"time"
)

// maxHello bounds what is held of a client until its first message of TLS is whole.
const maxHello = 32 << 10

// errHello is TLS whose first message cannot be read: whoever reads it otherwise may find a name in it.
var errHello = errors.New("TLS whose first message cannot be read")

// askedNames reads the names of hosts that the beginning of a client's bytes asks for, in TLS or in a plain request of HTTP.
// done is false while more bytes are needed.
func askedNames(start []byte) (names []string, done bool, err error) {
	name, done, err := helloName(start)
	if name != "" {
		return []string{name}, done, err
	}
	if !done || err != nil || isRecord(start[0]) {
		return nil, done, err
	}
	names, done = requestNames(start)
	return names, done || len(start) >= maxHello, nil
}

// maxMethod bounds what may be the method of a request.
const maxMethod = 20

// requestNames reads target and Host of a request of HTTP/1. What begins otherwise has no names: of a request, the method is known
// by its capital letters, and the rest of its first line by the protocol at the end.
func requestNames(start []byte) (names []string, done bool) {
	n := 0
	for n < len(start) && 'A' <= start[n] && start[n] <= 'Z' {
		n++
	}
	switch {
	case n > maxMethod, n < len(start) && start[n] != ' ' || n == 0:
		return nil, true
	case n == len(start):
		return nil, false
	}
	line, fields, whole := bytes.Cut(start[n+1:], []byte("\n"))
	if !whole {
		return nil, false
	}
	target, protocol, ok := strings.Cut(strings.TrimRight(string(line), "\r"), " ")
	if !ok || !strings.HasPrefix(protocol, "HTTP/1.") {
		return nil, true
	}
	if _, after, absolute := strings.Cut(target, "://"); absolute {
		authority, _, _ := strings.Cut(after, "/")
		names = append(names, authority)
	}
	for len(fields) > 0 {
		line, rest, whole := bytes.Cut(fields, []byte("\n"))
		if !whole {
			return names, false
		}
		text := strings.TrimRight(string(line), "\r")
		if text == "" {
			return names, true
		}
		if name, value, _ := strings.Cut(text, ":"); strings.EqualFold(strings.TrimSpace(name), "host") {
			names = append(names, strings.TrimSpace(value))
		}
		fields = rest
	}
	return names, false
}

// helloName reads the name that the beginning of a TLS connection asks for. done is false while more bytes are needed;
// what is no TLS has no name. TLS that does not begin with a readable message is errHello.
func helloName(start []byte) (name string, done bool, err error) {
	if len(start) == 0 || len(start) == 1 && isRecord(start[0]) {
		return "", false, nil
	}
	if !isRecord(start[0]) || start[1] != 3 {
		return "", true, nil
	}
	c := &replay{r: bytes.NewReader(start)}
	err = tls.Server(c, &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		name, done = hello.ServerName, true
		return nil, errSeen
	}}).Handshake()
	switch {
	case done:
		return name, true, nil
	case errors.Is(err, errMore) && len(start) < maxHello:
		return "", false, nil
	}
	return "", true, errHello
}

// isRecord reports whether a record of TLS may begin with a byte (RFC 8446 5.1): some servers pass over alerts in front of a
// handshake.
func isRecord(first byte) bool { return 20 <= first && first <= 24 }

var (
	errSeen = errors.New("seen")
	errMore = errors.New("more bytes are needed")
)

// replay is a connection whose client has sent some bytes and says no more.
type replay struct{ r *bytes.Reader }

func (c *replay) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if errors.Is(err, io.EOF) {
		err = errMore
	}
	return n, err
}
func (c *replay) Write(p []byte) (int, error)      { return len(p), nil }
func (c *replay) Close() error                     { return nil }
func (c *replay) LocalAddr() net.Addr              { return nil }
func (c *replay) RemoteAddr() net.Addr             { return nil }
func (c *replay) SetDeadline(time.Time) error      { return nil }
func (c *replay) SetReadDeadline(time.Time) error  { return nil }
func (c *replay) SetWriteDeadline(time.Time) error { return nil }
