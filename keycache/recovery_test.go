package keycache_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/kmstest"
	"s3veil/keycache"
)

// hang makes every call last until its deadline.
func (r *rig) hang() { r.kms.SetLatency(time.Hour) }

// outages are the ways in which a KMS can be out.
var outages = map[string]func(*rig){
	"hanging":     (*rig).hang,
	"unavailable": func(r *rig) { r.fail(kms.ErrUnavailable) },
	"throttling":  func(r *rig) { r.fail(kms.ErrThrottled) },
}

func TestRecoveryTakesASecondAfterHours(t *testing.T) {
	for name, begin := range outages {
		run(t, keycache.Options{}, func(r *rig) {
			wrapped, want := r.blob("realm")
			begin(r)
			for i := range 3 * 360 {
				go func() { _, _ = r.write(fmt.Sprint(i)) }()
				_, _ = r.read(wrapped, "realm")
				time.Sleep(10 * time.Second)
			}
			r.fail(nil)
			time.Sleep(time.Second)
			start := time.Now()
			if key, err := r.read(wrapped, "realm"); err != nil || *key.Bound != want {
				t.Errorf("%s: read: %v", name, err)
			}
			if _, err := r.write("realm"); err != nil {
				t.Errorf("%s: write: %v", name, err)
			}
			if d := time.Since(start); d > 0 {
				t.Errorf("%s: they waited %v", name, d)
			}
		})
	}
}

// What hung while another call succeeded says nothing about the KMS any more.
func TestLateFailuresDoNotHideARecovery(t *testing.T) {
	run(t, keycache.Options{Tries: 1}, func(r *rig) {
		r.hang()
		for i := range 20 {
			go func() { _, _ = r.write(fmt.Sprint(i)) }()
		}
		time.Sleep(time.Second)
		r.fail(nil)
		if _, err := r.write("realm"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4*time.Second + time.Nanosecond) // the twenty have just failed
		synctest.Wait()
		if r.Away("main") {
			t.Error("away")
		}
		if _, err := r.write("other realm"); err != nil {
			t.Errorf("after late failures: %v", err)
		}
	})
}

// Only who finds out waits for a KMS that hangs: everybody after that is served at once, and the KMS is asked all the same.
func TestBridgedRequestsDoNotWait(t *testing.T) {
	for name, begin := range outages {
		run(t, keycache.Options{Outage: keycache.Outage{Read: time.Hour, WriteCached: true}}, func(r *rig) {
			w := r.mustWrite("realm")
			time.Sleep(15 * time.Minute)
			begin(r)
			if _, err := r.read(w.Wrapped, "realm"); err != nil {
				t.Fatalf("%s: first read: %v", name, err)
			}
			calls := r.kms.Calls()
			for range 100 {
				start := time.Now()
				if _, err := r.read(w.Wrapped, "realm"); err != nil {
					t.Errorf("%s: read: %v", name, err)
				}
				if key := r.mustWrite("realm"); key.Print != w.Print {
					t.Errorf("%s: another key", name)
				}
				if d := time.Since(start); d > 0 {
					t.Fatalf("%s: waited %v", name, d)
				}
				time.Sleep(time.Second)
			}
			if n := r.kms.Calls() - calls; n < 15 || n > 220 {
				t.Errorf("%s: %d calls in 100 s", name, n)
			}
			if n := r.count("expired", "write"); n != 100 {
				t.Errorf("%s: %d writes with an expired key", name, n)
			}
			r.fail(nil)
			time.Sleep(11 * time.Second) // calls that hang have ended
			r.mustWrite("realm")
			time.Sleep(time.Millisecond)
			before := r.count("expired", "write")
			if key := r.mustWrite("realm"); key.Print == w.Print || r.count("expired", "write") != before {
				t.Errorf("%s: the old key goes on after the outage", name)
			}
		})
	}
}

// Reads alone are bridged unless the policy says more, however often is asked.
func TestExpiredKeysDoNotWriteUnderAPolicyForReads(t *testing.T) {
	run(t, keycache.Options{MaxAge: 20 * time.Second, Outage: keycache.Outage{Read: time.Hour}}, func(r *rig) {
		w := r.mustWrite("realm")
		time.Sleep(20 * time.Second) // expired, but not yet swept
		r.fail(kms.ErrUnavailable)
		for range 10 {
			if _, err := r.write("realm"); !errors.Is(err, kms.ErrUnavailable) {
				t.Errorf("write: %v", err)
			}
			if _, err := r.read(w.Wrapped, "realm"); err != nil {
				t.Errorf("read: %v", err)
			}
		}
	})
}

