package inject

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
	"slices"
	"time"
)

// The lives of what the webhook makes for itself. An authority is replaced at half its life: its successor stands in the
// caBundle for months before the first certificate is made with it, and it stays there itself until it expires.
const (
	authorityLife  = 2 * 365 * 24 * time.Hour
	authorityRenew = authorityLife / 2
	leafLife       = 90 * 24 * time.Hour
	leafRenew      = 30 * 24 * time.Hour
)

// keySet is the content of the webhook's Secret, all in PEM.
type keySet struct {
	bundle []byte // ca.crt: certificates of the authorities, the newest first
	caKey  []byte // ca.key: of the newest
	cert   []byte // tls.crt
	key    []byte // tls.key
}

// The keys of the Secret; those of the type kubernetes.io/tls among them.
const (
	keyBundle = "ca.crt"
	keyCA     = "ca.key"
	keyCert   = "tls.crt"
	keyLeaf   = "tls.key"
)

func keySetOf(data map[string][]byte) keySet {
	return keySet{data[keyBundle], data[keyCA], data[keyCert], data[keyLeaf]}
}

func (k keySet) data() map[string][]byte {
	return map[string][]byte{keyBundle: k.bundle, keyCA: k.caKey, keyCert: k.cert, keyLeaf: k.key}
}

// renew returns the key set to use now, and whether it differs from k. What cannot be read is made anew.
func (k keySet) renew(names []string, now time.Time) (keySet, bool, error) {
	authorities, ca, err := k.authorities(now)
	if err != nil {
		return fresh(names, now)
	}
	changed := false
	due := authorities[0].NotAfter.Sub(now) < authorityRenew && k.leafFits(authorities, names, now.Add(leafRenew))
	if due || !mayName(authorities[0], names) {
		// One that is due is announced first: the leaf stays with the old one until it is renewed.
		cert, key, err := newAuthority(names, now)
		if err != nil {
			return k, false, err
		}
		k.bundle, k.caKey, changed = join(append([]*x509.Certificate{cert}, authorities...)), encodeKey(key), true
		authorities, ca = append([]*x509.Certificate{cert}, authorities...), key
	}
	if !k.leafFits(authorities, names, now.Add(leafRenew)) {
		if k.cert, k.key, err = newLeaf(authorities[0], ca, names, now); err != nil {
			return k, false, err
		}
		changed = true
	}
	if bundle := join(authorities); !bytes.Equal(bundle, k.bundle) {
		k.bundle, changed = bundle, true // one has expired
	}
	return k, changed, nil
}

// mayName reports whether an authority may sign for the names.
func mayName(ca *x509.Certificate, names []string) bool {
	for _, n := range names {
		if !slices.Contains(ca.PermittedDNSDomains, n) {
			return false
		}
	}
	return true
}

// fresh makes everything anew.
func fresh(names []string, now time.Time) (keySet, bool, error) {
	cert, ca, err := newAuthority(names, now)
	if err != nil {
		return keySet{}, false, err
	}
	k := keySet{bundle: join([]*x509.Certificate{cert}), caKey: encodeKey(ca)}
	k.cert, k.key, err = newLeaf(cert, ca, names, now)
	return k, err == nil, err
}

// authorities are those of the bundle that have not expired, and the key of the first.
func (k keySet) authorities(now time.Time) ([]*x509.Certificate, crypto.Signer, error) {
	pair, err := tls.X509KeyPair(k.bundle, k.caKey)
	if err != nil {
		return nil, nil, err
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, nil, errors.New("the key cannot sign")
	}
	var out []*x509.Certificate
	for i, der := range pair.Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, nil, err
		}
		switch {
		case now.Before(cert.NotAfter):
			out = append(out, cert)
		case i == 0:
			return nil, nil, fmt.Errorf("expired on %s", cert.NotAfter.Format(time.RFC3339))
		}
	}
	return out, signer, nil
}

// leafFits reports whether the certificate is good at a time, for all names, under one of the authorities, with its key.
func (k keySet) leafFits(authorities []*x509.Certificate, names []string, at time.Time) bool {
	pair, err := tls.X509KeyPair(k.cert, k.key)
	if err != nil {
		return false
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return false
	}
	roots := x509.NewCertPool()
	for _, a := range authorities {
		roots.AddCert(a)
	}
	for _, n := range names {
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: n, Roots: roots, CurrentTime: at}); err != nil {
			return false
		}
	}
	return true
}

// newAuthority makes an authority that can sign for the names alone.
func newAuthority(names []string, now time.Time) (*x509.Certificate, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: "s3veil injector CA " + now.UTC().Format("2006-01-02"), Organization: []string{"s3veil"}},
		NotBefore:    now.Add(-time.Hour), NotAfter: now.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage:                    x509.KeyUsageCertSign,
		ExtKeyUsage:                 []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		PermittedDNSDomainsCritical: true,
		PermittedDNSDomains:         names,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}

// newLeaf makes a certificate for the names, which ends before its authority does.
func newLeaf(ca *x509.Certificate, signer crypto.Signer, names []string, now time.Time) (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	ends := now.Add(leafLife)
	if ends.After(ca.NotAfter) {
		ends = ca.NotAfter
	}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "s3veil injector"}, DNSNames: slices.Clone(names),
		NotBefore: now.Add(-time.Hour), NotAfter: ends,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, ca, private.Public(), signer)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), encodeKey(private), nil
}

// serial is a positive number of 127 bits (RFC 5280 4.1.2.2).
func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b)
	b[0] &= 0x7f
	b[15] |= 1
	return new(big.Int).SetBytes(b)
}

func join(certs []*x509.Certificate) (out []byte) {
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

func encodeKey(key crypto.Signer) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil // which the next look finds unreadable, and replaces
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
