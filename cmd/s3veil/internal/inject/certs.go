package inject

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"s3veil/crypto/kms"
)

// Certificates hold the webhook's certificate of the moment, wherever it comes from.
type Certificates struct {
	current atomic.Pointer[tls.Certificate]
}

// Config is what the listener is opened with.
func (c *Certificates) Config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if cert := c.current.Load(); cert != nil {
				return cert, nil
			}
			return nil, errNoCertificate
		},
	}
}

var errNoCertificate = errors.New("there is no certificate yet")

// Ready says why the API server could not call: no certificate, or one out of its time.
func (c *Certificates) Ready(now time.Time) error {
	cert := c.current.Load()
	switch {
	case cert == nil:
		return errNoCertificate
	case now.After(cert.Leaf.NotAfter):
		return fmt.Errorf("the certificate has expired on %s", cert.Leaf.NotAfter.Format(time.RFC3339))
	}
	return nil
}

// Ends is when the certificate expires; zero without one.
func (c *Certificates) Ends() time.Time {
	if cert := c.current.Load(); cert != nil {
		return cert.Leaf.NotAfter
	}
	return time.Time{}
}

// set puts a chain and its key, in PEM, into force.
func (c *Certificates) set(certPEM, keyPEM []byte) error {
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return err
	}
	if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
		return err
	}
	c.current.Store(&pair)
	return nil
}

// Read takes the certificate from files. What is there stays when they cannot be read.
func (c *Certificates) Read(f Files) error {
	cert, err := os.ReadFile(f.CertFile)
	if err != nil {
		return err
	}
	key, err := kms.ReadSecretFile(f.KeyFile, 64<<10)
	if err != nil {
		return err
	}
	defer clear(key)
	if err := c.set(cert, key); err != nil {
		return fmt.Errorf("%s: %w", f.CertFile, err)
	}
	return nil
}

// keepEvery is the time between two looks at Secret and caBundle; retryAfter the one after a failure.
const (
	keepEvery  = 30 * time.Second
	retryAfter = 2 * time.Second
)

// Keep looks after a certificate of the webhook's own until ctx ends. told hears of every look: nil when all is well.
func (c *Certificates) Keep(ctx context.Context, k *Keeper, told func(error)) {
	for {
		err := k.Look(ctx, c)
		if ctx.Err() != nil {
			return
		}
		told(err)
		wait := keepEvery
		if err != nil {
			wait = retryAfter
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}
