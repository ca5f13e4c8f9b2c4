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

// errHead is a plain request whose head has no end: whoever reads on may find a name in it.
var errHead = errors.New("a plain request whose head cannot be read")

// askedNames reads the names of hosts that the beginning of a client's bytes asks for, in TLS or in a plain request of HTTP, each
// once: plain is how far the request has been read. done is false while more bytes are needed.
func askedNames(start []byte, plain *plainRequest) (names []string, done bool, err error) {
	name, done, err := helloName(start)
	if name != "" {
		return []string{name}, done, err
	}
	if !done || err != nil || isRecord(start[0]) {
		return nil, done, err
	}
	names, done = plain.read(start)
	if !done && len(start) >= maxHello {
		return names, true, errHead
	}
	return names, done, nil
}

// maxMethod bounds what may be the method of a request.
const maxMethod = 20

// plainRequest is how far the head of a request of HTTP/1 has been read. Every line is read once, however many pieces the head
// comes in.
type plainRequest struct {
	at     int  // where the next line begins
	fields bool // the request line has been read
	host   bool // the last field was a Host, which another line may go on with
}

// read reads target and Host. What does not begin like a request has no names: of a request, the method is known by its capital
// letters, and the rest of its first line by the protocol at the end. Servers pass over empty lines in front of it (RFC 9112 2.2).
func (p *plainRequest) read(start []byte) (names []string, done bool) {
	for {
		if !p.fields {
			for p.at < len(start) && (start[p.at] == '\r' || start[p.at] == '\n') {
				p.at++
			}
			if !mayBeRequest(start[p.at:]) {
				return nil, true
			}
		}
		line, _, whole := bytes.Cut(start[p.at:], []byte("\n"))
		if !whole {
			return names, false
		}
		p.at += len(line) + 1
		text := strings.TrimRight(string(line), "\r")
		switch {
		case p.fields && text == "":
			return names, true
		case p.fields:
			names = append(names, p.field(text)...)
		default:
			words := strings.Fields(text)
			if len(words) < 3 || !strings.HasPrefix(words[len(words)-1], "HTTP/1.") {
				return nil, true
			}
			if _, after, absolute := strings.Cut(words[1], "://"); absolute {
				authority, _, _ := strings.Cut(after, "/")
				names = append(names, authority)
			}
			p.fields = true
		}
	}
}

// mayBeRequest reports whether start may be the beginning of a request: letters of a method, and a space if there is more.
func mayBeRequest(start []byte) bool {
	n := 0
	for n < len(start) && 'A' <= start[n] && start[n] <= 'Z' {
		n++
	}
	return n <= maxMethod && (n == len(start) || n > 0 && start[n] == ' ')
}

// field returns the name in a line that is Host, or goes on with it.
func (p *plainRequest) field(line string) []string {
	name, value, _ := strings.Cut(line, ":")
	if folded := line[0] == ' ' || line[0] == '\t'; folded {
		value = line
	} else {
		p.host = strings.EqualFold(strings.TrimSpace(name), "host")
	}
	if !p.host {
		return nil
	}
	return []string{strings.TrimSpace(value)}
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
