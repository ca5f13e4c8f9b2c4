// Package outage runs s3veil as a program in front of a KMS that hangs, throttles, fails or refuses, and asks what
// docs/OPERATIONS.md promises of that.
package outage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

func TestMain(m *testing.M) {
	servers.Patient(16)
	servers.Main(m, s3veil.RemoveBuild)
}

// rig is a replica whose key is in a KMS of the test's own.
type rig struct {
	t      *testing.T
	kms    *fakeKMS
	c      *s3veil.Cluster
	client *s3.Client
	bucket string
}

// age is how long keys are cached in these tests, in place of 15 minutes.
const age = 5 * time.Second

func newRig(t *testing.T, provider string, outage map[string]any, change func(config map[string]any)) *rig {
	t.Helper()
	r := &rig{t: t, kms: newKMS(t)}
	r.c = s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, servers.Versity), Configure: func(config map[string]any) {
		config["kms"] = map[string]any{"keys": []any{r.kms.config(provider)}, "cache": map[string]any{"max_age": age.String()}, "outage": outage}
		if change != nil {
			change(config)
		}
	}})
	r.client = r.c.Client(func(o *s3.Options) { o.RetryMaxAttempts = 1 })
	r.bucket = servers.NewBucket(t, r.client)
	return r
}

// code is the S3 code of an error; empty for none.
func code(err error) string {
	var api smithy.APIError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &api):
		return api.ErrorCode()
	}
	return err.Error()
}

func (r *rig) put(key string) string {
	_, err := r.client.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &r.bucket, Key: &key, Body: bytes.NewReader([]byte(key))})
	return code(err)
}

func (r *rig) get(key string) string {
	out, err := r.client.GetObject(context.Background(), &s3.GetObjectInput{Bucket: &r.bucket, Key: &key})
	if err != nil {
		return code(err)
	}
	defer out.Body.Close()
	if got, err := io.ReadAll(out.Body); err != nil || string(got) != key {
		return fmt.Sprintf("read %q, %v", got, err)
	}
	return ""
}

// both are the outcomes of a write and a read of what was written before.
func (r *rig) both() string { return r.put("during") + "/" + r.get("before") }

// admin reads a page of the admin endpoint.
func (r *rig) admin(path string) (int, string) {
	r.t.Helper()
	resp, err := http.Get(r.c.Replicas[0].Admin + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// metric adds up the series whose line begins with s3veil_ and fits.
func (r *rig) metric(pattern string) (sum float64) {
	r.t.Helper()
	_, page := r.admin("/metrics")
	fits := regexp.MustCompile("^s3veil_" + pattern + " ")
	for _, line := range strings.Split(page, "\n") {
		if fits.MatchString(line) {
			v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
			if err != nil {
				r.t.Fatal(err)
			}
			sum += v
		}
	}
	return sum
}

func (r *rig) await(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("not within 30 s: %s", what)
		}
	}
}

func (r *rig) ready() bool { status, _ := r.admin("/readyz"); return status == http.StatusOK }

func TestOutage(t *testing.T) {
	const away = "ServiceUnavailable/ServiceUnavailable"
	refuse, reads, all := map[string]any{}, map[string]any{"read": "1h"}, map[string]any{"read": "1h", "write": "cached"}
	for _, c := range []struct {
		provider string
		mood     mood
		policy   map[string]any
		during   string // a write and a read with expired keys
	}{
		{"awskms", hanging, refuse, away},
		{"awskms", hanging, reads, "ServiceUnavailable/"},
		{"awskms", hanging, all, "/"},
		{"awskms", throttling, refuse, away},
		{"awskms", throttling, all, "/"},
		{"awskms", failing, reads, "ServiceUnavailable/"},
		{"awskms", cutting, all, "/"},
		{"transit", hanging, all, "/"},
		{"transit", throttling, refuse, away},
	} {
		t.Run(fmt.Sprint(c.provider, " ", c.mood, " ", c.policy), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.provider, c.policy, nil)
			if got := r.put("before") + r.both(); got != "/" {
				t.Fatal(got)
			}
			r.kms.set(c.mood)
			for range 10 {
				if got := r.both(); got != "/" {
					t.Errorf("with fresh keys: %s", got)
				}
			}
			if !r.ready() {
				t.Error("fresh keys, and not ready")
			}
			time.Sleep(age)
			start := time.Now()
			for range 5 {
				if got := r.both(); got != c.during {
					t.Errorf("with expired keys: %s", got)
				}
			}
			// Who finds out waits until two calls have failed, and one caller a second for one.
			if d := time.Since(start); d > 75*time.Second {
				t.Errorf("ten requests took %v", d)
			}
			r.await("readiness says so", func() bool { return r.ready() == (c.during != away) })
			r.await("the outage is in the metrics", func() bool { return r.metric(`dependency_up\{kind="kms",name="main"\}`) == 0 })
			r.showsFailures(c.during != away)
			r.recovers()
		})
	}
}

// showsFailures looks for the outage in metrics and log.
func (r *rig) showsFailures(bridged bool) {
	r.t.Helper()
	if n := r.metric(`kms_requests_total\{key="main",op="[a-z]+",result="(unavailable|throttled)"\}`); n == 0 {
		r.t.Error("no failed call is counted")
	}
	if n := r.metric(`kms_seconds_count\{key="main"\}`); n == 0 {
		r.t.Error("no call is measured")
	}
	if n := r.metric(`cache_requests_total\{cache="(read|write)",result="expired"\}`); (n > 0) != bridged {
		r.t.Errorf("%v requests were bridged", n)
	}
	if !strings.Contains(logOf(r), "KMS does not answer") {
		r.t.Error("the log says nothing")
	}
}

