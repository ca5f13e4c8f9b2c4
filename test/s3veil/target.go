package s3veil

import (
	"crypto/tls"
	"crypto/x509"
	"math/rand/v2"
	"net/http"
	"os"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/servers"
)

// Target is what a client test talks to: replicas of s3veil, or a store itself.
type Target struct {
	Name      string // "s3veil" or "bare"
	Endpoints []string
	AccessKey string
	SecretKey string
	CAFile    string // of https endpoints
	Store     *servers.Store
	Encrypted bool // s3veil stands in front
	// Crashed describes replicas that have ended by themselves; empty while all is well.
	Crashed func() string
}

// Bare is the store itself.
func Bare(s *servers.Store) *Target {
	return &Target{Name: "bare", Endpoints: []string{s.Endpoint}, AccessKey: s.AccessKey, SecretKey: s.SecretKey, Store: s,
		Crashed: func() string { return "" }}
}

// Endpoint is one of the endpoints, a random one at each call.
func (t *Target) Endpoint() string { return t.Endpoints[rand.IntN(len(t.Endpoints))] }

// HTTPClient is a client with its own connections that trusts the target's CA. A bare store gets a connection per request:
// versitygw at times takes what follows an aws-chunked body for the next request, and answers 400 to whoever reuses it.
func (t *Target) HTTPClient() *http.Client {
	tr := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true, DisableKeepAlives: !t.Encrypted}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			panic(err) // the file was made by Start
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		tr.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	return &http.Client{Transport: tr}
}

// Client is an aws-sdk-go-v2 client for one of the endpoints.
func (t *Target) Client(more ...func(*s3.Options)) *s3.Client {
	return t.ClientOf(t.Endpoint(), more...)
}

// ClientOf is an aws-sdk-go-v2 client for the given endpoint.
func (t *Target) ClientOf(endpoint string, more ...func(*s3.Options)) *s3.Client {
	more = append([]func(*s3.Options){func(o *s3.Options) { o.HTTPClient = t.HTTPClient() }}, more...)
	return servers.NewClient(endpoint, t.AccessKey, t.SecretKey, more...)
}

// MustStart starts a cluster for one test, or ends the test.
func MustStart(t testing.TB, o Options) *Cluster {
	t.Helper()
	c, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if what := c.Crashed(); what != "" {
			t.Error(what)
		}
		if t.Failed() && os.Getenv("S3VEIL_TEST_KEEP") != "0" {
			c.Keep()
			t.Logf("kept for inspection: %s", c.Dir)
			return
		}
		c.Stop()
	})
	return c
}
