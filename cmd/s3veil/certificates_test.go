//go:build !nodevstore && (linux || darwin || freebsd)

package main

import (
	"crypto/tls"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// TestEndOfCertificatesIsAMetric: of the certificate in force, before and after a reload.
func TestEndOfCertificatesIsAMetric(t *testing.T) {
	s := newSite(t)
	s.secret("one", "secret-one")
	s.newPair("first")
	r := begin(t, "serve", "--config", s.configure("tls: {cert_file: server.pem, key_file: server.key}", "one"))
	line := regexp.MustCompile(`(?m)^s3veil_certificate_expiry_timestamp_seconds\{name="tls.cert_file"\} (\S+)$`)
	shown := func() float64 {
		_, text := r.adminGet(t, "/metrics")
		m := line.FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("no end of the certificate in %s", text)
		}
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	first, want := shown(), s.ends()
	if first != want {
		t.Errorf("%v, want %v", first, want)
	}
	await(t, "a certificate that ends later", func() bool { s.newPair("second"); return s.ends() > first })
	await(t, "its end is shown", func() bool { return shown() == s.ends() })
}

// ends is when the site's certificate ends, in Unix seconds.
func (s *site) ends() float64 {
	pair, err := tls.LoadX509KeyPair(filepath.Join(s.dir, "server.pem"), filepath.Join(s.dir, "server.key"))
	if err != nil {
		s.t.Fatal(err)
	}
	return float64(pair.Leaf.NotAfter.Unix())
}

// A chain ends with the first of its certificates; what is no certificate has no end.
func TestAChainEndsWithItsFirstCertificate(t *testing.T) {
	var chain [][]byte
	var ends []time.Time
	for range 2 {
		s := &site{t: t, dir: t.TempDir()}
		await(t, "another end", func() bool {
			s.newPair("x")
			return len(ends) == 0 || s.ends() != float64(ends[0].Unix())
		})
		pair, err := tls.LoadX509KeyPair(filepath.Join(s.dir, "server.pem"), filepath.Join(s.dir, "server.key"))
		if err != nil {
			t.Fatal(err)
		}
		chain, ends = append(chain, pair.Certificate[0]), append(ends, pair.Leaf.NotAfter)
	}
	for _, order := range [][][]byte{{chain[0], chain[1]}, {chain[1], chain[0]}} {
		var l loaded
		l.noteEnd("tls.cert_file", order)
		if got := l.ends["tls.cert_file"]; !got.Equal(ends[0]) {
			t.Errorf("%v, want %v", got, ends[0])
		}
	}
	var l loaded
	l.noteEnd("tls.cert_file", [][]byte{[]byte("no certificate")})
	if len(l.ends) != 0 {
		t.Error(l.ends)
	}
}
