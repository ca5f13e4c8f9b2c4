package gosdk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"s3veil/crypto/kms/local"
	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// twoKeys adds the key team, which every bucket may use, and the given bucket rules in front of the common one.
func twoKeys(t *testing.T, rules ...any) func(map[string]any) {
	file := filepath.Join(t.TempDir(), "team.json")
	if err := local.New(file, "team", time.Now()); err != nil {
		t.Fatal(err)
	}
	return func(config map[string]any) {
		group := config["kms"].(map[string]any)
		group["keys"] = append(group["keys"].([]any), map[string]any{"id": "team", "provider": "local", "file": file, "aliases": []string{"alias/team"}})
		config["buckets"] = append(rules, map[string]any{"name": "*", "key": "main", "keys": []string{"main", "team"}})
	}
}

func byDefault(algorithm types.ServerSideEncryption, key string) *types.ServerSideEncryptionConfiguration {
	apply := &types.ServerSideEncryptionByDefault{SSEAlgorithm: algorithm}
	if key != "" {
		apply.KMSMasterKeyID = &key
	}
	return &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: apply, BucketKeyEnabled: aws.Bool(true)}}}
}

func codeOf(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// putKey writes an object and says what the answer says of its encryption.
func putKey(t *testing.T, c *s3.Client, bucket string, change ...func(*s3.PutObjectInput)) string {
	t.Helper()
	in := &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("k"), Body: bytes.NewReader([]byte("hello"))}
	for _, f := range change {
		f(in)
	}
	out, err := c.PutObject(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out.ServerSideEncryption) + " " + aws.ToString(out.SSEKMSKeyId))
}

func TestBucketEncryptionOverReplicas(t *testing.T) {
	c := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), Replicas: 3, Configure: twoKeys(t)})
	ctx, clients := context.Background(), []*s3.Client{}
	for _, r := range c.Replicas {
		clients = append(clients, c.ClientOf(r.Endpoint))
	}
	first := clients[0]
	bucket := servers.NewBucket(t, first)
	everywhere := func(want string) {
		t.Helper()
		deadline := time.Now().Add(15 * time.Second)
		for i, client := range clients {
			for got := ""; got != want; {
				if got = putKey(t, client, bucket); got != want && time.Now().After(deadline) {
					t.Fatalf("replica %d still says %q, want %q", i, got, want)
				}
			}
		}
	}
	everywhere("AES256")
	got, err := first.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: &bucket})
	if err != nil || got.ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm != types.ServerSideEncryptionAes256 {
		t.Fatalf("without a default: %v", err)
	}
	if _, err := first.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{Bucket: &bucket, ServerSideEncryptionConfiguration: byDefault("aws:kms", "alias/team")}); err != nil {
		t.Fatal(err)
	}
	if said := putKey(t, first, bucket); said != "aws:kms team" {
		t.Errorf("the replica that took the default says %q at once", said)
	}
	everywhere("aws:kms team")
	if said := putKey(t, clients[1], bucket, func(in *s3.PutObjectInput) { in.ServerSideEncryption = "AES256" }); said != "AES256" {
		t.Errorf("an explicit AES256: %q", said)
	}
	for _, client := range clients {
		got, err := client.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: &bucket})
		if err != nil {
			t.Fatal(err)
		}
		rule := got.ServerSideEncryptionConfiguration.Rules[0]
		if aws.ToString(rule.ApplyServerSideEncryptionByDefault.KMSMasterKeyID) != "alias/team" || !aws.ToBool(rule.BucketKeyEnabled) {
			t.Errorf("%+v", rule)
		}
	}
	for _, r := range c.Replicas {
		r.Stop()
	}
	for _, r := range c.Replicas {
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for i, client := range clients {
		if said := putKey(t, client, bucket); said != "aws:kms team" {
			t.Errorf("replica %d after its restart: %q", i, said)
		}
	}
	if _, err := clients[2].DeleteBucketEncryption(ctx, &s3.DeleteBucketEncryptionInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	everywhere("AES256")

	if _, err := first.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{Bucket: &bucket, ServerSideEncryptionConfiguration: byDefault("aws:kms", "alias/team")}); err != nil {
		t.Fatal(err)
	}
	if _, err := first.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: aws.String("k")}); err != nil {
		t.Fatal(err)
	}
	if _, err := first.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &bucket}); err != nil {
		t.Fatalf("a bucket that holds nothing but its default: %v", err)
	}
	if _, err := first.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	everywhere("AES256")
}

