package forward

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// CA is a certificate authority for the S3 hosts of a forward proxy.
type CA struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// Certificate is the CA's own.
func (c *CA) Certificate() *x509.Certificate { return c.cert }

// NewCA makes a CA that can sign for the given hosts (entries of Options.Hosts) and for nothing else: name constraints,
// critical, for domains and addresses (RFC 5280 4.2.1.10); no CA below it; server certificates only. It returns the
// certificate and the key (PKCS #8) in PEM.
func NewCA(hosts []string, from time.Time, life time.Duration) (cert, key []byte, err error) {
	domains, addresses, err := constraints(hosts)
	if err != nil {
		return nil, nil, err
	}
	priv, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: "s3veil forward proxy CA " + from.UTC().Format("2006-01-02"), Organization: []string{"s3veil"}},
		NotBefore:    from.Add(-time.Hour), NotAfter: from.Add(life),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage:                    x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:                 []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         domains,
	}
	for _, a := range addresses {
		t.PermittedIPRanges = append(t.PermittedIPRanges, network(a, a.BitLen()))
	}
	if len(addresses) == 0 { // a kind of name without constraints is free
		t.ExcludedIPRanges = []*net.IPNet{network(netip.IPv4Unspecified(), 0), network(netip.IPv6Unspecified(), 0)}
	}
	if len(domains) == 0 {
		t.PermittedDNSDomains = []string{"s3veil.invalid"}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, priv.Public(), priv)
	if err != nil {
		return nil, nil, err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), nil
}

func constraints(hosts []string) (domains []string, addresses []netip.Addr, err error) {
	for _, h := range hosts {
		d, a, err := Constraint(h)
		if err != nil {
			return nil, nil, err
		}
		domains, addresses = append(domains, d...), append(addresses, a...)
	}
	if len(domains)+len(addresses) == 0 {
		return nil, nil, errors.New("no host")
	}
	slices.Sort(domains)
	return slices.Compact(domains), addresses, nil
}

func network(a netip.Addr, bits int) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(bits, a.BitLen())}
}

func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] &= 0x7f
	b[15] |= 1
	return new(big.Int).SetBytes(b)
}

// ParseCA reads a CA and its key from PEM. Certificates that cannot sign are errors, and so is one that has expired.
func ParseCA(certPEM, keyPEM []byte, now time.Time) (*CA, error) {
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, errors.New("the key cannot sign")
	}
	if err := usable(cert, now); err != nil {
		return nil, err
	}
	return &CA{cert, key}, nil
}

// ParseAuthority reads the certificate of a CA without its key, for those who have to trust it: the first one in PEM. Text with a
// private key is refused, since it is on its way to others. The CA cannot sign.
func ParseAuthority(certPEM []byte, now time.Time) (*CA, error) {
	block, _ := pem.Decode(certPEM)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no certificate in PEM")
	}
	if bytes.Contains(certPEM, []byte("PRIVATE KEY-----")) {
		return nil, errors.New("holds a private key, too")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	if err := usable(cert, now); err != nil {
		return nil, err
	}
	return &CA{cert: cert}, nil
}

// usable says why a certificate is not that of an authority, or no longer.
func usable(cert *x509.Certificate, now time.Time) error {
	switch {
	case !cert.BasicConstraintsValid || !cert.IsCA || cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageCertSign == 0:
		return errors.New("not the certificate of a certificate authority")
	case now.After(cert.NotAfter):
		return fmt.Errorf("expired on %s", cert.NotAfter.Format(time.RFC3339))
	}
	return nil
}

// Covers reports whether clients will take the CA's certificates for an entry of Options.Hosts.
func (c *CA) Covers(host string) bool {
	domains, addresses, err := Constraint(host)
	if err != nil {
		return false
	}
	for _, d := range domains {
		if !c.coversName(d) {
			return false
		}
	}
	for _, a := range addresses {
		if !c.coversAddr(a) {
			return false
		}
	}
	return true
}

func (c *CA) coversName(name string) bool {
	in := func(domain string) bool {
		domain = strings.TrimPrefix(domain, ".")
		return domain == "" || name == domain || strings.HasSuffix(name, "."+domain)
	}
	if slices.ContainsFunc(c.cert.ExcludedDNSDomains, in) {
		return false
	}
	return len(c.cert.PermittedDNSDomains) == 0 || slices.ContainsFunc(c.cert.PermittedDNSDomains, in)
}

func (c *CA) coversAddr(a netip.Addr) bool {
	ip := net.IP(a.AsSlice())
	in := func(n *net.IPNet) bool {
		return len(n.IP) == len(ip) && n.Contains(ip)
	}
	if slices.ContainsFunc(c.cert.ExcludedIPRanges, in) {
		return false
	}
	return len(c.cert.PermittedIPRanges) == 0 || slices.ContainsFunc(c.cert.PermittedIPRanges, in)
}
