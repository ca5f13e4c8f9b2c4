package keycache_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/kmstest"
	"s3veil/keycache"
)

// rig is a cache over an in-memory KMS with the keys main and other, and one that is disabled.
type rig struct {
	*keycache.Cache
	t   *testing.T
	kms *kmstest.Memory

	mu     sync.Mutex
	events []keycache.Event
}

// run starts a test with fake time.
func run(t *testing.T, opts keycache.Options, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, opts)
		defer r.Close()
		f(r)
	})
}

func newRig(t *testing.T, opts keycache.Options) *rig {
	t.Helper()
	r := &rig{t: t, kms: kmstest.NewMemory("k1", "k2", "off")}
	r.kms.Disable("off", true)
	opts.KEKs = r.keks("main", "k1", "other", "k2", "off", "off")
	opts.Observe = func(e keycache.Event) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.events = append(r.events, e)
	}
	var err error
	if r.Cache, err = keycache.New(opts); err != nil {
		t.Fatal(err)
	}
	return r
}

// keks makes a list of pairs of kid and name.
func (r *rig) keks(pairs ...string) (list []keycache.KEK) {
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, keycache.KEK{KID: pairs[i], Provider: r.kms, Name: pairs[i+1]})
	}
	return list
}

// count returns how many events of a kind and cache there were.
func (r *rig) count(kind, cache string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Kind == kind && e.Cache == cache {
			n++
		}
	}
	return n
}

func (r *rig) write(realm string) (keycache.Key, error) {
	return r.ForWriting(r.t.Context(), "app", "main", realm, nil)
}

func (r *rig) read(wrapped []byte, realm string) (keycache.Key, error) {
	return r.ForReading(r.t.Context(), "app", "main", wrapped, realm, nil)
}

// mustWrite returns a write key that is released already, of which wrapped and print stay good.
func (r *rig) mustWrite(realm string) keycache.Key {
	r.t.Helper()
	key, err := r.write(realm)
	if err != nil {
		r.t.Fatalf("ForWriting: %v", err)
	}
	key.Release()
	return key
}

// blob makes a wrapped key that the cache has not seen, and what it should become.
func (r *rig) blob(realm string) (wrapped []byte, bound kms.Key32) {
	r.t.Helper()
	m, ec := r.kms, kms.RealmContext(realm, nil)
	key := kms.Key32{1, 2, 3}
	wrapped, err := m.Wrap(context.Background(), "k1", key, ec)
	if err != nil {
		r.t.Fatal(err)
	}
	return wrapped, kms.Bind(key, ec)
}

// herd calls f in n goroutines and waits for all of them.
func herd(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}
