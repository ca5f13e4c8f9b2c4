package keycache_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/kmstest"
	"s3veil/keycache"
)

func TestManyWritesCostOneCall(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		first := r.mustWrite("realm")
		for range 9_999 {
			key, err := r.write("realm")
			if err != nil || !bytes.Equal(key.Wrapped, first.Wrapped) || key.Print != first.Print || key.KID != "main" {
				t.Fatalf("%+v, %v", key, err)
			}
			key.Release()
		}
		if n := r.kms.Calls(); n != 1 {
			t.Errorf("%d calls", n)
		}
		r.mustWrite("another realm")
		if n := r.kms.Calls(kmstest.OpGenerate); n != 2 {
			t.Errorf("%d calls for two realms", n)
		}
	})
}

func TestWhatWasWrittenIsReadWithoutACall(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		w, err := r.write("realm")
		if err != nil {
			t.Fatal(err)
		}
		defer w.Release()
		key, err := r.read(w.Wrapped, "realm")
		if err != nil || *key.Bound != *w.Bound || key.Print != w.Print {
			t.Fatalf("%+v, %v", key, err)
		}
		key.Release()
		if n := r.kms.Calls(kmstest.OpUnwrap); n != 0 {
			t.Errorf("%d unwraps", n)
		}
	})
}

func TestReadKeysAreBoundToTheirRealm(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		wrapped, want := r.blob("realm")
		for range 3 {
			key, err := r.read(wrapped, "realm")
			if err != nil || *key.Bound != want {
				t.Fatalf("%v, or another key than expected", err)
			}
			key.Release()
		}
		if n := r.kms.Calls(kmstest.OpUnwrap); n != 1 {
			t.Errorf("%d unwraps", n)
		}
		if _, err := r.read(wrapped, "other"); !errors.Is(err, kms.ErrBadCiphertext) {
			t.Errorf("blob of another realm: %v", err)
		}
		if _, err := r.ForReading(r.t.Context(), "app", "other", wrapped, "realm", nil); !errors.Is(err, kms.ErrBadCiphertext) {
			t.Errorf("blob of another key: %v", err)
		}
		if _, err := r.ForReading(r.t.Context(), "app", "main", wrapped, "realm", kms.Context{"a": "b"}); !errors.Is(err, kms.ErrBadCiphertext) {
			t.Errorf("with pairs: %v", err)
		}
		if key, err := r.read(wrapped, "realm"); err != nil || *key.Bound != want {
			t.Errorf("after the refusals: %v", err)
		}
	})
}

func TestUnknownKidsCostNoCall(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		if _, err := r.ForWriting(r.t.Context(), "app", "nobody", "realm", nil); !errors.Is(err, kms.ErrKeyNotFound) {
			t.Errorf("ForWriting: %v", err)
		}
		if _, err := r.ForReading(r.t.Context(), "app", "nobody", []byte("x"), "realm", nil); !errors.Is(err, kms.ErrKeyNotFound) {
			t.Errorf("ForReading: %v", err)
		}
		if n := r.kms.Calls(); n != 0 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestHerdMakesOneCall(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		wrapped, want := r.blob("realm")
		r.kms.SetLatency(time.Second)
		herd(1000, func(int) {
			if key, err := r.read(wrapped, "realm"); err != nil || *key.Bound != want {
				t.Errorf("reading: %v", err)
			} else {
				key.Release()
			}
		})
		herd(1000, func(int) {
			if key, err := r.write("realm"); err != nil {
				t.Errorf("writing: %v", err)
			} else {
				key.Release()
			}
		})
		if n := r.kms.Calls(kmstest.OpUnwrap); n != 1 {
			t.Errorf("%d unwraps", n)
		}
		if n := r.kms.Calls(kmstest.OpGenerate); n != 1 {
			t.Errorf("%d generates", n)
		}
	})
}

