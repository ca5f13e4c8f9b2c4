package keycache_test

import (
	"errors"
	"testing"

	"s3veil/crypto/kms"
	"s3veil/keycache"
)

func TestKeysForOneObjectAreSharedWithNone(t *testing.T) {
	run(t, keycache.Options{MissRate: 50}, func(r *rig) {
		shared := r.mustWrite("realm")
		seen := map[string]bool{string(shared.Wrapped): true}
		for range 3 {
			key, err := r.ForOneObject(r.t.Context(), "app", "main", "realm", kms.Context{"a": "b"})
			if err != nil {
				r.t.Fatal(err)
			}
			seen[string(key.Wrapped)] = true
			if key.Print != keycache.FingerprintOf("main", key.Wrapped, "realm", kms.Context{"a": "b"}) {
				r.t.Error("another fingerprint")
			}
			bound := *key.Bound
			key.Release()
			if *key.Bound != (kms.Key32{}) {
				r.t.Error("the key is still there")
			}
			read, err := r.ForReading(r.t.Context(), "app", "main", key.Wrapped, "realm", kms.Context{"a": "b"})
			if err != nil || *read.Bound != bound {
				r.t.Fatalf("reading: %v", err)
			}
			read.Release()
		}
		if len(seen) != 4 {
			r.t.Errorf("%d keys", len(seen))
		}
		if again := r.mustWrite("realm"); string(again.Wrapped) != string(shared.Wrapped) {
			r.t.Error("the shared key was replaced")
		}
	})
}

func TestKeysForOneObjectAreLimitedAndRefused(t *testing.T) {
	run(t, keycache.Options{MissRate: 3}, func(r *rig) {
		var err error
		for n := 0; err == nil && n < 100; n++ {
			var key keycache.Key
			if key, err = r.ForOneObject(r.t.Context(), "app", "main", "realm", nil); err == nil {
				key.Release()
			}
		}
		if !errors.Is(err, keycache.ErrMissLimit) || r.kms.Calls("generate") != 3 {
			r.t.Errorf("%v after %d calls", err, r.kms.Calls("generate"))
		}
		if _, err := r.ForOneObject(r.t.Context(), "other", "off", "realm", nil); !errors.Is(err, kms.ErrKeyDisabled) {
			r.t.Errorf("disabled: %v", err)
		}
		if _, err := r.ForOneObject(r.t.Context(), "other", "nobody", "realm", nil); !errors.Is(err, kms.ErrKeyNotFound) {
			r.t.Errorf("unknown: %v", err)
		}
	})
}