func TestBucketEncryptionErrorsAsSDKsSeeThem(t *testing.T) {
	c := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), Configure: twoKeys(t)})
	ctx, client := context.Background(), c.Client()
	bucket := servers.NewBucket(t, client)
	for name, e := range map[string]struct {
		bucket string
		set    *types.ServerSideEncryptionConfiguration
		code   string
	}{
		"unknown key":        {bucket, byDefault("aws:kms", "nobody"), "KMS.NotFoundException"},
		"key without KMS":    {bucket, byDefault("AES256", "team"), "InvalidArgument"},
		"dual layer":         {bucket, byDefault("aws:kms:dsse", ""), "NotImplemented"},
		"no rule":            {bucket, &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{}}, "MalformedXML"},
		"bucket not there":   {bucket + "-none", byDefault("AES256", ""), "NoSuchBucket"},
		"unknown encryption": {bucket, byDefault("DES", ""), "MalformedXML"},
	} {
		_, err := client.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{Bucket: &e.bucket, ServerSideEncryptionConfiguration: e.set})
		if got := codeOf(err); got != e.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Buckets that demand a named encryption, or TLS, answer 403 as S3 does under such a policy.
func TestBucketsThatDemandEncryptionAndTLS(t *testing.T) {
	store := servers.MustShared(t, servers.Versity)
	rules := []any{
		map[string]any{"name": "named-*", "key": "main", "keys": []string{"main", "team"}, "require_sse": true},
		map[string]any{"name": "secure-*", "key": "main", "require_tls": true},
	}
	open := s3veil.MustStart(t, s3veil.Options{Store: store, Configure: twoKeys(t, rules...)})
	closed := s3veil.MustStart(t, s3veil.Options{Store: store, TLS: true, Configure: twoKeys(t, rules...)})
	ctx, suffix := context.Background(), fmt.Sprint(time.Now().UnixNano())
	named, secure := "named-"+suffix, "secure-"+suffix
	for _, name := range []string{named, secure} {
		if _, err := closed.Client().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name}); err != nil {
			t.Fatal(err)
		}
	}
	put := func(c *s3.Client, bucket string, sse types.ServerSideEncryption) string {
		_, err := c.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("k"), Body: bytes.NewReader([]byte("x")), ServerSideEncryption: sse})
		return codeOf(err)
	}
	if got := put(open.Client(), named, ""); got != "AccessDenied" {
		t.Errorf("a write that names nothing: %q", got)
	}
	if _, err := open.Client().PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{Bucket: &named, ServerSideEncryptionConfiguration: byDefault("aws:kms", "team")}); err != nil {
		t.Fatal(err)
	}
	if got := put(open.Client(), named, ""); got != "AccessDenied" {
		t.Errorf("with a default, as a policy that looks at the request has it: %q", got)
	}
	if got := put(open.Client(), named, "AES256"); got != "" {
		t.Errorf("a write that names AES256: %q", got)
	}
	if got := put(open.Client(), secure, ""); got != "AccessDenied" {
		t.Errorf("a write without TLS: %q", got)
	}
	if got := put(closed.Client(), secure, ""); got != "" {
		t.Errorf("a write over TLS: %q", got)
	}
	_, err := open.Client().GetObject(ctx, &s3.GetObjectInput{Bucket: &secure, Key: aws.String("k")})
	if got := codeOf(err); got != "AccessDenied" {
		t.Errorf("a read without TLS: %v", err)
	}
	_, err = open.Client().CopyObject(ctx, &s3.CopyObjectInput{Bucket: &named, Key: aws.String("copy"), CopySource: aws.String(secure + "/k"), ServerSideEncryption: "AES256"})
	if got := codeOf(err); got != "AccessDenied" {
		t.Errorf("a copy without TLS: %v", err)
	}
}
