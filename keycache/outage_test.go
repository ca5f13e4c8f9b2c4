package keycache_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/kmstest"
	"s3veil/keycache"
)

// fail makes every call but those of kmstest.OpWrap, which tests use, end with err.
func (r *rig) fail(err error) {
	r.kms.SetLatency(0)
	r.kms.SetFault(func(op, _ string) error {
		if op == kmstest.OpWrap {
			return nil
		}
		return err
	})
}

func TestDefiniteRefusalsAreRepeatedForFiveSeconds(t *testing.T) {
	for _, class := range []error{kms.ErrAccessDenied, kms.ErrBadCiphertext, kms.ErrKeyNotFound, kms.ErrKeyDisabled} {
		run(t, keycache.Options{}, func(r *rig) {
			wrapped, _ := r.blob("realm")
			r.fail(fmt.Errorf("details: %w", class))
			for range 10 {
				if _, err := r.read(wrapped, "realm"); !errors.Is(err, class) {
					t.Errorf("read: %v", err)
				}
				if _, err := r.write("realm"); !errors.Is(err, class) {
					t.Errorf("write: %v", err)
				}
			}
			if n := r.kms.Calls(kmstest.OpUnwrap, kmstest.OpGenerate); n != 2 {
				t.Errorf("%v: %d calls", class, n)
			}
			r.fail(nil)
			time.Sleep(5*time.Second - time.Nanosecond)
			if _, err := r.read(wrapped, "realm"); !errors.Is(err, class) {
				t.Errorf("just before the end: %v", err)
			}
			time.Sleep(time.Nanosecond)
			if _, err := r.read(wrapped, "realm"); err != nil {
				t.Errorf("read after 5 seconds: %v", err)
			}
			if _, err := r.write("realm"); err != nil {
				t.Errorf("write after 5 seconds: %v", err)
			}
		})
	}
}

func TestTemporaryErrorsAreTriedAgainAndNeverRepeated(t *testing.T) {
	for _, class := range []error{kms.ErrThrottled, kms.ErrUnavailable} {
		run(t, keycache.Options{}, func(r *rig) {
			wrapped, _ := r.blob("realm")
			failures := 2
			r.kms.SetFault(func(string, string) error {
				if failures--; failures >= 0 {
					return class
				}
				return nil
			})
			if _, err := r.read(wrapped, "realm"); err != nil {
				t.Errorf("third try: %v", err)
			}
			if n := r.kms.Calls(kmstest.OpUnwrap); n != 3 {
				t.Errorf("%d calls", n)
			}
			failures = 3
			if _, err := r.write("realm"); !errors.Is(err, class) {
				t.Errorf("three failures: %v", err)
			}
			if _, err := r.write("realm"); err != nil {
				t.Errorf("right after them: %v", err)
			}
			if n := r.kms.Calls(kmstest.OpGenerate); n != 4 {
				t.Errorf("%d calls", n)
			}
		})
	}
}

func TestOtherErrorsAreNeitherTriedAgainNorRepeated(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		strange := errors.New("strange")
		r.fail(strange)
		for range 2 {
			if _, err := r.write("realm"); !errors.Is(err, strange) {
				t.Error(err)
			}
		}
		if n := r.kms.Calls(); n != 2 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestSlowCallsEndInTime(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		r.kms.SetLatency(time.Hour)
		start := time.Now()
		_, err := r.write("realm")
		if !errors.Is(err, kms.ErrUnavailable) {
			t.Error(err)
		}
		if d := time.Since(start); d != 10*time.Second || r.kms.Calls() != 2 {
			t.Errorf("%d calls in %v", r.kms.Calls(), d)
		}
	})
}

