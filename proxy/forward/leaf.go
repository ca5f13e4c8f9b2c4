package forward

import (
	"container/list"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// The life of leaf certificates, and how many are kept: a bucket in virtual-host style has one of its own.
const (
	leafLife    = 24 * time.Hour
	leafRenewal = 6 * time.Hour // before its end
	leafSkew    = time.Hour     // clients whose clock is behind
	maxLeaves   = 1024
)

// leaves signs certificates for hosts and keeps them while they are good. All share one key, which exists in memory only.
type leaves struct {
	ca  *CA
	now func() time.Time

	mu    sync.Mutex
	key   *ecdsa.PrivateKey
	byKey map[string]*list.Element
	order *list.List // of *leaf, the latest used first
}

type leaf struct {
	host string
	cert *tls.Certificate
	end  time.Time
}

func newLeaves(ca *CA) *leaves {
	return &leaves{ca: ca, now: time.Now, byKey: map[string]*list.Element{}, order: list.New()}
}

// get returns a certificate for a host.
func (l *leaves) get(host string) (*tls.Certificate, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if e := l.byKey[host]; e != nil {
		if c := e.Value.(*leaf); now.Before(c.end.Add(-leafRenewal)) || !c.end.Before(l.ca.cert.NotAfter) && now.Before(c.end) {
			l.order.MoveToFront(e)
			return c.cert, nil
		}
		l.drop(e)
	}
	c, err := l.sign(host, now)
	if err != nil {
		return nil, err
	}
	l.byKey[host] = l.order.PushFront(c)
	if l.order.Len() > maxLeaves {
		l.drop(l.order.Back())
	}
	return c.cert, nil
}

func (l *leaves) drop(e *list.Element) {
	delete(l.byKey, e.Value.(*leaf).host)
	l.order.Remove(e)
}

var errCAExpired = errors.New("the certificate authority has expired")

// sign makes a certificate that ends with the CA at the latest.
func (l *leaves) sign(host string, now time.Time) (*leaf, error) {
	ca := l.ca.cert
	if !now.Before(ca.NotAfter) {
		return nil, errCAExpired
	}
	if l.key == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		l.key = key
	}
	t := &x509.Certificate{
		SerialNumber: serial(),
		NotBefore:    later(now.Add(-leafSkew), ca.NotBefore),
		NotAfter:     earlier(now.Add(leafLife), ca.NotAfter),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if len(host) <= 64 { // the most a common name may have; clients go by the names below
		t.Subject = pkix.Name{CommonName: host}
	}
	if ip := net.ParseIP(host); ip != nil {
		t.IPAddresses = []net.IP{ip}
	} else {
		t.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, ca, l.key.Public(), l.ca.key)
	if err != nil {
		return nil, fmt.Errorf("sign for %s: %w", host, err)
	}
	return &leaf{host, &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: l.key}, t.NotAfter}, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// NameError is a client that asks for another name in TLS than in CONNECT.
type NameError struct{ Asked, Target string }

// Error names both.
func (e *NameError) Error() string {
	return fmt.Sprintf("TLS asks for %q, CONNECT for %q", e.Asked, e.Target)
}

// serverTLS is how TLS to an S3 host is terminated: HTTP/1.1, a certificate for that host and for no other.
func (f *Forward) serverTLS(t Target) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		// Each connection has a configuration of its own, under whose keys no ticket would be good for another one.
		SessionTicketsDisabled: true,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if hello.ServerName != "" && normalName(hello.ServerName) != t.Host {
				return nil, &NameError{hello.ServerName, t.Host}
			}
			return f.leaves.get(t.Host)
		},
	}
}