// A key that has sealed as much as the format allows seals nothing further, whatever the policy for outages.
func TestSpentKeysDoNotWriteInAnOutage(t *testing.T) {
	for name, spend := range map[string]func(r *rig){
		"uses": func(r *rig) {
			for range 4 {
				r.mustWrite("realm")
			}
		},
		"bytes": func(r *rig) {
			key, err := r.write("realm")
			if err != nil {
				r.t.Fatal(err)
			}
			key.Charge(1000)
			key.Release()
		},
	} {
		run(t, keycache.Options{MaxUses: 4, MaxBytes: 1000, Outage: keycache.Outage{Read: time.Hour, WriteCached: true}}, func(r *rig) {
			r.fail(nil)
			first := r.mustWrite("other realm")
			r.fail(kms.ErrUnavailable)
			if _, err := r.write("realm"); !errors.Is(err, kms.ErrUnavailable) {
				t.Fatalf("%s: a new realm in an outage: %v", name, err)
			}
			r.fail(nil)
			time.Sleep(2 * time.Second)
			spend(r)
			r.fail(kms.ErrUnavailable)
			for _, age := range []time.Duration{0, time.Second, 15 * time.Minute} {
				time.Sleep(age)
				for range 3 {
					if key, err := r.write("realm"); !errors.Is(err, kms.ErrUnavailable) {
						t.Errorf("%s, after %v: a spent key writes: %v, %v", name, age, key.Print, err)
					}
				}
			}
			if key := r.mustWrite("other realm"); key.Print != first.Print {
				t.Errorf("%s: the key that is not spent does not bridge", name)
			}
		})
	}
}

func TestKeyRevokedDuringAnOutageStops(t *testing.T) {
	run(t, keycache.Options{Outage: keycache.Outage{Read: time.Hour, WriteCached: true}}, func(r *rig) {
		w := r.mustWrite("realm")
		time.Sleep(15 * time.Minute)
		r.fail(kms.ErrUnavailable)
		for range 5 {
			r.mustWrite("realm")
			_, _ = r.read(w.Wrapped, "realm")
		}
		r.fail(kms.ErrKeyDisabled)
		time.Sleep(time.Second)
		_, _ = r.read(w.Wrapped, "realm") // may be the last one, and asks the KMS
		_, _ = r.write("realm")
		time.Sleep(time.Second)
		if _, err := r.read(w.Wrapped, "realm"); !errors.Is(err, kms.ErrKeyDisabled) {
			t.Errorf("read: %v", err)
		}
		if _, err := r.write("realm"); !errors.Is(err, kms.ErrKeyDisabled) {
			t.Errorf("write: %v", err)
		}
	})
}

func TestOutagesAreReportedOnce(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		for round := 1; round <= 2; round++ {
			r.fail(kms.ErrUnavailable)
			for range 100 {
				_, _ = r.write("realm")
				time.Sleep(time.Second)
			}
			if !r.Away("main") || r.Away("other") {
				t.Error("Away")
			}
			r.fail(nil)
			r.mustWrite(fmt.Sprint(round))
			if r.Away("main") || r.count("away", "") != round || r.count("back", "") != round {
				t.Errorf("%d times away, %d times back", r.count("away", ""), r.count("back", ""))
			}
		}
		failures := 2
		r.kms.SetFault(func(string, string) error {
			if failures--; failures >= 0 {
				return kms.ErrThrottled
			}
			return nil
		})
		r.mustWrite("a third try")
		if r.count("away", "") != 2 || r.Away("main") || r.Away("nobody") {
			t.Error("what the third try mended was reported")
		}
	})
}

func TestHealthEndsInTime(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		r.hang()
		for range 10 {
			start := time.Now()
			if err := r.Health(r.t.Context(), "main"); !errors.Is(err, kms.ErrUnavailable) {
				t.Errorf("%v", err)
			}
			if d := time.Since(start); d > 3*time.Second {
				t.Errorf("%v", d)
			}
		}
		if !r.Away("main") {
			t.Error("canaries do not count")
		}
		r.fail(nil)
		time.Sleep(time.Second)
		if err := r.Health(r.t.Context(), "main"); err != nil {
			t.Errorf("a second after the outage: %v", err)
		}
	})
}

func TestAnyAnswerSparesTheCanary(t *testing.T) {
	run(t, keycache.Options{PerObject: true}, func(r *rig) {
		for range 60 {
			r.mustWrite("realm")
			if err := r.Health(r.t.Context(), "main"); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
		}
		if n := r.kms.Calls(kmstest.OpHealth); n != 0 {
			t.Errorf("%d canaries", n)
		}
	})
}
