package options

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// authority is a certificate authority in a folder of its own.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its certificate
	pool *x509.CertPool
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir(), pool: x509.NewCertPool()}
	var der []byte
	der, a.key = a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	a.cert, _ = x509.ParseCertificate(der)
	a.pool.AddCert(a.cert)
	a.file = filepath.Join(a.dir, "ca.pem")
	replace(t, a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

// sign makes a certificate under the authority, or under its own key where there is none yet.
func (a *authority) sign(c *x509.Certificate, by *authority) ([]byte, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	return der, key
}

// issue writes a certificate for 127.0.0.1 and its key, good for both sides, in the place of two files.
func (a *authority) issue(name, certFile, keyFile string) tls.Certificate {
	a.t.Helper()
	der, key := a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, a)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	// The key first: until its certificate is there, too, the pair does not fit and the old one stays in force.
	replace(a.t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
	replace(a.t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// over is a client's option: connections of its own under a TLS configuration.
func over(config *tls.Config) func(*s3.Options) {
	return func(o *s3.Options) {
		o.HTTPClient = &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableCompression: true, DisableKeepAlives: true}}
	}
}

// A client certificate is demanded on top of the signature. When the authorities change by reload, certificates of the old one are
// worth nothing, not even in a resumed session.
func TestClientCertificates(t *testing.T) {
	first, second := newAuthority(t, "first"), newAuthority(t, "second")
	one := first.issue("client", filepath.Join(first.dir, "c.pem"), filepath.Join(first.dir, "c.key"))
	two := second.issue("client", filepath.Join(second.dir, "c.pem"), filepath.Join(second.dir, "c.key"))
	cl := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), TLS: true, Configure: func(config map[string]any) {
		config["tls"].(map[string]any)["client_ca_file"] = first.file
	}})
	bucket := create(t, cl.Store.Client(), unique("j"))
	put(t, cl.Store.Client(), bucket, "k", []byte("plaintext that is not served"))
	base := cl.HTTPClient().Transport.(*http.Transport).TLSClientConfig
	with := func(c *tls.Certificate, cache tls.ClientSessionCache) *s3.Client {
		config := base.Clone()
		config.ClientSessionCache = cache
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c, nil }
		return cl.Client(once, over(config))
	}
	none := &tls.Certificate{}
	// tries reports whether a request comes through to S3.
	tries := func(c *s3.Client) bool {
		_, err := c.ListObjectsV2(context.Background(), &s3.ListObjectsV2Input{Bucket: &bucket})
		return err == nil
	}
	cache := tls.NewLRUClientSessionCache(8)
	resumed := with(&one, cache)
	for range 2 {
		if !tries(resumed) {
			t.Fatal("a certificate of the authority is refused")
		}
	}
	if tries(with(none, nil)) || tries(with(&two, nil)) {
		t.Error("served without a certificate of the authority")
	}
	unsigned := with(&one, nil)
	if _, err := get(unsigned, bucket, "k"); code(err) == "" {
		t.Error("plaintext is served")
	}
	wrong := servers.NewClient(cl.Endpoint(), cl.AccessKey, "another-secret", once, over(&tls.Config{RootCAs: base.RootCAs, Certificates: []tls.Certificate{one}}))
	if _, err := wrong.ListBuckets(context.Background(), &s3.ListBucketsInput{}); code(err) != "SignatureDoesNotMatch" {
		t.Errorf("a certificate without the signature: %v", err)
	}

	cl.Replicas[0].MustReload(t, func(config map[string]any) { config["tls"].(map[string]any)["client_ca_file"] = second.file })
	if tries(with(&one, nil)) {
		t.Error("the authority that is gone still counts")
	}
	if tries(resumed) {
		t.Error("a session of the authority that is gone is resumed")
	}
	if !tries(with(&two, nil)) {
		t.Error("a certificate of the new authority is refused")
	}
}

// tlsFront is TLS in front of a store, which asks for client certificates of the authorities of the moment.
type tlsFront struct {
	endpoint string
	config   atomic.Pointer[tls.Config]
	seen     atomic.Pointer[string] // common name of the last client certificate
}

func frontOf(t *testing.T, store *servers.Store, config *tls.Config) *tlsFront {
	t.Helper()
	f := &tlsFront{}
	f.config.Store(config)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	f.endpoint = "https://" + ln.Addr().String()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go f.serve(c, strings.TrimPrefix(store.Endpoint, "http://"))
		}
	}()
	return f
}

