package upstream

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// authority signs certificates for one test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func (a *authority) issue(t *testing.T, name string, until time.Time) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{name}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
	}
	if ip := net.ParseIP(name); ip != nil {
		template.DNSNames, template.IPAddresses = nil, []net.IP{ip}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}
}

func tlsStore(t *testing.T, config *tls.Config) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Got", big.NewInt(n).String())
		_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = config
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// TestTLSIsVerified is THREATS.md row 33.
func TestTLSIsVerified(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	soon := time.Now().Add(time.Hour)
	good := a.issue(t, "127.0.0.1", soon)
	for name, tc := range map[string]struct {
		server *tls.Config
		client *tls.Config
		ok     bool
	}{
		"good":          {&tls.Config{Certificates: []tls.Certificate{good}}, &tls.Config{RootCAs: a.pool()}, true},
		"expired":       {&tls.Config{Certificates: []tls.Certificate{a.issue(t, "127.0.0.1", time.Now().Add(-time.Hour))}}, &tls.Config{RootCAs: a.pool()}, false},
		"wrong host":    {&tls.Config{Certificates: []tls.Certificate{a.issue(t, "example.com", soon)}}, &tls.Config{RootCAs: a.pool()}, false},
		"unknown CA":    {&tls.Config{Certificates: []tls.Certificate{good}}, &tls.Config{RootCAs: other.pool()}, false},
		"no CA":         {&tls.Config{Certificates: []tls.Certificate{good}}, nil, false},
		"TLS 1.1":       {&tls.Config{Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, &tls.Config{RootCAs: a.pool(), MinVersion: tls.VersionTLS10}, false},
		"not verified":  {&tls.Config{Certificates: []tls.Certificate{good}}, &tls.Config{InsecureSkipVerify: true}, true},
		"client absent": {&tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}, &tls.Config{RootCAs: a.pool()}, false},
		"client": {&tls.Config{Certificates: []tls.Certificate{good}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.pool()},
			&tls.Config{RootCAs: a.pool(), Certificates: []tls.Certificate{a.issue(t, "s3veil", soon)}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := tlsStore(t, tc.server)
			dials := 0
			c := newClient(t, s.URL, func(o *Options) {
				o.TLS = tc.client
				o.Observe = func(e Event) {
					if e.Kind == "request" {
						dials++
					}
				}
			})
			status, body, err := do(t, c, get())
			if tc.ok && (err != nil || len(body) != 100_000) || !tc.ok && !errors.Is(err, ErrUnavailable) {
				t.Errorf("got %d, %d bytes, %v", status, len(body), err)
			}
			if !tc.ok && dials != 1 {
				t.Errorf("tried %d times", dials)
			}
		})
	}
}

func TestBodiesOverTLS(t *testing.T) {
	a := newAuthority(t)
	s := tlsStore(t, &tls.Config{Certificates: []tls.Certificate{a.issue(t, "127.0.0.1", time.Now().Add(time.Hour))}})
	c := newClient(t, s.URL, func(o *Options) {
		o.TLS = &tls.Config{RootCAs: a.pool()}
		o.Payload = InsecureUnsigned
		o.IdleTimeout = time.Minute
	})
	for range 3 {
		resp, err := c.Do(t.Context(), put(&stream{n: 3_000_000, piece: 1 << 20}))
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.Get("x-got") != "3000000" || n != 100_000 || err != nil {
			t.Errorf("store got %s, we %d, %v", resp.Get("x-got"), n, err)
		}
	}
	if open := c.open.Load(); open != 1 {
		t.Errorf("%d connections", open)
	}
}

// TestProxy: a tunnel for https, absolute targets for http, and nothing from the environment.
func TestProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	a := newAuthority(t)
	secure := tlsStore(t, &tls.Config{Certificates: []tls.Certificate{a.issue(t, "127.0.0.1", time.Now().Add(time.Hour))}})
	trust := &tls.Config{RootCAs: a.pool()}

	var seen []string
	proxy := newStore(t, func(_ int, c net.Conn, br *bufio.Reader) {
		r, err := readRequest(br)
		if err != nil {
			return
		}
		seen = append(seen, r.Method+" "+r.RequestURI+" "+r.Header.Get("Proxy-Authorization"))
		if r.Method != http.MethodConnect {
			_, _ = io.WriteString(c, reply(200, "by proxy"))
			return
		}
		to, err := net.Dial("tcp", r.RequestURI)
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX-Long: "+strings.Repeat("y", 100)+"\r\n\r\n")
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = io.Copy(to, br)
			_ = to.Close()
		}()
		_, _ = io.Copy(c, to)
		_ = c.Close()
		<-done
	})
	via := "http://u:p@" + proxy.Addr().String()

	c := newClient(t, secure.URL, func(o *Options) { o.TLS, o.Proxy = trust, via })
	if status, _, err := do(t, c, get()); status != 200 || err != nil {
		t.Errorf("https: %d, %v", status, err)
	}
	c = newClient(t, "http://store.invalid:9000", func(o *Options) { o.Proxy = via })
	if _, body, err := do(t, c, get()); body != "by proxy" || err != nil {
		t.Errorf("http: %q, %v", body, err)
	}
	c = newClient(t, "http://store.invalid:9000", func(o *Options) { o.Proxy, o.PathStyle = via, false })
	if _, body, err := do(t, c, get()); body != "by proxy" || err != nil {
		t.Errorf("http, the bucket in the host: %q, %v", body, err)
	}
	c = newClient(t, secure.URL, func(o *Options) { o.TLS = trust })
	if status, _, err := do(t, c, get()); status != 200 || err != nil {
		t.Errorf("without: %d, %v", status, err)
	}
	want := []string{
		"CONNECT " + strings.TrimPrefix(secure.URL, "https://") + " Basic dTpw",
		"GET http://store.invalid:9000/b/k Basic dTpw",
		"GET http://b.store.invalid:9000/k Basic dTpw",
	}
	if strings.Join(seen, "\n") != strings.Join(want, "\n") {
		t.Errorf("proxy saw %q", seen)
	}
}

func TestProxyThatRefusesTheTunnel(t *testing.T) {
	proxy := answering(t, func(*http.Request, []byte) string { return reply(407, "no") })
	c := newClient(t, "https://store.invalid", func(o *Options) { o.Proxy = proxy.url() })
	if _, err := c.Do(t.Context(), get()); !errors.Is(err, ErrUnavailable) || proxy.conns.Load() != 1 {
		t.Errorf("got %v after %d connections", err, proxy.conns.Load())
	}
	for _, bad := range []string{"https://p:1", "p:1", "http://"} {
		if _, err := New(Options{Endpoint: "http://h", Proxy: bad}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
