package main

import (
	"context"
	"crypto/tls"
	"log/slog"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/gcpkms"
)

// GCPKey holds the keys of the provider `gcpkms`: Google Cloud KMS.
type GCPKey struct {
	// JSON file of a service account or of workload identity federation. Left out: the application default
	// credentials (GOOGLE_APPLICATION_CREDENTIALS, the file of gcloud, the metadata server).
	CredentialsFile Path `yaml:"credentials_file"`
}

func (k *KMSKey) gcpOptions() gcpkms.Options {
	return gcpkms.Options{Key: k.Key, Endpoint: k.Endpoint, CredentialsFile: string(k.GCPKMS.CredentialsFile)}
}

func checkGCP(l *loaded, p string, k *KMSKey) {
	if k.Key == "" {
		l.wrong(p+".key", "missing: projects/P/locations/L/keyRings/R/cryptoKeys/K")
	} else if _, err := gcpkms.New(k.gcpOptions()); err != nil {
		l.wrong(p, "%s", err)
	}
}

func openGCP(_ context.Context, k *KMSKey, trust *tls.Config, _ *slog.Logger) (kms.Provider, error) {
	o := k.gcpOptions()
	o.TLS = trust
	return gcpkms.New(o)
}
