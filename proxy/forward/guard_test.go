package forward

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
)

var (
	near = netip.MustParseAddr("127.0.0.1")
	far  = netip.MustParseAddr("192.0.2.33")
)

func isRefusal(err error) bool {
	var r *Refusal
	return errors.As(err, &r)
}

func TestAddressesThatAreReachedForNobody(t *testing.T) {
	f := newTest(t, Options{Tunnel: true})
	for _, a := range []string{
		"169.254.169.254", "169.254.170.2", "169.254.1.1", "fe80::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", // link-local, in every notation
		"fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd20:ce::254", "::ffff:100.100.100.200", // metadata of clouds
		"0.0.0.0", "::", "0.1.2.3", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1",
		"2002:7f00:1::", "2002:a9fe:a9fe::", "::127.0.0.1", "::ffff:0:127.0.0.1", "::ffff:0:a9fe:a9fe", "2001:0:1::1", "64:ff9b:1::1", "fec0::1", "2001:db8::1%lo",
	} {
		for _, client := range []netip.Addr{near, far} {
			if err := f.Check(netip.AddrPortFrom(netip.MustParseAddr(a), 80), client); !isRefusal(err) {
				t.Errorf("%s for %s: %v", a, client, err)
			}
		}
	}
	for _, a := range []string{"192.0.2.1", "10.0.0.1", "2001:db8::1", "fd12::1", "64:ff9b::c000:201"} {
		if err := f.Check(netip.AddrPortFrom(netip.MustParseAddr(a), 80), far); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
}

func TestLoopbackIsForThoseWhoComeOverIt(t *testing.T) {
	f := newTest(t, Options{Tunnel: true})
	for _, a := range []string{"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"} {
		to := netip.AddrPortFrom(netip.MustParseAddr(a), 80)
		if err := f.Check(to, near); err != nil {
			t.Errorf("%s from loopback: %v", a, err)
		}
		if err := f.Check(to, netip.MustParseAddr("::1")); err != nil {
			t.Errorf("%s from loopback: %v", a, err)
		}
		if err := f.Check(to, far); !isRefusal(err) {
			t.Errorf("%s from elsewhere: %v", a, err)
		}
	}
}

func TestOwnPortsAreReachedForNobody(t *testing.T) {
	ifaces, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	f := newTest(t, Options{Tunnel: true, Own: func() []netip.AddrPort {
		return []netip.AddrPort{netip.MustParseAddrPort("[::]:8080"), netip.MustParseAddrPort("127.0.0.1:8081")}
	}})
	for _, i := range ifaces {
		if ip, ok := netip.AddrFromSlice(i.(*net.IPNet).IP); ok && !ip.IsLinkLocalUnicast() {
			if err := f.Check(netip.AddrPortFrom(ip, 8080), near); !isRefusal(err) {
				t.Errorf("%s: %v", ip, err)
			}
		}
	}
	for to, refused := range map[string]bool{"127.0.0.1:8080": true, "127.0.0.2:8080": true, "127.0.0.1:8081": true, "[::ffff:127.0.0.1]:8081": true, "127.0.0.1:8082": false, "192.0.2.1:8080": false} {
		if err := f.Check(netip.MustParseAddrPort(to), near); isRefusal(err) != refused {
			t.Errorf("%s: %v", to, err)
		}
	}
}

func TestDeniedNetworks(t *testing.T) {
	f := newTest(t, Options{Tunnel: true, Deny: append(Private, netip.MustParsePrefix("198.51.100.0/24"))})
	for a, refused := range map[string]bool{"10.1.2.3": true, "172.31.0.1": true, "192.168.1.1": true, "100.64.0.1": true, "fd12::1": true,
		"::ffff:10.0.0.1": true, "64:ff9b::a00:1": true, "198.51.100.9": true, "192.0.2.1": false, "172.32.0.1": false} {
		if err := f.Check(netip.AddrPortFrom(netip.MustParseAddr(a), 443), far); isRefusal(err) != refused {
			t.Errorf("%s: %v", a, err)
		}
	}
}

// A name is only as good as what it resolves to, and what was checked is what is dialled: a second answer of the resolver
// changes nothing.
func TestNamesAreCheckedAfterResolutionAndPinned(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "here")
			c.Close()
		}
	}()
	port := netip.MustParseAddrPort(ln.Addr().String()).Port()
	asked := 0
	answers := map[string][]string{
		"here.example":  {"127.0.0.1"},
		"meta.example":  {"169.254.169.254"},
		"mixed.example": {"127.0.0.1", "169.254.169.254"},
		"none.example":  {},
	}
	f := newTest(t, Options{Tunnel: true, Lookup: func(_ context.Context, host string) (out []netip.Addr, _ error) {
		if asked++; asked > 1 {
			return []netip.Addr{netip.MustParseAddr("169.254.169.254")}, nil // rebinding
		}
		for _, a := range answers[host] {
			out = append(out, netip.MustParseAddr(a))
		}
		return out, nil
	}})
	for host, want := range map[string]string{"here.example": "", "meta.example": "reached for nobody", "mixed.example": "reached for nobody", "none.example": "no address"} {
		asked = 0
		c, err := f.Dial(t.Context(), Target{host, port}, near)
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", host, err)
				continue
			}
			got, _ := io.ReadAll(c)
			if c.Close(); string(got) != "here" || asked != 1 {
				t.Errorf("%s: %q after %d lookups", host, got, asked)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", host, err)
		}
	}
	asked = 0
	if _, err := f.Dial(t.Context(), Target{"here.example", port}, far); !isRefusal(err) {
		t.Errorf("loopback for a client from elsewhere: %v", err)
	}
	for _, literal := range []string{"169.254.169.254", "::ffff:169.254.169.254", "0.0.0.0"} {
		if _, err := f.Dial(t.Context(), Target{literal, port}, near); !isRefusal(err) {
			t.Errorf("%s: %v", literal, err)
		}
	}
	f.Deny = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	asked = 0
	if _, err := f.Dial(t.Context(), Target{"here.example", port}, near); !isRefusal(err) {
		t.Errorf("a denied network: %v", err)
	}
}