func TestOutageDoesNotPileUp(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		r.fail(kms.ErrUnavailable)
		for i := range 60 * 50 { // a minute with 50 different blobs a second
			if _, err := r.read(fmt.Append(nil, i), "realm"); !errors.Is(err, kms.ErrUnavailable) {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		if n := r.kms.Calls(); n < 55 || n > 75 { // one a second
			t.Errorf("%d calls in a minute of outage", n)
		}
		if _, err := r.ForWriting(r.t.Context(), "app", "other", "realm", nil); !errors.Is(err, kms.ErrUnavailable) {
			t.Error(err)
		}
		r.fail(nil)
		if _, err := r.ForWriting(r.t.Context(), "app", "other", "realm", nil); err != nil {
			t.Errorf("another key has a breaker of its own: %v", err)
		}
		time.Sleep(time.Second)
		before := r.kms.Calls()
		for i := range 20 {
			if _, err := r.write(fmt.Sprint(i)); err != nil {
				t.Errorf("after the outage: %v", err)
			}
		}
		if n := r.kms.Calls() - before; n != 20 {
			t.Errorf("%d calls after the outage", n)
		}
	})
}

func TestHerdAfterOutageSendsOneProbe(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		r.fail(kms.ErrUnavailable)
		for range 3 {
			_, _ = r.write("realm")
		}
		time.Sleep(time.Second)
		before := r.kms.Calls()
		r.kms.SetLatency(100 * time.Millisecond)
		herd(200, func(i int) { _, _ = r.write(fmt.Sprint(i)) })
		if n := r.kms.Calls() - before; n != 1 {
			t.Errorf("%d probes", n)
		}
	})
}

func TestExpiredEntriesServeOnlyByPolicy(t *testing.T) {
	for _, c := range []struct {
		name        string
		outage      keycache.Outage
		wait        time.Duration
		read, write bool
	}{
		{"no policy, fresh", keycache.Outage{}, 11 * time.Minute, true, true},
		{"no policy", keycache.Outage{}, 15 * time.Minute, false, false},
		{"read", keycache.Outage{Read: time.Hour}, time.Hour, true, false},
		{"read, last moment", keycache.Outage{Read: time.Hour}, 75*time.Minute - 2*time.Second, true, false},
		{"read, too old", keycache.Outage{Read: time.Hour}, 75 * time.Minute, false, false},
		{"write", keycache.Outage{Read: time.Hour, WriteCached: true}, 70 * time.Minute, true, true},
		{"write, too old", keycache.Outage{Read: time.Hour, WriteCached: true}, 75 * time.Minute, false, false},
		{"write without time", keycache.Outage{WriteCached: true}, 15 * time.Minute, false, false},
	} {
		for _, class := range []error{kms.ErrUnavailable, kms.ErrThrottled} {
			run(t, keycache.Options{Outage: c.outage}, func(r *rig) {
				w := r.mustWrite("realm")
				time.Sleep(c.wait)
				r.fail(class)
				if _, err := r.read(w.Wrapped, "realm"); (err == nil) != c.read || err != nil && !errors.Is(err, class) {
					t.Errorf("%s: read: %v", c.name, err)
				}
				if _, err := r.write("realm"); (err == nil) != c.write || err != nil && !errors.Is(err, class) {
					t.Errorf("%s: write: %v", c.name, err)
				}
				if fresh := c.wait < 12*time.Minute; !fresh && (r.count("expired", "read") == 1) != c.read {
					t.Errorf("%s: %d events", c.name, r.count("expired", "read"))
				}
			})
		}
	}
}

func TestRevokedKeyDoesNotServeUnderTheOutagePolicy(t *testing.T) {
	run(t, keycache.Options{Outage: keycache.Outage{Read: time.Hour, WriteCached: true}}, func(r *rig) {
		w := r.mustWrite("realm")
		time.Sleep(16 * time.Minute)
		r.fail(kms.ErrAccessDenied)
		if _, err := r.read(w.Wrapped, "realm"); !errors.Is(err, kms.ErrAccessDenied) {
			t.Errorf("read: %v", err)
		}
		if _, err := r.write("realm"); !errors.Is(err, kms.ErrAccessDenied) {
			t.Errorf("write: %v", err)
		}
		time.Sleep(time.Minute)
		r.fail(kms.ErrUnavailable)
		if _, err := r.read(w.Wrapped, "realm"); !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("the outage brought a refused key back: %v", err)
		}
		if s := r.Stats(); s["read"] != 0 || s["write"] != 0 {
			t.Errorf("still cached: %v", s)
		}
	})
}

