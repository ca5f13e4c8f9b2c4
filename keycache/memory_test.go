package keycache_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/kmstest"
	"s3veil/keycache"
)

var zero kms.Key32

func TestEvictedKeysAreOverwrittenOnceUnused(t *testing.T) {
	run(t, keycache.Options{ReadEntries: 1}, func(r *rig) {
		wrapped, want := r.blob("realm")
		a, err := r.read(wrapped, "realm")
		if err != nil {
			t.Fatal(err)
		}
		b, err := r.read(wrapped, "realm")
		if err != nil {
			t.Fatal(err)
		}
		a.Release()
		other, _ := r.blob("realm")
		if _, err := r.read(other, "realm"); err != nil {
			t.Fatal(err)
		}
		if *b.Bound != want {
			t.Error("overwritten while in use")
		}
		b.Release()
		if *b.Bound != zero {
			t.Error("still in memory after eviction and release")
		}
	})
}

func TestWriteKeyLivesWhileEitherTableHoldsIt(t *testing.T) {
	run(t, keycache.Options{ReadEntries: 1}, func(r *rig) {
		w := r.mustWrite("realm")
		other, _ := r.blob("realm")
		if _, err := r.read(other, "realm"); err != nil { // pushes it out of the read cache
			t.Fatal(err)
		}
		if *w.Bound == zero {
			t.Error("overwritten although it still writes")
		}
		if key := r.mustWrite("realm"); key.Print != w.Print {
			t.Error("the write key was lost")
		}
	})
}

func TestExpiredKeysAreOverwrittenWithoutNewOnes(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		w := r.mustWrite("realm")
		time.Sleep(14 * time.Minute)
		if r.Stats()["read"] != 1 || *w.Bound == zero {
			t.Error("gone before its time")
		}
		time.Sleep(2 * time.Minute)
		if s := r.Stats(); s["read"] != 0 || s["write"] != 0 || *w.Bound != zero {
			t.Errorf("still in memory: %v", s)
		}
	})
}

// Nobody asks for a key, nor for numbers.
func TestExpiredKeysAreOverwrittenInAnIdleProcess(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		w := r.mustWrite("realm")
		time.Sleep(14 * time.Minute)
		if *w.Bound == zero {
			t.Error("gone before its time")
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if *w.Bound != zero {
			t.Error("still in memory")
		}
	})
	run(t, keycache.Options{Outage: keycache.Outage{Read: time.Hour}}, func(r *rig) {
		w := r.mustWrite("realm")
		time.Sleep(70 * time.Minute)
		synctest.Wait()
		if *w.Bound == zero {
			t.Error("gone before an outage could need it")
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if *w.Bound != zero {
			t.Error("still in memory after the time for outages")
		}
	})
}

func TestCloseOverwritesEverything(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		unused := r.mustWrite("unused")
		used, err := r.write("used")
		if err != nil {
			t.Fatal(err)
		}
		r.kms.SetLatency(time.Second)
		late := make(chan error)
		go func() {
			_, err := r.write("late")
			late <- err
		}()
		synctest.Wait()
		r.Close()
		if err := <-late; !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("call under way: %v", err)
		}
		if *unused.Bound != zero {
			t.Error("an unused key is still in memory")
		}
		if *used.Bound == zero {
			t.Error("a key was overwritten while in use")
		}
		used.Release()
		if *used.Bound != zero {
			t.Error("a released key is still in memory")
		}
		if _, err := r.write("used"); !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("after Close: %v", err)
		}
		if err := r.Health(r.t.Context(), "main"); !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("Health after Close: %v", err)
		}
		if err := r.Update(nil); !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("Update after Close: %v", err)
		}
	})
}

func TestSecondReleasePanics(t *testing.T) {
	run(t, keycache.Options{PerObject: true}, func(r *rig) {
		key := r.mustWrite("realm")
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		key.Release()
	})
}

