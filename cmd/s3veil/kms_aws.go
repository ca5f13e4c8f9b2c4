package main

import (
	"context"
	"crypto/tls"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/awskms"
)

// AWSKMSKey are the keys of the provider awskms.
type AWSKMSKey struct {
	// Region of the key; the ARN's where `key` is one.
	Region string `yaml:"region"`
	// Credentials for the KMS, as those of an upstream; left out: the AWS default chain.
	Credentials Credentials `yaml:"credentials"`
}

func (k *KMSKey) region() string {
	if k.AWSKMS.Region != "" {
		return k.AWSKMS.Region
	}
	return awskms.RegionOf(k.Key)
}

func checkAWSKMS(l *loaded, p string, k *KMSKey) {
	if k.Key == "" {
		l.wrong(p+".key", "missing: the key's ARN, id or alias")
	} else if k.region() == "" {
		l.wrong(p+".region", "missing, and not in the key's name")
	}
	l.checkCredentials(p+".credentials", &k.AWSKMS.Credentials)
}

func openAWSKMS(ctx context.Context, k *KMSKey, trust *tls.Config, _ *slog.Logger) (kms.Provider, error) {
	cred, err := newCredentials(ctx, &k.AWSKMS.Credentials, k.region())
	if err != nil {
		return nil, err
	}
	retrieve := aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		c, err := cred.Retrieve(ctx)
		return aws.Credentials{AccessKeyID: c.AccessKey, SecretAccessKey: string(c.Secret), SessionToken: c.SessionToken}, err
	})
	return awskms.New(awskms.Options{Key: k.Key, Region: k.region(), Endpoint: k.Endpoint, Credentials: retrieve, TLS: trust, Refused: cred.Expired})
}