func (f *tlsFront) serve(c net.Conn, store string) {
	defer c.Close()
	secure := tls.Server(c, f.config.Load())
	if secure.Handshake() != nil {
		return
	}
	if peers := secure.ConnectionState().PeerCertificates; len(peers) > 0 {
		f.seen.Store(&peers[0].Subject.CommonName)
	}
	to, err := net.Dial("tcp", store)
	if err != nil {
		return
	}
	defer to.Close()
	go func() {
		defer c.Close()
		_, _ = io.Copy(secure, to)
	}()
	_, _ = io.Copy(to, secure)
}

// The store gets s3veil's client certificate, and the one that has taken its place as soon as its file has been read again; the
// certificates of both sides are exchanged under load without a failed request.
func TestCertificatesAreRenewedUnderLoad(t *testing.T) {
	store := servers.MustShared(t, servers.Versity)
	old, next, own := newAuthority(t, "old"), newAuthority(t, "next"), newAuthority(t, "own")
	front := old.issue("store", filepath.Join(old.dir, "store.pem"), filepath.Join(old.dir, "store.key"))
	both := x509.NewCertPool()
	both.AddCert(old.cert)
	both.AddCert(next.cert)
	at := frontOf(t, store, &tls.Config{Certificates: []tls.Certificate{front}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: both})
	certFile, keyFile := filepath.Join(old.dir, "s3veil.pem"), filepath.Join(old.dir, "s3veil.key")
	old.issue("first", certFile, keyFile)
	serverFile, serverKey := filepath.Join(own.dir, "server.pem"), filepath.Join(own.dir, "server.key")
	own.issue("server 1", serverFile, serverKey)
	cl := s3veil.MustStart(t, s3veil.Options{Store: store, TLS: true, Configure: func(config map[string]any) {
		config["tls"] = map[string]any{"cert_file": serverFile, "key_file": serverKey}
		up := config["upstream"].(map[string]any)
		up["endpoint"], up["ca_file"], up["client_cert_file"], up["client_key_file"] = at.endpoint, old.file, certFile, keyFile
		up["idle_timeout"] = "100ms" // connections are made anew often
	}})
	client := func() *s3.Client { return cl.Client(once, over(&tls.Config{RootCAs: own.pool})) }
	bucket := create(t, client(), unique("k"))
	parts := twoParts()
	complete(t, client(), upload(t, client(), bucket, "multi", parts...))
	holds(t, client(), bucket, "multi", bytes.Join(parts, nil))
	shown := func() string {
		c, err := tls.Dial("tcp", strings.TrimPrefix(cl.Endpoint(), "https://"), &tls.Config{RootCAs: own.pool})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if at.seen.Load() == nil || *at.seen.Load() != "first" || shown() != "server 1" {
		t.Fatalf("the store sees %v, clients see %q", at.seen.Load(), shown())
	}

	l := begin(t, bucket, client, true)
	defer l.end()
	l.more(t, 5)
	next.issue("second", certFile, keyFile)
	own.issue("server 2", serverFile, serverKey)
	cl.Replicas[0].MustTakeOver(t)
	eventually(t, "the store sees the new certificate", func() bool { l.more(t, 1); return *at.seen.Load() == "second" })
	if got := shown(); got != "server 2" {
		t.Errorf("clients see %q", got)
	}
	l.more(t, 10)
	l.end()

	// Without a certificate that it knows the store is out of reach, which is told as such and not waited for.
	at.config.Store(&tls.Config{Certificates: []tls.Certificate{front}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: old.pool, SessionTicketsDisabled: true})
	var err error
	eventually(t, "the store refuses", func() bool {
		_, err = client().HeadBucket(context.Background(), &s3.HeadBucketInput{Bucket: &bucket})
		return err != nil
	})
	if _, err = client().ListObjectsV2(context.Background(), &s3.ListObjectsV2Input{Bucket: &bucket}); code(err) != "ServiceUnavailable" {
		t.Errorf("a store that knows the certificate no more: %v", err)
	}
}

// forwarded adds headers to requests behind their signature, as a balancer does; lines are headers of their own.
type forwarded struct {
	http.RoundTripper
	header map[string]string
}

func (f forwarded) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, value := range f.header {
		r.Header[name] = strings.Split(value, "\n")
	}
	return f.RoundTripper.RoundTrip(r)
}

