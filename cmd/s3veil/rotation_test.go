//go:build !nodevstore && (linux || darwin || freebsd)

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"
)

// newPair replaces the certificate and the key of a site by new ones.
func (s *site) newPair(name string) { s.newPairUntil(name, time.Now().Add(time.Hour)) }

func (s *site) newPairUntil(name string, end time.Time) {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotAfter: end, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		s.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	write(s.t, filepath.Join(s.dir, "server.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	write(s.t, filepath.Join(s.dir, "server.key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

// TestSecretsInFilesAreReadAgain: the secrets that no other test of reloading changes.
func TestSecretsInFilesAreReadAgain(t *testing.T) {
	s := newSite(t)
	s.secret("one", "secret-one")
	s.secret("token", "first-token")
	s.newPair("first")
	r := begin(t, "serve", "--config", s.configure("admin_token_file: token\ntls: {cert_file: server.pem, key_file: server.key}", "one"))
	metrics := func(token string) int {
		req, err := http.NewRequest("GET", "http://"+r.Admin+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	shown := func() string {
		c, err := tls.Dial("tcp", r.Listen, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if code, name := metrics("first-token"), shown(); code != http.StatusOK || name != "first" {
		t.Fatalf("at first: %d, %s", code, name)
	}
	s.secret("token", "second-token")
	await(t, "the new token counts", func() bool { return metrics("second-token") == http.StatusOK })
	if code := metrics("first-token"); code != http.StatusUnauthorized {
		t.Errorf("the former token is answered %d", code)
	}
	s.newPair("second")
	await(t, "the new certificate is shown", func() bool { return shown() == "second" })
}