// recovers ends the outage and demands that requests succeed a second later.
func (r *rig) recovers() {
	r.t.Helper()
	r.kms.set(well)
	time.Sleep(time.Second)
	start := time.Now()
	if got := r.both(); got != "/" {
		r.t.Errorf("a second after the outage: %s", got)
	}
	if d := time.Since(start); d > 10*time.Second {
		r.t.Errorf("they took %v", d)
	}
	r.await("readiness and metrics are back", func() bool { return r.ready() && r.metric(`dependency_up\{kind="(kms|key)",name="main"\}`) == 2 })
}

func logOf(r *rig) string {
	r.t.Helper()
	text, err := os.ReadFile(r.c.Replicas[0].Log)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// A refusal is no outage: no expired key serves, whatever the policy.
func TestRefusalIsNoOutage(t *testing.T) {
	t.Parallel()
	r := newRig(t, "awskms", map[string]any{"read": "1h", "write": "cached"}, nil)
	r.put("before")
	r.kms.set(denying)
	time.Sleep(age)
	for range 3 {
		if got := r.both(); got != "AccessDenied/AccessDenied" {
			t.Error(got)
		}
	}
	r.kms.set(well)
	r.await("the KMS allows it again", func() bool { return r.both() == "/" })
}

// Many clients at a KMS that hangs: every one gets an answer in time, and the KMS is not flooded.
func TestHerdAtAHangingKMS(t *testing.T) {
	t.Parallel()
	r := newRig(t, "awskms", map[string]any{}, nil)
	r.put("before")
	r.kms.set(hanging)
	time.Sleep(age)
	before := r.kms.count()
	start := time.Now()
	var wait sync.WaitGroup
	for i := range 100 {
		wait.Go(func() {
			if got := r.put(fmt.Sprint("herd", i)); got != "ServiceUnavailable" {
				t.Error(got)
			}
			if got := r.get("before"); got != "ServiceUnavailable" {
				t.Error(got)
			}
		})
	}
	wait.Wait()
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("a herd waited %v", d)
	}
	if n := r.kms.count() - before; n > 40 {
		t.Errorf("%d calls", n)
	}
	r.recovers()
}

// Calls of the KMS are per intermediate key: thousands of objects cost a handful.
func TestCallsArePerKeyNotPerObject(t *testing.T) {
	t.Parallel()
	r := newRig(t, "awskms", map[string]any{}, func(config map[string]any) { config["kms"].(map[string]any)["cache"] = map[string]any{} })
	r.put("before")
	before := r.kms.count()
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for n := range 250 {
				key := fmt.Sprint(i, "/", n)
				if got := r.put(key) + r.get(key); got != "" {
					t.Error(got)
					return
				}
			}
		})
	}
	wait.Wait()
	if n := r.kms.count() - before; n != 0 {
		t.Errorf("%d calls for 2,000 objects written and read", n)
	}
}

// dek.cache: off asks for every object and every read, for those who want them in the log of the KMS.
func TestPerObjectModeAsksForEveryObject(t *testing.T) {
	t.Parallel()
	r := newRig(t, "awskms", map[string]any{}, func(config map[string]any) {
		config["dek"] = map[string]any{"cache": "off"}
		config["buckets"] = []any{map[string]any{"name": "*", "key": "main", "bucket_encryption": false}}
	})
	r.put("before")
	generated, decrypted := r.kms.count("generate"), r.kms.count("unwrap")
	for i := range 20 {
		if got := r.put(fmt.Sprint(i)) + r.get(fmt.Sprint(i)); got != "" {
			t.Error(got)
		}
	}
	if n := r.kms.count("generate") - generated; n != 20 {
		t.Errorf("%d data keys for 20 objects", n)
	}
	if n := r.kms.count("unwrap") - decrypted; n < 20 {
		t.Errorf("%d decryptions for 20 reads", n)
	}
	if got := r.metric(`cache_entries\{cache="(read|write)"\}`); got != 0 {
		t.Errorf("%v keys are kept", got)
	}
	r.kms.set(failing)
	if got := r.both(); got != "ServiceUnavailable/ServiceUnavailable" {
		t.Errorf("without the KMS: %s", got)
	}
	r.recovers()
}

// An operator who learns of an outage can extend what cached keys are good for, without a restart that would forget them.
func TestPolicyIsExtendedInMidOutage(t *testing.T) {
	t.Parallel()
	r := newRig(t, "awskms", map[string]any{}, nil)
	r.put("before")
	r.kms.set(hanging)
	file := r.c.Dir + "/replica-0.yaml"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	longer := regexp.MustCompile(`"outage": \{\}`).ReplaceAll(text, []byte(`"outage": {"read": "1h", "write": "cached"}`))
	if bytes.Equal(longer, text) {
		t.Fatal("the configuration has another form")
	}
	if err := os.WriteFile(file, longer, 0o600); err != nil {
		t.Fatal(err)
	}
	hangUp(t, r)
	r.await("the reload", func() bool { return strings.Contains(logOf(r), "configuration reloaded") })
	time.Sleep(age)
	if got := r.both(); got != "/" {
		t.Errorf("with expired keys: %s", got)
	}
	r.recovers()
}