// Behind a balancer that ends TLS, its headers say whether a request came over TLS, and from where; nobody else's do.
func TestBalancersSayWhetherTLSWasUsed(t *testing.T) {
	secure, plain := unique("y"), unique("z")
	configure := func(trusted ...string) func(map[string]any) {
		return func(config map[string]any) {
			rules(map[string]any{"name": secure, "require_tls": true})(config)
			config["trust_proxies"] = trusted
			config["clients"] = append(config["clients"].([]any), map[string]any{"access_key": "office", "secret_key": "office-secret-0123456789-abcdefghi",
				"buckets": []string{plain}, "actions": []string{"read"}, "sources": []string{"203.0.113.0/24"}})
		}
	}
	trusting, other, none := cluster(t, configure("10.0.0.0/8", "127.0.0.0/8")), cluster(t, configure("192.0.2.0/24")), cluster(t, configure())
	for _, bucket := range []string{secure, plain} {
		create(t, trusting.Store.Client(), bucket)
	}
	put(t, trusting.Client(), plain, "k", []byte("body"))
	as := func(cl *s3veil.Cluster, accessKey, secret string, header map[string]string) *s3.Client {
		return servers.NewClient(cl.Endpoint(), accessKey, secret, once, func(o *s3.Options) {
			o.HTTPClient = &http.Client{Transport: forwarded{http.DefaultTransport, header}}
		})
	}
	write := func(cl *s3veil.Cluster, header map[string]string) string {
		_, err := as(cl, cl.AccessKey, cl.SecretKey, header).PutObject(context.Background(), &s3.PutObjectInput{Bucket: &secure, Key: aws.String("k"), Body: bytes.NewReader([]byte("x"))})
		return code(err)
	}
	read := func(cl *s3veil.Cluster, header map[string]string) string {
		_, err := get(as(cl, "office", "office-secret-0123456789-abcdefghi", header), plain, "k")
		return code(err)
	}
	customer := func(cl *s3veil.Cluster, header map[string]string) string {
		_, err := as(cl, cl.AccessKey, cl.SecretKey, header).PutObject(context.Background(), &s3.PutObjectInput{Bucket: &plain, Key: aws.String("c"), Body: bytes.NewReader([]byte("x")),
			SSECustomerAlgorithm: aws.String("AES256"), SSECustomerKey: aws.String("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="), SSECustomerKeyMD5: aws.String("hRasmdxgYDKV3nvbahU1MA==")})
		return code(err)
	}
	https, clear := map[string]string{"X-Forwarded-Proto": "https"}, map[string]string{"X-Forwarded-Proto": "http"}
	said := func(schemes string) map[string]string { return map[string]string{"X-Forwarded-Proto": schemes} }
	from := func(hops string) map[string]string { return map[string]string{"X-Forwarded-For": hops} }
	for what, v := range map[string][2]string{
		"TLS ends at the balancer":                          {write(trusting, https), ""},
		"the balancer had it in the clear":                  {write(trusting, clear), "AccessDenied"},
		"two balancers with TLS":                            {write(trusting, said("https, HTTPS")), ""},
		"a client says so, and the balancer not":            {write(trusting, said("https\nhttp")), "AccessDenied"},
		"a client says so, in one line":                     {write(trusting, said("https,http")), "AccessDenied"},
		"the second balancer had it in the clear":           {write(trusting, said("http, https")), "AccessDenied"},
		"no balancer":                                       {write(trusting, nil), "AccessDenied"},
		"somebody else says so":                             {write(other, https), "AccessDenied"},
		"nobody is trusted":                                 {write(none, https), "AccessDenied"},
		"a customer's key over TLS":                         {customer(trusting, https), ""},
		"a customer's key in the clear":                     {customer(trusting, clear), "InvalidRequest"},
		"a customer's key, nobody is trusted":               {customer(none, https), "InvalidRequest"},
		"from the office":                                   {read(trusting, from("203.0.113.9")), ""},
		"from the office over two balancers":                {read(trusting, from("198.51.100.1, 203.0.113.9, 10.1.2.3")), ""},
		"from elsewhere":                                    {read(trusting, from("198.51.100.1")), "AccessDenied"},
		"from elsewhere, and says it comes from the office": {read(trusting, from("203.0.113.9, 198.51.100.1")), "AccessDenied"},
		"from the balancer itself":                          {read(trusting, nil), "AccessDenied"},
		"from the office, says nobody who is trusted":       {read(none, from("203.0.113.9")), "AccessDenied"},
	} {
		if v[0] != v[1] {
			t.Errorf("%s: %q, want %q", what, v[0], v[1])
		}
	}
}

func serverTLS(c tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c}}
}