func TestRemovedKidsStop(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		w := r.mustWrite("realm")
		if _, err := r.ForWriting(r.t.Context(), "app", "other", "realm", nil); err != nil {
			t.Fatal(err)
		}
		if err := r.Update(r.keks("other", "k2")); err != nil {
			t.Fatal(err)
		}
		if *w.Bound != zero {
			t.Error("the removed key is still in memory")
		}
		if _, err := r.read(w.Wrapped, "realm"); !errors.Is(err, kms.ErrKeyNotFound) {
			t.Errorf("read: %v", err)
		}
		if _, err := r.write("realm"); !errors.Is(err, kms.ErrKeyNotFound) {
			t.Errorf("write: %v", err)
		}
		calls := r.kms.Calls()
		if _, err := r.ForWriting(r.t.Context(), "app", "other", "realm", nil); err != nil || r.kms.Calls() != calls {
			t.Errorf("the key that stayed: %v, %d more calls", err, r.kms.Calls()-calls)
		}
		if err := r.Update(append(r.keks("a", "k1"), r.keks("a", "k2")...)); err == nil {
			t.Error("a faulty list was accepted")
		}
		if _, err := r.ForWriting(r.t.Context(), "app", "other", "realm", nil); err != nil {
			t.Errorf("after a faulty list: %v", err)
		}
	})
}

func TestChangedKeyIsAskedAgain(t *testing.T) {
	run(t, keycache.Options{MissRate: 1}, func(r *rig) {
		w := r.mustWrite("realm")
		list := r.keks("main", "k2") // the kid now means another key
		if err := r.Update(list); err != nil {
			t.Fatal(err)
		}
		if key := r.mustWrite("realm"); key.Print == w.Print {
			t.Error("the old key still writes")
		}
		if _, err := r.read(w.Wrapped, "realm"); !errors.Is(err, kms.ErrBadCiphertext) {
			t.Errorf("what the old key wrapped: %v", err)
		}
	})
}

func TestUpdateWithTheSameKeysKeepsEverything(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		w := r.mustWrite("realm")
		if err := r.Update(r.keks("main", "k1", "more", "k2")); err != nil {
			t.Fatal(err)
		}
		if key := r.mustWrite("realm"); key.Print != w.Print || r.kms.Calls() != 1 {
			t.Error("the cached key was lost")
		}
	})
}

func TestUpdateDuringACall(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		r.kms.SetLatency(time.Second)
		results := make(chan error)
		ask := func(kid string) {
			go func() {
				_, err := r.ForWriting(r.t.Context(), "app", kid, "realm", nil)
				results <- err
			}()
		}
		ask("main")
		synctest.Wait()
		if err := r.Update(r.keks("other", "k2")); err != nil {
			t.Fatal(err)
		}
		if err := <-results; !errors.Is(err, kms.ErrKeyNotFound) {
			t.Errorf("removed meanwhile: %v", err)
		}
		ask("other")
		synctest.Wait()
		if err := r.Update(r.keks("other", "k1")); err != nil {
			t.Fatal(err)
		}
		ask("other") // does not join the old question
		for range 2 {
			if err := <-results; err != nil {
				t.Errorf("changed meanwhile: %v", err)
			}
		}
		if n := r.kms.Calls(); n != 3 || r.Stats()["write"] != 1 {
			t.Errorf("%d calls, %v", n, r.Stats())
		}
	})
}

// TestKeysStayWholeUnderChurn uses tiny tables, faults, reloads and callers that leave, in real time for the race detector.
func TestKeysStayWholeUnderChurn(t *testing.T) {
	r := newRig(t, keycache.Options{ReadEntries: 3, WriteKeys: 2, MaxUses: 5, MissRate: 1e6, Tries: 1})
	var blobs [8][]byte
	var want [8]kms.Key32
	for i := range blobs {
		blobs[i], want[i] = r.blob("realm")
	}
	r.kms.SetFault(func(op, _ string) error {
		if rand.IntN(20) == 0 {
			return kms.ErrAccessDenied
		}
		return nil
	})
	herd(8, func(n int) {
		for i := range 500 {
			switch rand.IntN(8) {
			case 0:
				w, err := r.ForWriting(r.t.Context(), "app", "main", "realm", kms.Context{"n": fmt.Sprint(rand.IntN(4))})
				if err == nil && *w.Bound == zero {
					t.Error("an overwritten key was handed out")
				}
				if err == nil {
					w.Release()
				}
			case 1:
				if n == 0 && i%50 == 0 {
					_ = r.Update(r.keks("main", "k1"))
				}
				r.Stats()
			default:
				b := rand.IntN(len(blobs))
				key, err := r.read(blobs[b], "realm")
				if err != nil {
					continue
				}
				if *key.Bound != want[b] {
					t.Error("another key, or an overwritten one")
				}
				key.Release()
			}
		}
	})
	r.Close()
	if n := r.kms.Calls(kmstest.OpUnwrap); n == 0 {
		t.Error("nothing was tested")
	}
}
