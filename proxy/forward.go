package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"s3veil/proxy/conn"
	"s3veil/proxy/forward"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3op"
	"s3veil/sigv4"
)

// via is how a request came over the forward port: in absolute form, or inside an intercepted CONNECT.
type via struct {
	connected bool           // inside a CONNECT
	target    forward.Target // of the CONNECT, or of the request
	place     forward.Place
	other     bool // the business of another host, which s3veil has no part in
}

// viaOf tells how a connection was accepted, nil for the S3 port.
func viaOf(c net.Conn) *via {
	if target, ok := forward.Inside(c); ok {
		return &via{connected: true, target: target}
	}
	if counted, ok := conn.Below(c); ok && counted.Forward {
		return &via{}
	}
	return nil
}

// addForward makes the forward proxy of a generation of settings.
func (s *Server) addForward(st *state) error {
	if st.settings.Forward == nil {
		return nil
	}
	o := *st.settings.Forward
	o.Own = s.own.list
	f, err := forward.New(o)
	if err != nil {
		return fmt.Errorf("forward: %w", err)
	}
	if len(o.AnySignatureFrom) > 0 && st.clients[o.Client] == nil {
		return fmt.Errorf("forward: no client %q", o.Client)
	}
	st.forward = f
	for _, unknown := range []bool{false, true} {
		v := s.newVerifier(st)
		v.Region, v.AnyUnknownKey = func(string) bool { return true }, unknown
		if unknown {
			st.foreignAny = v
		} else {
			st.foreign = v
		}
	}
	return nil
}

// verifier checks signatures by the rules of the port that the request came over.
func (x *exchange) verifier() *sigv4.Verifier {
	switch {
	case x.via == nil:
		return x.st.verifier
	case x.st.forward.TrustsSignatures(x.source):
		return x.st.foreignAny
	}
	return x.st.foreign
}

// enter judges a request that came over the forward port. It returns how its bucket is found; nil means that the request is
// for another host.
func (x *exchange) enter() (*s3op.Router, error) {
	f := x.st.forward
	if f == nil {
		return nil, forwardRefused("the forward proxy is switched off")
	}
	if !f.Admits(x.source) {
		return nil, forwardRefused("clients may not come from " + x.source.String())
	}
	err := x.findTarget(f)
	if err != nil {
		return nil, err
	}
	if !x.via.place.S3 {
		x.via.other = true
		return nil, x.checkRelay()
	}
	return &s3op.Router{Domains: []string{x.via.place.Domain}}, nil
}

// findTarget holds a request's target and its Host header against each other and against the rules.
func (x *exchange) findTarget(f *forward.Forward) error {
	host := x.head.Get("host")
	switch n := x.head.Count("host"); {
	case n == 0 && x.head.Old && x.head.Scheme != "": // HTTP/1.0 knows no Host
		host = x.head.Host
	case n != 1:
		return forwardMalformed(fmt.Errorf("%d Host headers", n))
	}
	if x.via.connected {
		if !x.via.target.Is(x.head.Host, x.via.target.Port) || !x.via.target.Is(host, x.via.target.Port) {
			return forwardMalformed(fmt.Errorf("request for %q inside a CONNECT to %s", x.head.Host, x.via.target))
		}
		var err error
		if x.via.place, err = f.Classify(x.via.target); err == nil && !x.via.place.S3 {
			err = &forward.Refusal{Reason: x.via.target.String() + " is not an S3 host any more"}
		}
		return forwardError(err)
	}
	if x.head.Scheme == "" {
		return forwardMalformed(errors.New("a request without the host that it is for: this port takes requests of HTTP_PROXY and HTTPS_PROXY, endpoints are set to the address in listen"))
	}
	if err := x.authenticateProxy(f); err != nil {
		return err
	}
	target, err := forward.ParseTarget(x.head.Host, schemePort[x.head.Scheme])
	if err != nil {
		return forwardMalformed(err)
	}
	if !target.Is(host, schemePort[x.head.Scheme]) {
		return forwardMalformed(fmt.Errorf("target %s, but Host %q", target, host))
	}
	x.via.target, x.head.Host = target, host // signatures are over the header as it was sent
	x.via.place, err = f.Decide(target)
	return forwardError(err)
}

var schemePort = map[string]uint16{"http": 80, "https": 443}

// authenticateProxy checks Proxy-Authorization.
func (x *exchange) authenticateProxy(f *forward.Forward) error {
	if f.Users == nil {
		return nil
	}
	if _, ok := f.Users.Verify(x.head.Get("proxy-authorization")); ok && x.head.Count("proxy-authorization") == 1 {
		return nil
	}
	return s3err.ProxyAuthenticationRequired.Closing()
}

// forwardRefused is the answer to what the forward proxy does for nobody, or not for this client.
func forwardRefused(reason string) error {
	return s3err.AccessDenied.Say("s3veil forward proxy: " + reason + ".").With(&forward.Refusal{Reason: reason}).Closing()
}

// forwardMalformed is the answer to requests that a forward proxy cannot have got from a client in its right mind.
func forwardMalformed(cause error) error {
	return s3err.InvalidRequest.Say("s3veil forward proxy: " + cause.Error() + ".").With(cause).Closing()
}

// forwardError turns what package forward says into an answer.
func forwardError(err error) error {
	if err == nil {
		return nil
	}
	if r, ok := err.(*forward.Refusal); ok {
		return forwardRefused(r.Reason)
	}
	return s3err.BadGateway.With(err).Closing()
}

// ownAddrs are the listeners of the process: the forward proxy leads nobody to them.
type ownAddrs struct {
	mu    sync.Mutex
	addrs []netip.AddrPort
}

// Protect adds a listener's address to those that the forward proxy does not connect to. The servers of this package are
// among them by themselves.
func (s *Server) Protect(addr net.Addr) {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		s.own.mu.Lock()
		defer s.own.mu.Unlock()
		s.own.addrs = append(s.own.addrs, tcp.AddrPort())
	}
}

func (o *ownAddrs) list() []netip.AddrPort {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.addrs[:len(o.addrs):len(o.addrs)]
}

// dialOther connects to another host.
func (x *exchange) dialOther() (net.Conn, error) {
	return x.st.forward.Dial(context.Background(), x.via.target, x.source)
}