func TestCancelledFirstCallerDoesNotFailTheOthers(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		wrapped, _ := r.blob("realm")
		r.kms.SetLatency(time.Second)
		ctx, cancel := context.WithCancel(r.t.Context())
		var wg sync.WaitGroup
		first := func(call func() error) {
			wg.Go(func() {
				if err := call(); !errors.Is(err, context.Canceled) {
					t.Errorf("first caller: %v", err)
				}
			})
		}
		first(func() error { _, err := r.ForReading(ctx, "app", "main", wrapped, "realm", nil); return err })
		first(func() error { _, err := r.ForWriting(ctx, "app", "main", "realm", nil); return err })
		synctest.Wait()
		wg.Go(func() {
			if _, err := r.read(wrapped, "realm"); err != nil {
				t.Errorf("second reader: %v", err)
			}
		})
		wg.Go(func() {
			if _, err := r.write("realm"); err != nil {
				t.Errorf("second writer: %v", err)
			}
		})
		synctest.Wait()
		cancel()
		wg.Wait()
		if n := r.kms.Calls(kmstest.OpUnwrap, kmstest.OpGenerate); n != 2 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestCallersThatAllLeaveWasteNothing(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		r.kms.SetLatency(time.Second)
		ctx, cancel := context.WithTimeout(r.t.Context(), time.Millisecond)
		defer cancel()
		if _, err := r.ForWriting(ctx, "app", "main", "realm", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		time.Sleep(2 * time.Second)
		r.mustWrite("realm")
		if n := r.kms.Calls(); n != 1 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestWriteKeysAreReplacedInTimeAndNobodyWaits(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		r.kms.SetLatency(300 * time.Millisecond)
		born := map[keycache.Fingerprint]time.Time{}
		r.mustWrite("realm")
		for range 2 * 60 * 12 { // two hours
			start := time.Now()
			key := r.mustWrite("realm")
			if d := time.Since(start); d > 0 {
				t.Fatalf("a writer waited %v", d)
			}
			if born[key.Print].IsZero() {
				born[key.Print] = start
			}
			if age := start.Sub(born[key.Print]); age > 15*time.Minute {
				t.Fatalf("key used at the age of %v", age)
			}
			time.Sleep(5 * time.Second)
		}
		// 12 to 15 minutes each, replaced after two thirds of that.
		if n := r.kms.Calls(); n < 12 || n > 16 {
			t.Errorf("%d calls in two hours", n)
		}
	})
}

func TestIdleWriteKeyIsTooOldLater(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		first := r.mustWrite("realm")
		time.Sleep(15 * time.Minute)
		if key := r.mustWrite("realm"); key.Print == first.Print {
			t.Error("a key of 15 minutes still writes")
		}
		if _, err := r.read(first.Wrapped, "realm"); err != nil || r.kms.Calls(kmstest.OpUnwrap) != 1 {
			t.Errorf("reading what it wrote: %v, %d unwraps", err, r.kms.Calls(kmstest.OpUnwrap))
		}
	})
}

func TestReadEntriesExpire(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		wrapped, _ := r.blob("realm")
		for _, c := range []struct {
			wait  time.Duration
			calls int
		}{{0, 1}, {15*time.Minute - 1, 1}, {1, 2}, {14 * time.Minute, 2}} {
			time.Sleep(c.wait)
			if _, err := r.read(wrapped, "realm"); err != nil || r.kms.Calls(kmstest.OpUnwrap) != c.calls {
				t.Errorf("after %v more: %d calls, %v", c.wait, r.kms.Calls(kmstest.OpUnwrap), err)
			}
		}
	})
}

func TestUsesAreCounted(t *testing.T) {
	run(t, keycache.Options{MaxUses: 10}, func(r *rig) {
		var mu sync.Mutex
		uses := map[keycache.Fingerprint]int{}
		use := func(int) {
			key, err := r.write("realm")
			if err != nil {
				t.Error(err)
				return
			}
			defer key.Release()
			mu.Lock()
			defer mu.Unlock()
			uses[key.Print]++
		}
		for i := range 50 {
			use(i)
		}
		r.kms.SetLatency(time.Second)
		herd(50, use)
		if len(uses) != 10 || r.kms.Calls() != 10 {
			t.Errorf("%d keys, %d calls", len(uses), r.kms.Calls())
		}
		for _, n := range uses {
			if n != 10 {
				t.Errorf("a key was used %d times", n)
			}
		}
	})
}

func TestPairsHaveWriteKeysOfTheirOwn(t *testing.T) {
	run(t, keycache.Options{WriteKeys: 3}, func(r *rig) {
		prints := map[keycache.Fingerprint]bool{r.mustWrite("realm").Print: true}
		for i := range 5 {
			for range 2 {
				pairs := kms.Context{"n": fmt.Sprint(i), "m": ""}
				key, err := r.ForWriting(r.t.Context(), "app", "main", "realm", pairs)
				if err != nil {
					t.Fatal(err)
				}
				prints[key.Print] = true
				if got, err := r.ForReading(r.t.Context(), "app", "main", key.Wrapped, "realm", pairs); err != nil || *got.Bound != *key.Bound {
					t.Errorf("reading: %v", err)
				}
			}
		}
		if len(prints) != 6 || r.kms.Calls() != 6 {
			t.Errorf("%d keys, %d calls", len(prints), r.kms.Calls())
		}
		if n := r.Stats()["write"]; n != 4 {
			t.Errorf("%d write keys are kept", n)
		}
		if n := r.count("evicted", "write"); n != 2 {
			t.Errorf("%d evictions were reported", n)
		}
		r.mustWrite("realm")
		if n := r.kms.Calls(); n != 6 {
			t.Error("keys with pairs pushed the plain one out")
		}
	})
}

func TestReadCacheIsBounded(t *testing.T) {
	run(t, keycache.Options{ReadEntries: 5}, func(r *rig) {
		for range 12 {
			wrapped, _ := r.blob("realm")
			if _, err := r.read(wrapped, "realm"); err != nil {
				t.Fatal(err)
			}
		}
		if n := r.Stats()["read"]; n != 5 || r.count("evicted", "read") != 7 {
			t.Errorf("%d entries, %d evictions", n, r.count("evicted", "read"))
		}
	})
}

