package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"s3veil/proxy/upstream"
	"s3veil/sigv4"
)

// retrieve asks without leave to look for instance metadata.
func retrieve(t *testing.T, c upstream.Credentials) sigv4.Credential {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got, err := c.Retrieve(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func chain(t *testing.T, c Credentials) upstream.Credentials {
	t.Helper()
	out, err := newCredentials(t.Context(), &c, "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestStaticCredentials(t *testing.T) {
	withoutAWS(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "environment")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "environment")
	c := chain(t, Credentials{AccessKey: "a", SecretKey: "s", SessionToken: "t"})
	c.Expired()
	if got, want := retrieve(t, c), (sigv4.Credential{AccessKey: "a", Secret: "s", SessionToken: "t"}); got != want {
		t.Errorf("credential %+v", got)
	}
}

func TestCredentialsOfTheEnvironment(t *testing.T) {
	withoutAWS(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "env")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
	t.Setenv("AWS_SESSION_TOKEN", "env-token")
	got := retrieve(t, chain(t, Credentials{}))
	if want := (sigv4.Credential{AccessKey: "env", Secret: "env-secret", SessionToken: "env-token"}); got != want {
		t.Errorf("credential %+v", got)
	}
}

func TestRefusalReadsTheProfileAnew(t *testing.T) {
	withoutAWS(t)
	file := filepath.Join(t.TempDir(), "credentials")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	profile := func(key string) {
		write(t, file, "[backup]\naws_access_key_id = "+key+"\naws_secret_access_key = secret\n")
	}
	profile("first")
	c := chain(t, Credentials{Profile: "backup"})
	if got := retrieve(t, c); got.AccessKey != "first" {
		t.Fatalf("access key %s", got.AccessKey)
	}
	profile("second")
	if got := retrieve(t, c); got.AccessKey != "first" {
		t.Errorf("access key %s before the store refused the first one", got.AccessKey)
	}
	c.Expired()
	if got := retrieve(t, c); got.AccessKey != "second" {
		t.Errorf("access key %s after Expired", got.AccessKey)
	}
	profile("third")
	c.Expired()
	if got := retrieve(t, c); got.AccessKey != "second" {
		t.Errorf("access key %s: a storm of refusals starts over every time", got.AccessKey)
	}
	later := time.Now().Add(renewAtMost)
	c.(*chainCredentials).now = func() time.Time { return later }
	c.Expired()
	if got := retrieve(t, c); got.AccessKey != "third" {
		t.Errorf("access key %s after a second", got.AccessKey)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	later = later.Add(renewAtMost)
	c.Expired()
	if _, err := c.Retrieve(t.Context()); err == nil {
		t.Error("a profile that has gone is no error")
	}
}