// An S3 host that is listed by its address is not reached past interception under a name or another notation of the address.
func TestAddressesOfS3HostsAreNoOtherHosts(t *testing.T) {
	f := newTest(t, Options{Hosts: []string{"127.0.0.1:9000", "192.0.2.7", "[2001:db8::7]:9000"}, Tunnel: true, Lookup: func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{near}, nil
	}})
	for to, refused := range map[string]bool{"127.0.0.1:9000": true, "[::ffff:127.0.0.1]:9000": true, "[64:ff9b::7f00:1]:9000": true, "192.0.2.7:80": true,
		"[64:ff9b::c000:207]:80": true, "[2001:db8::7]:9000": true, "127.0.0.1:9001": false, "127.0.0.2:9000": false, "[2001:db8::7]:9001": false} {
		if err := f.Check(netip.MustParseAddrPort(to), near); isRefusal(err) != refused {
			t.Errorf("%s: %v", to, err)
		}
	}
	if _, err := f.Dial(t.Context(), Target{"alias.example", 9000}, near); !isRefusal(err) {
		t.Errorf("a name of the address: %v", err)
	}
	for _, authority := range []string{"127.0.0.1:9000", "[::ffff:127.0.0.1]:9000", "[::ffff:7f00:1]:9000"} {
		target, err := ParseTarget(authority, 0)
		if place, _ := f.Classify(target); err != nil || !place.S3 {
			t.Errorf("%s: %+v, %v", authority, place, err)
		}
	}
}

func TestControlSeesWhatIsDialled(t *testing.T) {
	f := newTest(t, Options{})
	check := f.Control(near)
	if err := check("tcp", "127.0.0.1:80", nil); err != nil {
		t.Error(err)
	}
	for _, a := range []string{"169.254.169.254:80", "[fe80::1%lo]:80", "nonsense"} {
		if check("tcp", a, nil) == nil {
			t.Error(a)
		}
	}
}

func TestClientsComeFromNamedNetworks(t *testing.T) {
	byDefault := newTest(t, Options{AnySignatureFrom: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	named := newTest(t, Options{AllowFrom: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	for client, want := range map[string][3]bool{ // admitted by default, where a network is named; signature taken unchecked
		"127.0.0.1": {true, false, false}, "::1": {true, false, false}, "::ffff:127.0.0.1": {true, false, false}, "192.0.2.33": {false, true, false},
		"::ffff:192.0.2.33": {false, true, false}, "10.1.1.1": {false, false, true}, "2001:db8::1": {false, false, false},
	} {
		a := netip.MustParseAddr(client)
		if got := [3]bool{byDefault.Admits(a), named.Admits(a), byDefault.TrustsSignatures(a)}; got != want || named.TrustsSignatures(a) {
			t.Errorf("%s: %v, want %v", client, got, want)
		}
	}
}
