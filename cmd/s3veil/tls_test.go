package main

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// listenTLS serves one byte per connection with the configuration of a file.
func listenTLS(t *testing.T, l *loaded) (net.Listener, *tlsSwitch) {
	t.Helper()
	cfg := l.serverTLS()
	if l.bad != nil {
		t.Fatal(l.bad)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := newTLSSwitch(cfg)
	ln := tls.NewListener(inner, s.config())
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = c.Write([]byte("x"))
			}()
		}
	}()
	return ln, s
}

// dial returns the state of a connection over which a byte has come.
func dial(ln net.Listener, cfg *tls.Config) (tls.ConnectionState, error) {
	cfg.ServerName = "s3.example.internal"
	c, err := tls.Dial("tcp", ln.Addr().String(), cfg)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer c.Close()
	_, err = io.ReadFull(c, make([]byte, 1)) // refusals of client certificates come after the handshake
	return c.ConnectionState(), err
}

func roots(t *testing.T) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile("testdata/server.pem")
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool
}

func TestTLSOffersHTTP1Only(t *testing.T) {
	key := Path(filepath.Join(fixtures(t), "server.key"))
	ln, _ := listenTLS(t, &loaded{Config: Config{TLS: TLS{CertFile: "testdata/server.pem", KeyFile: key, MinVersion: "1.2"}}})
	state, err := dial(ln, &tls.Config{RootCAs: roots(t), NextProtos: []string{"h2", "http/1.1"}})
	if err != nil || state.NegotiatedProtocol != "http/1.1" {
		t.Errorf("protocol %q, %v", state.NegotiatedProtocol, err)
	}
	if _, err := dial(ln, &tls.Config{RootCAs: roots(t), NextProtos: []string{"h2"}}); err == nil {
		t.Error("speaks h2")
	}
	if _, err := dial(ln, &tls.Config{RootCAs: roots(t), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("speaks TLS 1.1")
	}
}

func TestTLSMinimumAndClientCertificates(t *testing.T) {
	key := Path(filepath.Join(fixtures(t), "server.key"))
	ln, tlsNow := listenTLS(t, &loaded{Config: Config{TLS: TLS{CertFile: "testdata/server.pem", KeyFile: key,
		ClientCAFile: "testdata/server.pem", MinVersion: "1.3"}}})
	pair, err := tls.LoadX509KeyPair("testdata/server.pem", "testdata/server.key")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dial(ln, &tls.Config{RootCAs: roots(t)}); err == nil {
		t.Error("served without a client certificate")
	}
	with := &tls.Config{RootCAs: roots(t), Certificates: []tls.Certificate{pair}}
	if _, err := dial(ln, with); err != nil {
		t.Error("with a client certificate:", err)
	}
	old := &tls.Config{RootCAs: roots(t), Certificates: []tls.Certificate{pair}, MaxVersion: tls.VersionTLS12}
	if _, err := dial(ln, old); err == nil {
		t.Error("speaks TLS 1.2 below the configured minimum")
	}
	open := (&loaded{Config: Config{TLS: TLS{CertFile: "testdata/server.pem", KeyFile: key, MinVersion: "1.2"}}}).serverTLS()
	tlsNow.current.Store(open)
	if _, err := dial(ln, &tls.Config{RootCAs: roots(t)}); err != nil {
		t.Error("after a reload that no longer asks for certificates:", err)
	}
}
