// Package forward decides what a forward proxy does with a target: S3 hosts are intercepted, other hosts are tunnelled or
// denied, and some places are reached for nobody. It holds the certificates under which TLS to S3 hosts is terminated, dials
// other hosts, and copies their bytes. It knows nothing of S3 requests: those are the business of package proxy.
//
// Nothing is believed of a name but the addresses it resolves to, at the time of the connection, and it is those that are
// dialled.
package forward

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Options configure a Forward.
type Options struct {
	// Hosts are the S3 hosts: names, with `*` for one label or a part of one, optionally with a port, and the word "aws" for
	// the S3 names of AWS. A name stands for its virtual-host style names too.
	Hosts []string
	// CA signs the certificates under which TLS to S3 hosts is terminated; nil refuses TLS to them.
	CA *CA
	// Tunnel lets clients reach other hosts; else they are denied.
	Tunnel bool
	// AllowFrom are the networks that clients may come from; empty means loopback.
	AllowFrom []netip.Prefix
	// Users demand a Proxy-Authorization; nil asks for none.
	Users *Users
	// Ports are those that may be reached; empty means DefaultPorts.
	Ports []Ports
	// Deny are networks that no other host may lie in.
	Deny []netip.Prefix
	// AnySignatureFrom are networks of clients whose unknown access keys are taken without a check of the signature, as those
	// of the client named Client.
	AnySignatureFrom []netip.Prefix
	Client           string
	// ToHost sends S3 requests to the store they were meant for, not to the one that the bucket's rule names.
	ToHost bool
	// Own are s3veil's listeners, which are reached for nobody; nil for none.
	Own func() []netip.AddrPort
	// Lookup resolves names; nil means the system's resolver.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
}

// Forward is one generation of settings. It is safe for concurrent use.
type Forward struct {
	Options
	patterns []pattern
	aws      bool
	leaves   *leaves
}

// New returns a Forward, or every mistake of the options.
func New(o Options) (*Forward, error) {
	f := &Forward{Options: o}
	if len(f.AllowFrom) == 0 {
		f.AllowFrom = Loopback
	}
	if len(f.Ports) == 0 {
		f.Ports = DefaultPorts
	}
	if f.Lookup == nil {
		f.Lookup = lookup
	}
	var bad []error
	for _, h := range o.Hosts {
		if h == AWS {
			f.aws = true
			continue
		}
		p, err := parsePattern(h)
		if err != nil {
			bad = append(bad, err)
			continue
		}
		f.patterns = append(f.patterns, p)
	}
	if o.CA != nil {
		f.leaves = newLeaves(o.CA)
	}
	return f, errors.Join(bad...)
}

// Refusal is an answer for the client: it says why a target is not reached.
type Refusal struct{ Reason string }

// Error is the reason.
func (r *Refusal) Error() string { return r.Reason }

func refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// Admits reports whether a client may use the proxy at all.
func (f *Forward) Admits(client netip.Addr) bool { return within(f.AllowFrom, client) }

// TrustsSignatures reports whether unknown access keys of a client are taken unchecked.
func (f *Forward) TrustsSignatures(client netip.Addr) bool { return within(f.AnySignatureFrom, client) }

// Intercepts reports whether TLS to S3 hosts can be terminated.
func (f *Forward) Intercepts() bool { return f.leaves != nil }

// Place is what a target is.
type Place struct {
	S3     bool
	Domain string // of an S3 host: the part that is no bucket
	Region string // of an S3 host of AWS, where its name has one
}

// Decide says what to do with a target. A *Refusal is the client's answer.
func (f *Forward) Decide(t Target) (Place, error) {
	if !allows(f.Ports, t.Port) {
		return Place{}, refuse("port %d is not allowed", t.Port)
	}
	place, err := f.Classify(t)
	if err != nil || place.S3 {
		return place, err
	}
	if !f.Tunnel {
		return place, refuse("%s is not an S3 host of this proxy, and others are denied", t.Host)
	}
	return place, nil
}

// Classify tells S3 hosts from others. S3 hosts that objects cannot be encrypted for are refused.
func (f *Forward) Classify(t Target) (Place, error) {
	var best Place
	for i := range f.patterns {
		if domain, ok := f.patterns[i].match(t); ok && len(domain) > len(best.Domain) {
			best = Place{S3: true, Domain: domain}
		}
	}
	if best.S3 || !f.aws {
		return best, nil
	}
	switch kind, domain := classifyAWS(t.Host); kind {
	case awsS3:
		return Place{S3: true, Domain: domain, Region: regionOf(domain)}, nil
	case awsRefused:
		return Place{}, refuse("%s is an S3 host whose objects s3veil cannot encrypt", t.Host)
	}
	return Place{}, nil
}

// ClassifyName is Classify for a name without a port.
func (f *Forward) ClassifyName(host string) (Place, error) {
	return f.Classify(Target{Host: normalName(host), Port: 443})
}

func normalName(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }
