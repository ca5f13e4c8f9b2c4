package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"s3veil/crypto/kms"
	"s3veil/keycache"
	"s3veil/proxy/proxytest"
	"s3veil/proxy/sse"
)

func TestReplicasSeeANewDefaultWithinSeconds(t *testing.T) {
	one := newSettingRig(t, nil)
	two := one.another()
	kid := func() string {
		two.must("PUT", "/data/probe", []byte("hello"))
		return two.proxied(one)
	}
	if got := kid(); got != "main" {
		t.Fatal(got)
	}
	for _, c := range []struct{ set, want string }{{"team", "team"}, {"main", "main"}} {
		one.must("PUT", "/data?encryption", document("aws:kms", keyNamed(c.set)))
		one.pass(defaultAge)
		if got := kid(); got != c.want {
			t.Errorf("%v later the other replica writes under %s", defaultAge, got)
		}
	}
	one.must("PUT", "/data?encryption", document("aws:kms", keyNamed("team")))
	three := one.another() // a restart
	three.must("PUT", "/data/probe", nil)
	if got := three.proxied(one); got != "team" {
		t.Errorf("after a restart: %s", got)
	}
	one.must("DELETE", "/data?encryption", nil)
	one.pass(defaultAge)
	if got := kid(); got != "main" {
		t.Errorf("after the deletion: %s", got)
	}
}

// proxied reads what this replica wrote: replicas share the first one's store.
func (r *settingRig) proxied(first *settingRig) string { return first.envelopeOf("data", "probe").KID }

// Busy buckets cost one question every few seconds, which no request waits for; many requests at once cost one.
func TestDefaultIsAskedForOnceAndAhead(t *testing.T) {
	r := newSettingRig(t, nil)
	asked := func() (n int) {
		for _, c := range r.store.Calls() {
			if c.Method == "GET" && strings.HasSuffix(c.Target, settingName) {
				n++
			}
		}
		return n
	}
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() { r.must("PUT", fmt.Sprint("/data/", i), nil) })
	}
	wait.Wait()
	if n := asked(); n != 1 {
		t.Errorf("%d questions for 20 requests at once", n)
	}
	gate := make(chan struct{})
	remove := r.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if strings.HasSuffix(c.Key, settingName) {
			<-gate
		}
		return nil
	}})
	r.pass(defaultRefresh)
	for range 5 {
		r.must("PUT", "/data/x", nil)
	}
	close(gate)
	remove()
	r.eventually("the question ahead", func() bool { return asked() == 2 })
	r.must("PUT", "/data/x", nil, sse.HeaderType, "AES256")
	r.pass(time.Minute)
	r.must("PUT", "/data/x", nil, sse.HeaderType, "AES256")
	if n := asked(); n != 2 {
		t.Error("an explicit AES256 needs no default")
	}
}

// An answer that was under way when the default changed is not taken for the new one.
func TestLateAnswersDoNotBringAnOldDefaultBack(t *testing.T) {
	r := newSettingRig(t, nil)
	r.must("PUT", "/data?encryption", document("aws:kms", keyNamed("team")))
	r.kidOf()
	held, gate := make(chan struct{}, 10), make(chan struct{})
	remove := r.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		if c.Method == "GET" && c.Key == settingName {
			held <- struct{}{}
			<-gate
		}
	}})
	r.pass(defaultRefresh)
	r.must("PUT", "/data/x", nil) // asks ahead
	<-held
	remove()
	r.must("PUT", "/data?encryption", document("aws:kms", keyNamed("main")))
	close(gate)
	for range 20 {
		if kid := r.kidOf(); kid != "main" {
			t.Fatalf("under %s", kid)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestWritesFailWhileTheDefaultCannotBeRead(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer *proxytest.Answer
		want   string
	}{
		{"store out of order", &proxytest.Answer{Status: 503, Header: http.Header{}}, "503"},
		{"no right to read", &proxytest.Answer{Status: 403, Header: http.Header{}, Body: []byte("<Error><Code>AccessDenied</Code></Error>")}, "403"},
		{"plaintext", &proxytest.Answer{Status: 200, Header: http.Header{"Content-Length": {"1"}, "Etag": {`"x"`}}, Body: []byte("x")}, "422"},
	} {
		r := newSettingRig(t, func(set *Settings) { set.Buckets[0].AllowPlaintext = true })
		r.must("PUT", "/data?encryption", document("aws:kms", keyNamed("team")))
		remove := r.store.Hook(proxytest.Hook{Before: func(call *proxytest.Call) *proxytest.Answer {
			if call.Key == settingName && call.Method == "GET" {
				return c.answer
			}
			return nil
		}})
		for _, target := range []string{"PUT /data/key", "POST /data/key?uploads"} {
			method, path, _ := strings.Cut(target, " ")
			if got := r.code(method, path, nil); !strings.HasPrefix(got, c.want) {
				t.Errorf("%s: %s is answered %s", c.name, target, got)
			}
		}
		if _, there := r.store.Get("data", "key"); there {
			t.Errorf("%s: an object was written", c.name)
		}
		if got := r.code("PUT", "/data/key", nil, sse.HeaderType, "AES256"); got != "200" {
			t.Errorf("%s: an explicit AES256 is answered %s", c.name, got)
		}
		remove()
		if kid := r.kidOf(); kid != "team" {
			t.Errorf("%s: afterwards under %s", c.name, kid)
		}
	}
}

// One question that gets no answer holds nobody up for long, and the next one finds the store back.
func TestHangingQuestionForTheDefaultEnds(t *testing.T) {
	r := newSettingRig(t, nil)
	r.s.defaults.patience = 50 * time.Millisecond
	gate := make(chan struct{})
	remove := r.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Key == settingName {
			<-gate
		}
		return nil
	}})
	if got := r.code("PUT", "/data/key", nil); got != "503 ServiceUnavailable" {
		t.Error(got)
	}
	remove()
	close(gate)
	r.must("PUT", "/data/key", nil)
}

// What is known needs no KMS to be known still; what is not known waits for it.
func TestDefaultOutlivesAnOutageOfTheKMS(t *testing.T) {
	r := newSettingRig(t, func(set *Settings) { set.Cache.Outage = keycache.Outage{Read: time.Hour, WriteCached: true} })
	r.must("PUT", "/data?encryption", document("aws:kms", keyNamed("team")))
	if kid := r.kidOf(); kid != "team" {
		t.Fatal(kid)
	}
	two := r.another()
	r.kms.SetFault(func(string, string) error { return kms.ErrUnavailable })
	for range 5 {
		r.pass(defaultAge)
		if kid := r.kidOf(); kid != "team" {
			t.Errorf("under %s", kid)
		}
	}
	if resp, _ := two.do("PUT", "/data/probe", nil); resp.StatusCode != 503 {
		t.Errorf("a replica that cannot open the default answers %s", resp.Status)
	}
}

// Two buckets that keep their settings in one place do not share them.
func TestDefaultsInOneReservedBucketStayApart(t *testing.T) {
	r := newSettingRig(t, func(set *Settings) { set.Buckets[0].ReservedBucket = "meta" })
	r.must("PUT", "/meta", nil)
	r.must("PUT", "/second", nil)
	r.must("PUT", "/second?encryption", document("aws:kms", keyNamed("team")))
	if kid := r.kidOf(); kid != "main" {
		t.Errorf("under %s", kid)
	}
}

func TestErrorsOfTheDefaultKeepTheirClass(t *testing.T) {
	r := newSettingRig(t, nil)
	r.must("PUT", "/data?encryption", document("AES256", ""))
	r.kms.Disable("main", true)
	two := r.another()
	if got := two.code("PUT", "/data/key", nil); got != "400 KMS.DisabledException" {
		t.Error(got)
	}
	if err := r.s.Ready(t.Context()); err != nil && !errors.Is(err, ErrNotReady) {
		t.Error(err)
	}
}

// A reserved bucket that is missing is no bucket without a default: what was set there is not known.
func TestWritesFailWithoutTheBucketOfSettings(t *testing.T) {
	r := newSettingRig(t, func(set *Settings) { set.Buckets[0].ReservedBucket = "meta" })
	if got := r.code("PUT", "/data/key", nil); !strings.HasPrefix(got, "503 ") {
		t.Errorf("a write: %s", got)
	}
	if got := r.code("PUT", "/data/key", nil, "x-amz-server-side-encryption", "AES256"); got != "200" {
		t.Errorf("a write that names its encryption: %s", got)
	}
	r.must("PUT", "/meta", nil)
	r.pass(defaultAge)
	if got := r.code("PUT", "/data/key", nil); got != "200" {
		t.Errorf("with the bucket: %s", got)
	}
}
