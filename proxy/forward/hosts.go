package forward

import (
	"fmt"
	"net/netip"
	"strings"
)

// pattern is one S3 host: labels with wildcards, or an address.
type pattern struct {
	labels []string
	port   uint16 // zero: any
}

// parsePattern reads host[:port]. `*` stands for characters of one label.
func parsePattern(text string) (pattern, error) {
	t, err := ParseTarget(strings.ReplaceAll(text, "*", "_"), 1)
	if err != nil {
		return pattern{}, fmt.Errorf("%q is neither a host nor the word aws: %w", text, err)
	}
	p := pattern{}
	host := text
	if _, port, _ := splitAuthority(strings.ReplaceAll(text, "*", "_")); port != "" {
		p.port, host = t.Port, text[:len(text)-len(port)-1]
	}
	if a, ok := t.Addr(); ok {
		p.labels = []string{a.String()}
		return p, nil
	}
	if strings.Trim(host, "*.") == "" {
		return pattern{}, fmt.Errorf("%q would take every host for an S3 host", text)
	}
	p.labels = strings.Split(normalName(host), ".")
	return p, nil
}

// match returns the part of a target's host that the pattern stands for; what is in front of it is a bucket.
func (p *pattern) match(t Target) (domain string, ok bool) {
	if p.port != 0 && p.port != t.Port {
		return "", false
	}
	if _, address := t.Addr(); address {
		return t.Host, len(p.labels) == 1 && p.labels[0] == t.Host
	}
	labels := strings.Split(t.Host, ".")
	at := len(labels) - len(p.labels)
	if at < 0 {
		return "", false
	}
	for i, want := range p.labels {
		if !fits(want, labels[at+i]) {
			return "", false
		}
	}
	return strings.Join(labels[at:], "."), true
}

// fits matches one label.
func fits(pattern, label string) bool {
	head, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == label
	}
	if !strings.HasPrefix(label, head) {
		return false
	}
	label = label[len(head):]
	for i := 0; i <= len(label); i++ {
		if fits(rest, label[i:]) {
			return true
		}
	}
	return false
}

// Constraint is what a CA has to be allowed to sign for an entry of Options.Hosts: domains, and addresses.
func Constraint(host string) (domains []string, addresses []netip.Addr, err error) {
	if host == AWS {
		return awsSuffixes, nil, nil
	}
	p, err := parsePattern(host)
	if err != nil {
		return nil, nil, err
	}
	if a, err := netip.ParseAddr(p.labels[0]); err == nil && len(p.labels) == 1 {
		return nil, []netip.Addr{a}, nil
	}
	labels := p.labels
	for i, l := range p.labels { // what follows the last wildcard
		if strings.Contains(l, "*") {
			labels = p.labels[i+1:]
		}
	}
	if len(labels) == 0 {
		return nil, nil, fmt.Errorf("%q: no certificate authority can be confined to names that end in a wildcard", host)
	}
	return []string{strings.Join(labels, ".")}, nil, nil
}
