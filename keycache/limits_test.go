package keycache_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/kmstest"
	"s3veil/keycache"
)

func TestBytesAreCounted(t *testing.T) {
	run(t, keycache.Options{MaxBytes: 1000}, func(r *rig) {
		var prints []keycache.Fingerprint
		for range 6 {
			key, err := r.write("realm")
			if err != nil {
				t.Fatal(err)
			}
			prints = append(prints, key.Print)
			key.Charge(400)
			key.Release()
			time.Sleep(time.Second)
		}
		if prints[0] != prints[2] || prints[2] == prints[3] || prints[3] != prints[5] || r.kms.Calls() > 3 {
			t.Errorf("%x, %d calls", prints, r.kms.Calls())
		}
	})
}

// Parts are sealed under a key that their replica has unwrapped, or written with.
func TestBytesCountForTheWriteKeyThatWasReadBack(t *testing.T) {
	run(t, keycache.Options{MaxBytes: 1000}, func(r *rig) {
		first := r.mustWrite("realm")
		key, err := r.read(first.Wrapped, "realm")
		if err != nil {
			t.Fatal(err)
		}
		key.Charge(1000)
		key.Release()
		if next := r.mustWrite("realm"); next.Print == first.Print {
			t.Error("a key goes on after its last byte")
		}
		if _, err := r.read(first.Wrapped, "realm"); err != nil || r.kms.Calls(kmstest.OpUnwrap) != 0 {
			t.Errorf("it no longer reads: %v", err)
		}
	})
}

func TestNobodyWaitsAtTheEndOfAKeysUses(t *testing.T) {
	run(t, keycache.Options{MaxUses: 1600}, func(r *rig) {
		r.mustWrite("realm")
		r.kms.SetLatency(50 * time.Millisecond)
		for range 16_000 {
			start := time.Now()
			r.mustWrite("realm")
			if d := time.Since(start); d > 0 {
				t.Fatalf("waited %v", d)
			}
			time.Sleep(time.Millisecond)
		}
		if n := r.kms.Calls(); n != 11 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestLimitsCanBeChanged(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		w := r.mustWrite("realm")
		time.Sleep(2 * time.Minute)
		configure := func(o keycache.Options) {
			t.Helper()
			if err := r.Configure(o); err != nil {
				t.Fatal(err)
			}
		}
		configure(keycache.Options{MaxAge: 3 * time.Minute})
		if key := r.mustWrite("realm"); key.Print != w.Print {
			t.Error("a young key has gone")
		}
		synctest.Wait()
		time.Sleep(time.Minute)
		if _, err := r.read(w.Wrapped, "realm"); err != nil || r.kms.Calls(kmstest.OpUnwrap) != 1 {
			t.Errorf("a key older than the new age: %v, %d calls", err, r.kms.Calls(kmstest.OpUnwrap))
		}
		if key := r.mustWrite("realm"); key.Print == w.Print {
			t.Error("a key older than the new age still writes")
		}
		configure(keycache.Options{MaxUses: 1})
		if a, b := r.mustWrite("uses"), r.mustWrite("uses"); a.Print == b.Print {
			t.Error("MaxUses")
		}
		configure(keycache.Options{ReadEntries: 1})
		if n := r.Stats()["read"]; n != 1 {
			t.Errorf("%d entries", n)
		}
		configure(keycache.Options{PerObject: true})
		if s := r.Stats(); s["read"]+s["write"] != 0 {
			t.Errorf("kept: %v", s)
		}
		if a, b := r.mustWrite("realm"), r.mustWrite("realm"); a.Print == b.Print {
			t.Error("PerObject")
		}
		if err := r.Configure(keycache.Options{MaxAge: time.Hour}); err == nil {
			t.Error("an age beyond the format")
		}
		if a, b := r.mustWrite("realm"), r.mustWrite("realm"); a.Print == b.Print {
			t.Error("the refused change left something behind")
		}
		configure(keycache.Options{})
		if a, b := r.mustWrite("realm"), r.mustWrite("realm"); a.Print != b.Print {
			t.Error("back to reuse")
		}
	})
}

// An operator who learns of a long outage can let cached keys serve on without a restart, which would forget them.
func TestOutagePolicyCanBeExtendedInMidOutage(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		w := r.mustWrite("realm")
		time.Sleep(11*time.Minute + 50*time.Second) // what has expired does not stay in memory for a policy to come
		r.fail(kms.ErrUnavailable)
		if err := r.Configure(keycache.Options{Outage: keycache.Outage{Read: time.Hour, WriteCached: true}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Minute)
		if _, err := r.read(w.Wrapped, "realm"); err != nil {
			t.Errorf("read: %v", err)
		}
		r.mustWrite("realm")
		if err := r.Configure(keycache.Options{}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.read(w.Wrapped, "realm"); !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("read after the policy has ended: %v", err)
		}
	})
}
