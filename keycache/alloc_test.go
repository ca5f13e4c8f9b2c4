package keycache_test

import (
	"context"
	"testing"

	"s3veil/crypto/kms/kmstest"
	"s3veil/keycache"
)

func warm(t testing.TB) (c *keycache.Cache, wrapped []byte) {
	t.Helper()
	c, err := keycache.New(keycache.Options{KEKs: []keycache.KEK{{KID: "main", Provider: kmstest.NewMemory("k"), Name: "k"}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	key, err := c.ForWriting(context.Background(), "app", "main", "realm", nil)
	if err != nil {
		t.Fatal(err)
	}
	key.Release()
	return c, key.Wrapped
}

func TestHitsAllocateNothing(t *testing.T) {
	c, wrapped := warm(t)
	if n := testing.AllocsPerRun(1000, func() {
		key, err := c.ForWriting(context.Background(), "app", "main", "realm", nil)
		if err != nil {
			t.Fatal(err)
		}
		key.Release()
	}); n != 0 {
		t.Errorf("ForWriting: %v allocations", n)
	}
	if n := testing.AllocsPerRun(1000, func() {
		key, err := c.ForReading(context.Background(), "app", "main", wrapped, "realm", nil)
		if err != nil {
			t.Fatal(err)
		}
		key.Release()
	}); n != 0 {
		t.Errorf("ForReading: %v allocations", n)
	}
}

func BenchmarkHit(b *testing.B) {
	c, wrapped := warm(b)
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				key, _ := c.ForWriting(context.Background(), "app", "main", "realm", nil)
				key.Release()
			}
		})
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				key, _ := c.ForReading(context.Background(), "app", "main", wrapped, "realm", nil)
				key.Release()
			}
		})
	})
}
