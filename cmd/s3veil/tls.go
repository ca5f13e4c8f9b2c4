package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync/atomic"

	"s3veil/crypto/kms"
)

// tlsVersions are the words of tls.min_version.
var tlsVersions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// serverTLS reads certificate, key and client CAs of the S3 endpoint; nil without TLS. Faults become mistakes.
func (l *loaded) serverTLS() *tls.Config {
	if l.TLS.CertFile == "" || l.TLS.KeyFile == "" {
		return nil
	}
	cfg := &tls.Config{
		MinVersion: tlsVersions[l.TLS.MinVersion],
		NextProtos: []string{"http/1.1"},
	}
	if cert, ok := l.keyPair("tls.cert_file", "tls.key_file", l.TLS.CertFile, l.TLS.KeyFile); ok {
		cfg.Certificates = []tls.Certificate{cert}
	}
	if l.TLS.ClientCAFile != "" {
		cfg.ClientCAs = l.pool("tls.client_ca_file", l.TLS.ClientCAFile)
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return cfg
}

// clientTLS is how the store at path is spoken to, and a fingerprint of everything that went into it.
func (l *loaded) clientTLS(path string, u *Upstream) (*tls.Config, [sha256.Size]byte) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: u.InsecureSkipVerify}
	print := fmt.Appendf(nil, "%q %t", u.Endpoint, u.InsecureSkipVerify)
	if u.CAFile != "" {
		cfg.RootCAs = l.pool(path+".ca_file", u.CAFile)
		pem, _ := os.ReadFile(string(u.CAFile))
		print = fmt.Appendf(print, " ca %q", pem)
	}
	if u.ClientCertFile != "" && u.ClientKeyFile != "" {
		if cert, ok := l.keyPair(path+".client_cert_file", path+".client_key_file", u.ClientCertFile, u.ClientKeyFile); ok {
			cfg.Certificates = []tls.Certificate{cert}
			print = fmt.Appendf(print, " cert %q", cert.Certificate)
		}
	}
	return cfg, sha256.Sum256(print)
}

// keyPair reads a certificate chain and its key, which the settings at path and keyPath name.
func (l *loaded) keyPair(path, keyPath string, certFile, keyFile Path) (tls.Certificate, bool) {
	cert, ok := l.read(path, certFile)
	key, ok2 := l.readPrivate(keyPath, keyFile)
	defer clear(key)
	if !ok || !ok2 {
		return tls.Certificate{}, false
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		l.wrong(path, "%s", err)
	}
	l.noteEnd(path, pair.Certificate)
	return pair, err == nil
}

// pool reads certificate authorities.
func (l *loaded) pool(path string, file Path) *x509.CertPool {
	pool := x509.NewCertPool()
	if pem, ok := l.read(path, file); ok && !pool.AppendCertsFromPEM(pem) {
		l.wrong(path, "%s: no certificate in PEM", file)
	}
	return pool
}

// read reads a file of the configuration and has it watched from now on.
func (l *loaded) read(path string, file Path) ([]byte, bool) {
	l.files.add(string(file))
	b, err := os.ReadFile(string(file))
	if err != nil {
		l.wrong(path, "%s", err)
	}
	return b, err == nil
}

// readPrivate is read for a file that must be this process's alone.
func (l *loaded) readPrivate(path string, file Path) ([]byte, bool) {
	l.files.add(string(file))
	b, err := kms.ReadSecretFile(string(file), maxSecretFile)
	if err != nil {
		l.wrong(path, "%s", err)
	}
	return b, err == nil
}

// tlsSwitch hands every connection the TLS configuration of the moment, so that a reload needs no new listener.
type tlsSwitch struct{ current atomic.Pointer[tls.Config] }

func newTLSSwitch(cfg *tls.Config) *tlsSwitch {
	s := &tlsSwitch{}
	s.current.Store(cfg)
	return s
}

// config is what a listener is opened with.
func (s *tlsSwitch) config() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.current.Load(), nil },
	}
}
