package forward

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Target is what a client asks for.
type Target struct {
	Host string // in lower case, without brackets and final dot
	Port uint16
}

// String is host:port.
func (t Target) String() string { return net.JoinHostPort(t.Host, strconv.Itoa(int(t.Port))) }

// Addr is the address of a target that is not a name.
func (t Target) Addr() (netip.Addr, bool) {
	a, err := netip.ParseAddr(t.Host)
	return a, err == nil
}

// Is reports whether an authority names the target; port is the one that it may leave out.
func (t Target) Is(authority string, port uint16) bool {
	other, err := ParseTarget(authority, port)
	return err == nil && other == t
}

// ParseTarget reads an authority, host[:port]. port stands for one that is left out; zero demands one. User information,
// zones and anything that is neither a name nor an address are errors.
func ParseTarget(authority string, port uint16) (Target, error) {
	host, text, err := splitAuthority(authority)
	if err != nil {
		return Target{}, err
	}
	if text != "" {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n == 0 || text[0] == '0' || text[0] == '+' {
			return Target{}, fmt.Errorf("%q is not a port", text)
		}
		port = uint16(n)
	}
	if port == 0 {
		return Target{}, fmt.Errorf("%q lacks a port", authority)
	}
	if a, err := netip.ParseAddr(host); err == nil {
		if a.Zone() != "" {
			return Target{}, fmt.Errorf("%q has a zone", authority)
		}
		return Target{a.Unmap().String(), port}, nil // one name for one place
	}
	host = normalName(host)
	if !isName(host) {
		return Target{}, fmt.Errorf("%q is not a host", host)
	}
	return Target{host, port}, nil
}

// splitAuthority splits host and port; only addresses in brackets may hold colons.
func splitAuthority(authority string) (host, port string, err error) {
	host, port, ported := strings.Cut(authority, ":")
	if rest, ok := strings.CutPrefix(authority, "["); ok {
		var closed bool
		if host, rest, closed = strings.Cut(rest, "]"); !closed {
			return "", "", fmt.Errorf("%q is not a host", authority)
		}
		a, err := netip.ParseAddr(host)
		if port, ported = strings.CutPrefix(rest, ":"); err != nil || !a.Is6() || !ported && rest != "" {
			return "", "", fmt.Errorf("%q is not a host", authority)
		}
		if !ported {
			port = ""
		}
	}
	if ported && port == "" {
		return "", "", fmt.Errorf("%q has an empty port", authority)
	}
	return host, port, nil
}

// isName reports whether a host consists of labels as the DNS and certificates take them; the underscore is one that exists.
// What ends in a number is an address in one of the notations that some resolvers read (0x7f.1, 2130706433) and others do not.
func isName(host string) bool {
	if host == "" || len(host) > 253 || isNumber(host[strings.LastIndexByte(host, '.')+1:]) {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}

// isNumber reports whether a label is a number, decimal, octal or hexadecimal (WHATWG URL, "ends in a number").
func isNumber(label string) bool {
	digits := "0123456789"
	if rest, hex := strings.CutPrefix(label, "0x"); hex {
		label, digits = "0"+rest, "0123456789abcdef"
	}
	return label != "" && strings.Trim(label, digits) == ""
}

// Ports is a range of ports, both included.
type Ports struct{ From, To uint16 }

// DefaultPorts are those of the web and all that need no privilege.
var DefaultPorts = []Ports{{80, 80}, {443, 443}, {1024, 65535}}

// ParsePorts reads "443" or "8000-8999".
func ParsePorts(text string) (Ports, error) {
	from, to, ranged := strings.Cut(text, "-")
	if !ranged {
		to = from
	}
	a, errA := strconv.ParseUint(from, 10, 16)
	b, errB := strconv.ParseUint(to, 10, 16)
	if errA != nil || errB != nil || a == 0 || a > b {
		return Ports{}, fmt.Errorf("%q is neither a port nor a range such as 8000-8999", text)
	}
	return Ports{uint16(a), uint16(b)}, nil
}

func allows(list []Ports, port uint16) bool {
	for _, p := range list {
		if p.From <= port && port <= p.To {
			return true
		}
	}
	return false
}
