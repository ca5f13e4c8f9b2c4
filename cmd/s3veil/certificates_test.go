//go:build !nodevstore && (linux || darwin || freebsd)

package main

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
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

// A certificate that has ended is taken, since a process that does not start serves nobody; the log says why clients fail.
func TestEndedCertificatesAreNamed(t *testing.T) {
	now := time.Now()
	var out bytes.Buffer
	warnOfEnded(slog.New(slog.NewTextHandler(&out, nil)), map[string]time.Time{
		"tls.cert_file": now.Add(-time.Second), "upstream.client_cert_file": now, "forward.ca_file": now.Add(time.Second),
	}, now)
	names := regexp.MustCompile(`level=WARN .*name=(\S+) `).FindAllStringSubmatch(out.String(), -1)
	if len(names) != 2 || names[0][1] != "tls.cert_file" || names[1][1] != "upstream.client_cert_file" {
		t.Errorf("the log has %s", out.String())
	}
}

// The log of a program that starts with one names it, too.
func TestAnEndedCertificateIsNamedAtTheStart(t *testing.T) {
	s := newSite(t)
	s.secret("one", "secret-one")
	s.newPairUntil("ended", time.Now().Add(-time.Minute))
	r := begin(t, "serve", "--config", s.configure("tls: {cert_file: server.pem, key_file: server.key}", "one"))
	if !strings.Contains(r.out.String(), `"msg":"a certificate has ended, connections that depend on it fail","name":"tls.cert_file"`) {
		t.Errorf("the log has %s", r.out.String())
	}
}
