//go:build integration

package kube

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"testing"
	"time"
)

const day = 24 * time.Hour

// The injector replaces its authority and its certificate while pods are created: every pod is admitted, and at every moment
// the API server trusts what any replica serves.
func TestCertificatesAreRotatedWithoutAFailedAdmission(t *testing.T) {
	t.Parallel()
	i := mustPlane(t).install(t)
	host := installed + "." + i.namespace + ".svc"
	old, err := newAuthority("old", 300*day) // in the second half of its life
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(old.key)
	if err != nil {
		t.Fatal(err)
	}
	store := func(data map[string][]byte, life time.Duration) {
		t.Helper()
		if data["tls.crt"], data["tls.key"], err = old.issue(life, host); err != nil {
			t.Fatal(err)
		}
		i.must(t, "PATCH", i.secret(), object{"data": data})
	}
	store(map[string][]byte{"ca.crt": old.pem, "ca.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})}, 60*day)
	i.start(t)
	i.start(t)
	i.connect(i.replicas...)
	i.called(t)
	ns := i.tenant(t)

	both, err := base64.StdEncoding.DecodeString(text(i.must(t, "GET", i.secret(), nil), "data", "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	first, rest := pem.Decode(both)
	if first == nil || string(rest) != string(old.pem) {
		t.Fatalf("an authority in the second half of its life has no successor:\n%s", both)
	}
	successor := x509.NewCertPool()
	successor.AppendCertsFromPEM(pem.EncodeToMemory(first))
	for _, w := range i.replicas {
		if err := w.serves(host, successor); err == nil {
			t.Error("the successor's certificate is served as soon as it is announced")
		}
	}

	store(map[string][]byte{}, day) // a certificate about to expire
	admitted := 0
	eventually(t, func() error {
		if _, err := i.create(ns, application(annotations("true")), "?dryRun=All"); err != nil {
			t.Fatalf("after %d pods: %v", admitted, err)
		}
		admitted++
		trusted := i.trusted(t)
		var notYet error
		for _, w := range i.replicas {
			if err := w.serves(host, trusted); err != nil {
				t.Fatalf("after %d pods a replica is not trusted: %v", admitted, err)
			}
			if err := w.serves(host, successor); err != nil {
				notYet = fmt.Errorf("the certificate has not been replaced: %w", err)
			}
		}
		return notYet
	})
	if admitted < 2 {
		t.Errorf("%d pods while certificates were replaced", admitted)
	}
}

// secret is where the injector keeps its certificates.
func (i *injector) secret() string {
	return "/api/v1/namespaces/" + i.namespace + "/secrets/" + installed + "-webhook-tls"
}

// trusted are the authorities that the API server trusts.
func (i *injector) trusted(t *testing.T) *x509.CertPool {
	t.Helper()
	c := i.must(t, "GET", "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/"+installed+"-"+i.namespace, nil)
	bundle, err := base64.StdEncoding.DecodeString(text(c, "webhooks", 0, "clientConfig", "caBundle"))
	if err == nil && text(c, "webhooks", 1, "clientConfig", "caBundle") != text(c, "webhooks", 0, "clientConfig", "caBundle") {
		err = errors.New("the webhooks have different bundles")
	}
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(bundle) {
		t.Fatalf("no caBundle: %v", err)
	}
	return pool
}

// serves returns nil if the webhook's certificate is good under an authority.
func (w *webhook) serves(host string, authorities *x509.CertPool) error {
	conn, err := tls.Dial("tcp", w.address, &tls.Config{ServerName: host, RootCAs: authorities})
	if err != nil {
		return err
	}
	return conn.Close()
}
