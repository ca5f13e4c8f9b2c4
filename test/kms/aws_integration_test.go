//go:build integration

package kms

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awskmsapi "github.com/aws/aws-sdk-go-v2/service/kms"

	"s3veil/crypto/kms/awskms"
	"s3veil/crypto/kms/kmstest"
	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

const awsRegion = "eu-central-1"

var awsStatic = credentials.NewStaticCredentialsProvider("AKIATEST", "secret-of-the-tests", "")

// awsKeys makes keys in the KMS at url: one with an alias, another one.
func awsKeys(t *testing.T, url string) (c *awskmsapi.Client, main, other string) {
	t.Helper()
	c = awskmsapi.New(awskmsapi.Options{Region: awsRegion, BaseEndpoint: &url, Credentials: awsStatic})
	for _, to := range []*string{&main, &other} {
		out, err := c.CreateKey(t.Context(), &awskmsapi.CreateKeyInput{})
		if err != nil {
			t.Fatal(err)
		}
		*to = *out.KeyMetadata.Arn
	}
	if _, err := c.CreateAlias(t.Context(), &awskmsapi.CreateAliasInput{AliasName: aws.String("alias/main"), TargetKeyId: &main}); err != nil {
		t.Fatal(err)
	}
	return c, main, other
}

// TestAWSKMSContract: the double lets disabled keys decrypt, so that these are not asked for here.
func TestAWSKMSContract(t *testing.T) {
	url := servers.MustMoto(t)
	_, main, other := awsKeys(t, url)
	p, err := awskms.New(awskms.Options{Key: main, Region: awsRegion, Endpoint: url, Credentials: awsStatic})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	unknown := main[:strings.LastIndex(main, "/")+1] + "00000000-0000-0000-0000-000000000000"
	kmstest.Run(t, kmstest.Subject{Provider: p, Key: main, Other: other, Unknown: unknown})
}

// TestAWSKMSEndToEnd: objects written under one key are read after the store, s3veil and the key's material have changed.
func TestAWSKMSEndToEnd(t *testing.T) {
	url := servers.MustMoto(t)
	c, main, other := awsKeys(t, url)
	keys := []any{
		map[string]any{"id": "main", "provider": "awskms", "key": main, "endpoint": url,
			"credentials": map[string]any{"access_key": "AKIATEST", "secret_key": "secret-of-the-tests"}},
		map[string]any{"id": "alias", "provider": "awskms", "key": "alias/main", "region": awsRegion, "endpoint": url, "aliases": []any{other},
			"credentials": map[string]any{"role_arn": "arn:aws:iam::123456789012:role/s3veil"}},
	}
	cluster := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), Replicas: 2,
		Env: []string{"AWS_ACCESS_KEY_ID=AKIATEST", "AWS_SECRET_ACCESS_KEY=x", "AWS_ENDPOINT_URL_STS=" + url, "HTTP_PROXY=http://127.0.0.1:1"},
		Configure: func(config map[string]any) {
			config["kms"] = map[string]any{"keys": keys}
			config["buckets"] = []any{map[string]any{"name": "*", "key": "main", "keys": []any{"main", "alias"}}}
		}})
	suite.Run(t, &cluster.Target, nil)
	client := cluster.Client()
	bucket := servers.NewBucket(t, client)
	put(t, client, bucket, "by ARN", "")
	put(t, client, bucket, "by alias", "alias")
	put(t, client, bucket, "by another name", other)
	if _, err := c.RotateKeyOnDemand(t.Context(), &awskmsapi.RotateKeyOnDemandInput{KeyId: &main}); err != nil {
		t.Log("this KMS does not rotate on demand:", err)
	}
	for _, r := range cluster.Replicas {
		r.Stop()
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"by ARN", "by alias", "by another name"} {
		get(t, client, bucket, key)
	}
	if resp, err := http.Get(cluster.Replicas[0].Admin + "/readyz"); err != nil || resp.StatusCode != 200 {
		t.Errorf("readyz: %v, %v", resp, err)
	}
}
