package conn

import (
	"crypto/tls"
	"net"
	"time"
)

// Listener returns a listener whose connections belong to the set, behind TLS where config is not nil. forward is what the
// Conn below each of them says of itself. Accept closes connections beyond Options.Max and goes on.
func (s *Set) Listener(ln net.Listener, config *tls.Config, forward bool) net.Listener {
	return &listener{Listener: ln, set: s, tls: config, forward: forward}
}

type listener struct {
	net.Listener
	set     *Set
	tls     *tls.Config // nil without TLS
	forward bool
	patience
}

// Accept waits for the next connection, past failures that are not the listener's. Those beyond the limit are turned away.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil && passes(err) {
			l.wait(err, l.set.opts.Trouble)
			continue
		}
		if err != nil {
			return nil, err
		}
		l.pause = 0
		if l.set.open.Add(1) > int64(l.set.opts.Max) {
			l.turnAway(c)
			continue
		}
		counted := &Conn{Conn: c, set: l.set, Forward: l.forward}
		if l.tls == nil {
			return &clientConn{Conn: counted, counted: counted}, nil
		}
		secured := tls.Server(counted, l.tls)
		return &secureConn{clientConn{Conn: secured, counted: counted}, secured}, nil
	}
}

// turnAway answers without reading and closes. A client that expects TLS gets no answer.
func (l *listener) turnAway(c net.Conn) {
	defer l.set.open.Add(-1)
	defer c.Close()
	answer := l.set.opts.Refuse()
	if l.tls != nil || c.SetWriteDeadline(time.Now().Add(time.Second)) != nil {
		return
	}
	_, _ = c.Write(answer)
}