func TestPerObjectReusesNothing(t *testing.T) {
	run(t, keycache.Options{PerObject: true}, func(r *rig) {
		prints := map[keycache.Fingerprint]bool{}
		for range 5 {
			w, err := r.write("realm")
			if err != nil {
				t.Fatal(err)
			}
			prints[w.Print] = true
			key, err := r.read(w.Wrapped, "realm")
			if err != nil || *key.Bound != *w.Bound || key.Print != w.Print {
				t.Fatalf("reading: %v", err)
			}
			key.Release()
			w.Release()
			if *w.Bound != (kms.Key32{}) || *key.Bound != (kms.Key32{}) {
				t.Error("a released key is still in memory")
			}
		}
		if len(prints) != 5 || r.kms.Calls(kmstest.OpGenerate) != 5 || r.kms.Calls(kmstest.OpUnwrap) != 5 {
			t.Errorf("%d keys, %d calls", len(prints), r.kms.Calls())
		}
		if s := r.Stats(); s["read"] != 0 || s["write"] != 0 {
			t.Errorf("kept: %v", s)
		}
		if _, err := r.ForWriting(r.t.Context(), "app", "off", "realm", nil); !errors.Is(err, kms.ErrKeyDisabled) {
			t.Errorf("disabled key: %v", err)
		}
	})
}

func TestEveryCallGivesOneEvent(t *testing.T) {
	run(t, keycache.Options{}, func(r *rig) {
		w := r.mustWrite("realm")
		r.mustWrite("realm")
		_, _ = r.read(w.Wrapped, "realm")
		_, _ = r.read([]byte("forged"), "realm")
		_, _ = r.read([]byte("forged"), "realm")
		for _, c := range []struct {
			kind, cache string
			want        int
		}{{"miss", "write", 1}, {"hit", "write", 1}, {"hit", "read", 2}, {"miss", "read", 1}, {"kms", "", 2}} {
			if n := r.count(c.kind, c.cache); n != c.want {
				t.Errorf("%s %s: %d events, want %d", c.kind, c.cache, n, c.want)
			}
		}
		for _, e := range r.events {
			if e.KID != "main" || e.Kind == "kms" && e.Op != "generate" && e.Op != "unwrap" {
				t.Errorf("event %+v", e)
			}
		}
	})
}

func TestOptionsBeyondTheFormatAreRefused(t *testing.T) {
	m := kmstest.NewMemory("k")
	for name, o := range map[string]keycache.Options{
		"age":           {MaxAge: 15*time.Minute + 1},
		"negative age":  {MaxAge: -1},
		"bytes":         {MaxBytes: -1},
		"uses":          {MaxUses: 1<<19 + 1},
		"entries":       {ReadEntries: -1},
		"rate":          {MissRate: -1},
		"outage":        {Outage: keycache.Outage{Read: 24*time.Hour + 1}},
		"tries":         {Tries: -1},
		"no kid":        {KEKs: []keycache.KEK{{Provider: m, Name: "k"}}},
		"reserved kid":  {KEKs: []keycache.KEK{{KID: "@sse-c", Provider: m, Name: "k"}}},
		"no provider":   {KEKs: []keycache.KEK{{KID: "k"}}},
		"the kid twice": {KEKs: []keycache.KEK{{KID: "k", Provider: m, Name: "k"}, {KID: "k", Provider: m, Name: "l"}}},
	} {
		if _, err := keycache.New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// hollow is a KMS that succeeds without a key, or without a blob.
type hollow struct {
	kms.Provider
	key  kms.Key32
	blob []byte
}

func (h hollow) Generate(context.Context, string, kms.Context) (kms.Key32, []byte, error) {
	return h.key, h.blob, nil
}

func (h hollow) Unwrap(context.Context, string, []byte, kms.Context) (kms.Key32, error) {
	return h.key, nil
}

func TestKeysThatAreNoneAreRefused(t *testing.T) {
	some := kms.Key32{1}
	for name, c := range map[string]struct {
		hollow
		writes, reads bool
	}{
		"a key of zeros":  {hollow{blob: []byte("blob")}, false, false},
		"no blob":         {hollow{key: some}, false, true},
		"a blob too long": {hollow{key: some, blob: make([]byte, 1025)}, false, true},
		"all there is":    {hollow{key: some, blob: make([]byte, 1024)}, true, true},
	} {
		r, err := keycache.New(keycache.Options{KEKs: []keycache.KEK{{KID: "main", Provider: &c.hollow, Name: "k"}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.ForWriting(t.Context(), "app", "main", "realm", nil); c.writes != (err == nil) {
			t.Errorf("%s: write: %v", name, err)
		}
		if _, err := r.ForReading(t.Context(), "app", "main", []byte("another"), "realm", nil); c.reads != (err == nil) {
			t.Errorf("%s: read: %v", name, err)
		}
		r.Close()
	}
}
