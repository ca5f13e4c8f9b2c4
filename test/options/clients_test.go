package options

import (
	"bytes"
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/servers"
)

// What a client may do follows from its prefixes, actions, networks and session token.
func TestClientsAreConfined(t *testing.T) {
	const secret = "another-secret-0123456789-abcdefgh"
	bucket, ctx := unique("l"), context.Background()
	cl := cluster(t, func(config map[string]any) {
		one := func(name string, actions []string, more map[string]any) map[string]any {
			c := map[string]any{"access_key": name, "secret_key": secret, "buckets": []string{bucket}, "actions": actions}
			for k, v := range more {
				c[k] = v
			}
			return c
		}
		config["clients"] = append(config["clients"].([]any),
			one("reader", []string{"read"}, map[string]any{"prefixes": []string{"in/"}}),
			one("near", []string{"read"}, map[string]any{"sources": []string{"127.0.0.0/8"}}),
			one("far", []string{"read"}, map[string]any{"sources": []string{"192.0.2.0/24"}}),
			one("session", []string{"read"}, map[string]any{"session_token": "the-token"}))
	})
	c := cl.Client()
	create(t, c, bucket)
	body := []byte("body")
	put(t, c, bucket, "in/k", body)
	put(t, c, bucket, "out", body)
	as := func(name, token string) *s3.Client {
		return servers.NewClient(cl.Endpoint(), name, secret, func(o *s3.Options) {
			o.Credentials = credentials.NewStaticCredentialsProvider(name, secret, token)
		})
	}
	reader := as("reader", "")
	holds(t, reader, bucket, "in/k", body)
	if _, err := get(reader, bucket, "out"); code(err) != "AccessDenied" {
		t.Errorf("outside the prefix: %v", err)
	}
	_, err := reader.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("in/k"), Body: bytes.NewReader(body)})
	if code(err) != "AccessDenied" {
		t.Errorf("a reader writes: %v", err)
	}
	for prefix, want := range map[string]string{"in/": "", "": "AccessDenied"} {
		if _, err := reader.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix}); code(err) != want {
			t.Errorf("LIST of %q: %v", prefix, err)
		}
	}
	holds(t, as("near", ""), bucket, "out", body)
	if _, err := get(as("far", ""), bucket, "out"); code(err) != "AccessDenied" {
		t.Errorf("from another network: %v", err)
	}
	holds(t, as("session", "the-token"), bucket, "out", body)
	for _, token := range []string{"", "another"} {
		if _, err := get(as("session", token), bucket, "out"); err == nil {
			t.Errorf("served with the session token %q", token)
		}
	}
}
