package main

import (
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"s3veil/proxy/forward"
)

// readNode takes the word "off" in place of keys.
func (*Forward) readNode(l *loader, n *yaml.Node, at position, path string) bool {
	return l.offOrKeys(n, at, path)
}

// offOrKeys takes the word "off" in place of a group of keys, and reports whether there are none to read.
func (l *loader) offOrKeys(n *yaml.Node, at position, path string) bool {
	if n.Kind != yaml.ScalarNode {
		return false
	}
	if n.Value != "off" && n.Value != "false" && n.Value != "" {
		l.fail(at, path, "%q is neither a group of keys nor the word off", n.Value)
	}
	return true
}

func (l *loaded) checkForward() {
	f := &l.Forward
	l.oneOf("forward.others", f.Others, "tunnel", "deny")
	l.oneOf("forward.to", f.To, "upstream", "host")
	l.pair("forward.ca_file", "forward.ca_key_file", string(f.CAFile), string(f.CAKeyFile))
	if f.Listen == "" {
		if l.given("forward.ca_file") || l.given("forward.hosts") || l.given("forward.allow_from") {
			l.wrong("forward.listen", "is missing: the forward proxy would be off")
		}
	} else {
		l.address("forward.listen", f.Listen)
		if _, port, _ := net.SplitHostPort(f.Listen); port != "0" && (f.Listen == l.Listen || f.Listen == l.Admin) {
			l.wrong("forward.listen", "is the address of another endpoint")
		}
	}
	for i, h := range f.Hosts {
		if _, err := forward.New(forward.Options{Hosts: []string{h}}); err != nil {
			l.wrong(index("forward.hosts", i), "%s", err)
		}
	}
	l.networks("forward.allow_from", f.AllowFrom, "loopback")
	l.networks("forward.deny", f.Deny, "private")
	l.networks("forward.insecure_accept_any_signature_from", f.InsecureAcceptAnySignatureFrom, "loopback")
	for i, p := range f.ConnectPorts {
		if _, err := forward.ParsePorts(p); err != nil {
			l.wrong(index("forward.connect_ports", i), "%s", err)
		}
	}
	l.checkForwardClient()
}

// checkForwardClient: the rules for accepted foreign signatures are those of a client.
func (l *loaded) checkForwardClient() {
	f := &l.Forward
	known := slices.ContainsFunc(l.Clients, func(c Client) bool { return !c.Anonymous && c.AccessKey == f.Client })
	switch {
	case len(f.InsecureAcceptAnySignatureFrom) == 0 && f.Client != "":
		l.wrong("forward.client", "is given, but no network is in forward.insecure_accept_any_signature_from")
	case len(f.InsecureAcceptAnySignatureFrom) > 0 && f.Client == "":
		l.wrong("forward.client", "is missing: it says what requests with unknown keys may do")
	case f.Client != "" && !known:
		l.wrong("forward.client", "%q is no access key of clients", f.Client)
	}
}

// networks checks a list of networks and one word for some of them.
func (l *loaded) networks(path string, list []string, word string) {
	for i, n := range list {
		if n != word {
			l.network(index(path, i), n)
		}
	}
}

// prefixes parses what networks has accepted.
func prefixes(list []string, word string, meaning []netip.Prefix) (out []netip.Prefix) {
	for _, n := range list {
		if n == word {
			out = append(out, meaning...)
		} else {
			out = append(out, prefix(n))
		}
	}
	return out
}

// forward are the options of the forward proxy, nil where it is off.
func (l *loaded) forward(log *slog.Logger) *forward.Options {
	f := &l.Forward
	if f.Listen == "" {
		return nil
	}
	o := &forward.Options{
		Hosts:            f.Hosts,
		Tunnel:           f.Others == "tunnel",
		AllowFrom:        prefixes(f.AllowFrom, "loopback", forward.Loopback),
		Deny:             prefixes(f.Deny, "private", forward.Private),
		AnySignatureFrom: prefixes(f.InsecureAcceptAnySignatureFrom, "loopback", forward.Loopback),
		Client:           f.Client,
		ToHost:           f.To == "host",
	}
	if len(o.Hosts) == 0 {
		o.Hosts = []string{forward.AWS}
	}
	for _, p := range f.ConnectPorts {
		if ports, err := forward.ParsePorts(p); err == nil {
			o.Ports = append(o.Ports, ports)
		}
	}
	if f.CAFile != "" && f.CAKeyFile != "" {
		o.CA = l.forwardCA(o.Hosts, log)
	}
	if f.UsersFile != "" {
		if text, ok := l.readPrivate("forward.users_file", f.UsersFile); ok {
			var err error
			if o.Users, err = forward.ParseUsers(string(text)); err != nil {
				l.wrong("forward.users_file", "%s: %s", f.UsersFile, err)
			}
			clear(text)
		}
	}
	if len(o.AnySignatureFrom) > 0 {
		log.Warn("requests with unknown access keys are accepted without a check of their signature", "from", f.InsecureAcceptAnySignatureFrom, "as", f.Client)
	}
	return o
}

// caWarning is how long before its end a certificate authority is complained about.
const caWarning = 30 * 24 * time.Hour

// forwardCA reads the certificate authority and holds it against the S3 hosts.
func (l *loaded) forwardCA(hosts []string, log *slog.Logger) *forward.CA {
	cert, ok := l.read("forward.ca_file", l.Forward.CAFile)
	key, ok2 := l.readPrivate("forward.ca_key_file", l.Forward.CAKeyFile)
	defer clear(key)
	if !ok || !ok2 {
		return nil
	}
	ca, err := forward.ParseCA(cert, key, time.Now())
	if err != nil {
		l.wrong("forward.ca_file", "%s: %s", l.Forward.CAFile, err)
		return nil
	}
	for i, h := range hosts {
		if !ca.Covers(h) {
			l.wrong(index("forward.hosts", i), "%s is not among the names that %s may sign for: make another with `s3veil ca --host`", h, l.Forward.CAFile)
		}
	}
	l.noteEnd("forward.ca_file", [][]byte{ca.Certificate().Raw})
	if end := ca.Certificate().NotAfter; time.Until(end) < caWarning {
		log.Warn("the certificate authority of the forward proxy ends soon", "file", string(l.Forward.CAFile), "ends", end.Format(time.RFC3339))
	}
	return ca
}
