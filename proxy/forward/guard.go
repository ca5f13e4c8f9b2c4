package forward

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

// Loopback is where clients may come from by default.
var Loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// Private are the networks of RFC 1918, RFC 4193 and RFC 6598.
var Private = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("fc00::/7")}

// never are places that no client reaches: this network, broadcast, reserved, what embeds an address of the older protocol
// in the younger one, and the metadata services that do not have a link-local address (Alibaba, Azure, Oracle, AWS and
// Google over IPv6).
var never = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("::ffff:0:0:0/96"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("fec0::/10"),
	netip.MustParsePrefix("100.100.100.200/32"), netip.MustParsePrefix("168.63.129.16/32"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("fd00:ec2::/32"), netip.MustParsePrefix("fd20:ce::254/128"),
}

// nat64 embeds IPv4 addresses (RFC 6052).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

func within(list []netip.Prefix, a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// dialTimeout bounds resolution and connection.
const dialTimeout = 10 * time.Second

func lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// Check judges the address of another host on behalf of a client. A *Refusal says what is wrong with it.
func (f *Forward) Check(to netip.AddrPort, client netip.Addr) error {
	if err := f.forbidden(to, client); err != nil {
		return err
	}
	a := plainAddr(to.Addr())
	if within(f.Deny, a) {
		return refuse("%s lies in a network that is denied", to.Addr())
	}
	if place, err := f.Classify(Target{a.String(), to.Port()}); err == nil && place.S3 {
		return refuse("%s is an S3 host of this proxy under another name", netip.AddrPortFrom(a, to.Port()))
	}
	return nil
}

// plainAddr is the address behind the notations that embed an IPv4 address in an IPv6 one.
func plainAddr(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if nat64.Contains(a) {
		b := a.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return a
}

// forbidden is the part of Check that no setting changes.
func (f *Forward) forbidden(to netip.AddrPort, client netip.Addr) error {
	a := plainAddr(to.Addr())
	switch {
	case a.IsLoopback():
		if !client.Unmap().IsLoopback() {
			return refuse("%s is this machine's loopback, and the client comes from elsewhere", a)
		}
	case !a.IsValid(), a.Zone() != "", a.IsUnspecified(), a.IsMulticast(), a.IsLinkLocalUnicast(), within(never, a):
		return refuse("%s is an address that is reached for nobody", a)
	}
	if f.Own == nil {
		return nil
	}
	for _, own := range f.Own() {
		if own.Port() == to.Port() && isHere(a, own.Addr()) {
			return refuse("%s is s3veil itself", netip.AddrPortFrom(a, to.Port()))
		}
	}
	return nil
}

// isHere reports whether an address reaches a listener that is bound to own.
func isHere(a, own netip.Addr) bool {
	if own = own.Unmap(); !own.IsUnspecified() {
		return a == own
	}
	if a.IsLoopback() {
		return true
	}
	list, err := net.InterfaceAddrs()
	if err != nil {
		return true // cannot be told
	}
	for _, i := range list {
		if n, ok := i.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok && ip.Unmap() == a {
				return true
			}
		}
	}
	return false
}

// resolve returns the addresses of a target, every one of which has passed check.
func (f *Forward) resolve(ctx context.Context, t Target, check func(netip.AddrPort) error) ([]netip.AddrPort, error) {
	list := []netip.Addr{}
	if a, ok := t.Addr(); ok {
		list = append(list, a)
	} else {
		var err error
		if list, err = f.Lookup(ctx, t.Host); err != nil {
			return nil, fmt.Errorf("resolve %s: %w", t.Host, err)
		}
	}
	var out []netip.AddrPort
	for _, a := range list {
		to := netip.AddrPortFrom(a.Unmap(), t.Port)
		if err := check(to); err != nil {
			return nil, fmt.Errorf("%s: %w", t.Host, err)
		}
		out = append(out, to)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("resolve %s: no address", t.Host)
	}
	return out, nil
}

// Dial connects to another host on behalf of a client. The addresses that were checked are those that are dialled.
func (f *Forward) Dial(ctx context.Context, t Target, client netip.Addr) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addrs, err := f.resolve(ctx, t, func(to netip.AddrPort) error { return f.Check(to, client) })
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	var failed []error
	for _, a := range addrs {
		c, err := d.DialContext(ctx, "tcp", a.String())
		if err == nil {
			return c, nil
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

// Control judges the addresses of S3 hosts on behalf of a client, in the form of net.Dialer.Control. Networks that are
// denied are those of other hosts.
func (f *Forward) Control(client netip.Addr) func(network, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return err
		}
		a, err := netip.ParseAddr(host)
		if err != nil {
			return err
		}
		return f.forbidden(netip.AddrPortFrom(a, uint16(n)), client)
	}
}