func TestFloodOfForgedBlobsIsLimited(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		good, _ := r.blob("realm")
		known := r.mustWrite("realm")
		before := r.kms.Calls(kmstest.OpUnwrap)
		limited := 0
		for i := range 10_000 {
			if _, err := r.read(fmt.Append(nil, "forged", i), "realm"); errors.Is(err, keycache.ErrMissLimit) {
				limited++
			}
		}
		if n := r.kms.Calls(kmstest.OpUnwrap) - before; n != 100 || limited != 9_900 {
			t.Errorf("%d calls, %d limited", n, limited)
		}
		if _, err := r.read(known.Wrapped, "realm"); err != nil {
			t.Errorf("what is cached: %v", err)
		}
		if _, err := r.write("realm"); err != nil {
			t.Errorf("writing: %v", err)
		}
		if _, err := r.ForReading(r.t.Context(), "another client", "main", good, "realm", nil); err != nil {
			t.Errorf("another client: %v", err)
		}
		time.Sleep(time.Second)
		for i := range 200 {
			_, _ = r.read(fmt.Append(nil, "again", i), "realm")
		}
		if n := r.kms.Calls(kmstest.OpUnwrap) - before; n != 201 {
			t.Errorf("%d calls after a second", n)
		}
	})
}

func TestVaryingRealmsAndContextsAreLimited(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		for i := range 2_000 {
			_, _ = r.read([]byte("forged"), fmt.Sprint("read", i))
		}
		for i := range 2_000 {
			_, _ = r.ForWriting(r.t.Context(), "b", "main", "realm", kms.Context{"n": fmt.Sprint(i)})
		}
		for i := range 2_000 {
			_, _ = r.ForWriting(r.t.Context(), "c", "main", fmt.Sprint("write", i), nil)
		}
		if n := r.kms.Calls(kmstest.OpUnwrap); n != 400 {
			t.Errorf("%d unwraps for made-up realms", n)
		}
		if n := r.kms.Calls(kmstest.OpGenerate); n != 100+400 {
			t.Errorf("%d generates for made-up contexts and realms", n)
		}
	})
}

func TestExpiredEntriesAreNoMissesOfTheLimit(t *testing.T) {
	run(t, keycache.Options{MissRate: 1, Outage: keycache.Outage{Read: time.Hour}}, func(r *rig) {
		var blobs [][]byte
		for range 20 {
			b, _ := r.blob("realm")
			blobs = append(blobs, b)
			if _, err := r.read(b, "realm"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		time.Sleep(15 * time.Minute)
		for _, b := range blobs {
			if _, err := r.read(b, "realm"); err != nil {
				t.Errorf("renewing: %v", err)
			}
		}
	})
}

func TestHealth(t *testing.T) {
	run(t, keycache.Options{Outage: keycache.Outage{Read: time.Hour}}, func(r *rig) {
		ctx := r.t.Context()
		if err := r.Health(ctx, "nobody"); !errors.Is(err, kms.ErrKeyNotFound) {
			t.Errorf("unknown kid: %v", err)
		}
		for range 10 {
			if err := r.Health(ctx, "main"); err != nil {
				t.Error(err)
			}
		}
		if n := r.kms.Calls(kmstest.OpHealth); n != 1 {
			t.Errorf("%d canaries", n)
		}
		time.Sleep(31 * time.Second)
		r.fail(kms.ErrUnavailable)
		if err := r.Health(ctx, "main"); !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("KMS away and nothing cached: %v", err)
		}
		r.fail(nil)
		w := r.mustWrite("realm")
		calls := r.kms.Calls()
		time.Sleep(4 * time.Minute)
		if err := r.Health(ctx, "main"); err != nil || r.kms.Calls() != calls {
			t.Errorf("with a write key: %v", err)
		}
		if time.Sleep(time.Minute); r.Health(ctx, "main") != nil || r.kms.Calls() != calls+1 {
			t.Error("no canary in five minutes with a write key")
		}
		time.Sleep(10 * time.Minute)
		r.fail(kms.ErrUnavailable)
		if err := r.Health(ctx, "main"); err != nil {
			t.Errorf("KMS away, but an entry serves: %v", err)
		}
		if err := r.Health(ctx, "other"); !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("the other key: %v", err)
		}
		time.Sleep(time.Hour)
		if err := r.Health(ctx, "main"); !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("KMS away, entries too old: %v", err)
		}
		_ = w
	})
}
