package forward

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"
)

func testCA(t *testing.T, life time.Duration, hosts ...string) (*CA, *x509.CertPool) {
	t.Helper()
	cert, key, err := NewCA(hosts, time.Now(), life)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := ParseCA(cert, key, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return ca, pool
}

// shake does a handshake with a client that asks for name and trusts pool.
func shake(t *testing.T, f *Forward, target Target, name string, pool *x509.CertPool) (state tls.ConnectionState, server, client error) {
	t.Helper()
	a, b := pipe(t)
	done := make(chan error, 1)
	go func() {
		s := tls.Server(a, f.serverTLS(target))
		err := s.Handshake()
		a.Close()
		done <- err
	}()
	c := tls.Client(b, &tls.Config{ServerName: name, RootCAs: pool, NextProtos: []string{"h2", "http/1.1"}})
	client = c.Handshake()
	state = c.ConnectionState()
	b.Close()
	return state, <-done, client
}

func TestLeafOfAHost(t *testing.T) {
	ca, pool := testCA(t, time.Hour*48, AWS, "192.0.2.7", "minio.example")
	f := newTest(t, Options{CA: ca, Hosts: []string{AWS}})
	for _, host := range []string{"s3.eu-west-1.amazonaws.com", "a.dotted.bucket.s3.amazonaws.com", "my_bucket.minio.example", "192.0.2.7",
		strings.Repeat("b", 63) + ".s3.eu-west-1.amazonaws.com"} {
		state, server, client := shake(t, f, Target{host, 443}, host, pool)
		if server != nil && !strings.Contains(server.Error(), "closed") || client != nil {
			t.Errorf("%s: %v, %v", host, server, client)
			continue
		}
		leaf := state.PeerCertificates[0]
		if life := leaf.NotAfter.Sub(leaf.NotBefore); life > 26*time.Hour || leaf.IsCA || len(leaf.DNSNames)+len(leaf.IPAddresses) != 1 {
			t.Errorf("%s: %v, %v", host, life, leaf.DNSNames)
		}
		if state.NegotiatedProtocol != "http/1.1" || state.Version < tls.VersionTLS12 {
			t.Errorf("%s: protocol %q", host, state.NegotiatedProtocol)
		}
	}
	_, server, _ := shake(t, f, Target{"s3.amazonaws.com", 443}, "other.amazonaws.com", pool)
	var name *NameError
	if !errors.As(server, &name) || name.Asked != "other.amazonaws.com" {
		t.Errorf("another name than CONNECT's: %v", server)
	}
}

// A certificate of a stolen key for any other name is worth nothing.
func TestNameConstraintsConfineTheCA(t *testing.T) {
	ca, pool := testCA(t, time.Hour, "minio.example")
	f := newTest(t, Options{CA: ca})
	for host, good := range map[string]bool{"minio.example": true, "b.minio.example": true, "example": false, "www.bank.example": false, "xminio.example": false, "192.0.2.1": false, "::1": false} {
		if _, _, client := shake(t, f, Target{host, 443}, host, pool); (client == nil) != good {
			t.Errorf("%s: %v", host, client)
		}
	}
	if c := ca.Certificate(); !c.MaxPathLenZero || !c.PermittedDNSDomainsCritical || c.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign || len(c.ExtKeyUsage) != 1 {
		t.Errorf("%+v", c)
	}
	for host, covered := range map[string]bool{"minio.example": true, "*.minio.example": true, "s3.*.minio.example:443": true, "b.minio.example:9000": true, AWS: false, "*.example": false, "xminio.example": false, "127.0.0.1": false} {
		if ca.Covers(host) != covered {
			t.Errorf("%s: %t", host, !covered)
		}
	}
	addresses, _ := testCA(t, time.Hour, "127.0.0.1:9000")
	if !addresses.Covers("127.0.0.1") || addresses.Covers("127.0.0.2") || addresses.Covers("minio.example") {
		t.Error("a CA for one address")
	}
	for _, bad := range [][]string{nil, {"*"}, {"s3.*"}, {"x y"}} {
		if _, _, err := NewCA(bad, time.Now(), time.Hour); err == nil {
			t.Errorf("a CA for %q", bad)
		}
	}
}

func TestLeavesAreKeptAndRenewed(t *testing.T) {
	ca, _ := testCA(t, 100*time.Hour, "minio.example")
	l := newLeaves(ca)
	start := time.Now()
	now := start
	l.now = func() time.Time { return now }
	get := func(host string) *tls.Certificate {
		t.Helper()
		c, err := l.get(host)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := get("minio.example")
	now = start.Add(17 * time.Hour)
	if get("minio.example") != first {
		t.Error("not kept")
	}
	now = start.Add(19 * time.Hour)
	if get("minio.example") == first {
		t.Error("not renewed in time")
	}
	now = start.Add(99 * time.Hour) // less than a renewal before the CA's own end
	last := get("minio.example")
	if get("minio.example") != last {
		t.Error("the last one is made anew each time")
	}
	now = start.Add(101 * time.Hour)
	if _, err := l.get("minio.example"); !errors.Is(err, errCAExpired) {
		t.Errorf("after the CA's end: %v", err)
	}
	now = start
	for i := range maxLeaves + 10 {
		get(strings.Repeat("a", i%40+1) + "." + strings.Repeat("b", i/40+1) + ".minio.example")
	}
	if len(l.byKey) != maxLeaves || l.order.Len() != maxLeaves {
		t.Errorf("%d leaves are kept", len(l.byKey))
	}
}

func TestCertificatesThatAreNoCA(t *testing.T) {
	cert, key, err := NewCA([]string{"minio.example"}, time.Now().Add(-48*time.Hour), 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseCA(cert, key, time.Now()); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an expired one: %v", err)
	}
	_, other, _ := NewCA([]string{"minio.example"}, time.Now(), time.Hour)
	if _, err := ParseCA(cert, other, time.Now()); err == nil {
		t.Error("with another key")
	}
	ca, _ := testCA(t, time.Hour, "minio.example")
	l := newLeaves(ca)
	leaf, err := l.get("minio.example")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseCA(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Certificate[0]}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), time.Now()); err == nil || !strings.Contains(err.Error(), "authority") {
		t.Errorf("a leaf: %v", err)
	}
	plain := &x509.Certificate{SerialNumber: serial(), NotAfter: time.Now().Add(time.Hour)} // says nothing about its use
	der, err := x509.CreateCertificate(rand.Reader, plain, plain, l.key.Public(), l.key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseCA(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), time.Now()); err == nil || !strings.Contains(err.Error(), "authority") {
		t.Errorf("a certificate for anything: %v", err)
	}
}

func TestUsers(t *testing.T) {
	u, err := ParseUsers("# who may\nann:secret:with colon\r\n\nbob:x\n")
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{
		"Basic YW5uOnNlY3JldDp3aXRoIGNvbG9u": "ann", // ann:secret:with colon
		"basic Ym9iOng=":                     "bob", // bob:x
		"Basic Ym9iOnk=":                     "",    // bob:y
		"Basic Ym9iOg==":                     "",    // bob:
		"Basic Ym9i":                         "",    // bob
		"Basic bm9ib2R5Og==":                 "",    // nobody:
		"Bearer Ym9iOng=":                    "",
		"Basic %%%":                          "",
		"":                                   "",
	} {
		if name, ok := u.Verify(value); name != want || ok != (want != "") {
			t.Errorf("%q: %q, %t", value, name, ok)
		}
	}
	for _, bad := range []string{"", "# none\n", "ann\n", "ann:\n", ":x\n", "ann:x\nann:y\n"} {
		if _, err := ParseUsers(bad); err == nil {
			t.Errorf("%q", bad)
		}
	}
}
