package budget

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"s3veil/crypto/size"
)

func stream(t *testing.T, b *Budget, plain int64) *Buffers {
	t.Helper()
	buf, err := b.Stream(context.Background(), plain)
	if err != nil {
		t.Fatal(err)
	}
	return buf
}

func TestClassFollowsSizeAndLoad(t *testing.T) {
	for _, c := range []struct {
		plain, active int64
		want          int // packages; 0 = small
	}{
		{1, 1, 0}, {small, 1, 0}, {small + 1, 1, 1}, {size.Package, 1, 1}, {size.Package + 1, 1, 4}, {4 * size.Package, 1, 4},
		{5 * size.Package, 1, 8}, {9 * size.Package, 1, 16}, {1 << 40, 16, 16}, {1 << 40, 17, 8}, {1 << 40, 63, 8}, {1 << 40, 64, 4}, {1, 1000, 0},
	} {
		if got := classes[New(64<<20, 0).class(c.plain, c.active)]; got != c.want {
			t.Errorf("%d bytes, %d streams: %d packages, want %d", c.plain, c.active, got, c.want)
		}
	}
}

func TestMemoryPerStreamStaysWithinItsTarget(t *testing.T) {
	for n, limit := range map[int]int64{16: 2<<20 + 1<<10, 8: 1<<20 + 1<<10, 4: 512<<10 + 1<<10} {
		if cost(n) > limit {
			t.Errorf("%d packages take %d bytes", n, cost(n))
		}
	}
}

func TestSmallerClassBeforeRefusal(t *testing.T) {
	b := New(cost(16)+cost(4)+cost(1), time.Millisecond)
	var got []int
	var taken []*Buffers
	for range 3 {
		buf := stream(t, b, 1<<30)
		got, taken = append(got, buf.Packages), append(taken, buf)
	}
	if got[0] != 16 || got[1] != 4 || got[2] != 1 {
		t.Errorf("packages %v", got)
	}
	if _, err := b.Stream(context.Background(), 1<<30); !errors.Is(err, ErrSlowDown) {
		t.Errorf("no budget: %v", err)
	}
	used, total, streams, refused := b.State()
	if used != total || streams != 3 || refused != 1 {
		t.Errorf("state %d/%d %d %d", used, total, streams, refused)
	}
	for _, buf := range taken {
		b.Release(buf)
	}
	if used, _, streams, _ := b.State(); used != 0 || streams != 0 {
		t.Errorf("after release: %d bytes, %d streams", used, streams)
	}
}

func TestWaitersAreServedWhenMemoryComesFree(t *testing.T) {
	b := New(cost(1), time.Minute)
	first := stream(t, b, 1<<30)
	done := make(chan error, 1)
	go func() {
		buf, err := b.Stream(context.Background(), 1<<30)
		if err == nil {
			b.Release(buf)
		}
		done <- err
	}()
	b.Release(first)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestCancelledWaiterTakesNothing(t *testing.T) {
	b := New(cost(1), time.Minute)
	first := stream(t, b, 1<<30)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := b.Stream(ctx, 1<<30); !errors.Is(err, ErrSlowDown) {
		t.Error(err)
	}
	b.Release(first)
	b.Release(stream(t, b, 1<<30))
}

func TestBuffersComeBackOverwritten(t *testing.T) {
	b := New(64<<20, 0)
	buf := stream(t, b, 1<<20)
	for i := range buf.Plain {
		buf.Plain[i] = 0xaa
	}
	b.Release(buf)
	again := stream(t, b, 1<<20)
	if again != buf || !bytes.Equal(again.Plain, make([]byte, len(again.Plain))) {
		t.Error("plaintext survived, or the buffers were not kept")
	}
	held, release, _ := b.Held(context.Background(), 5000)
	copy(held, bytes.Repeat([]byte{0xaa}, 5000))
	release()
	held, release, _ = b.Held(context.Background(), 5000)
	defer release()
	if !bytes.Equal(held, make([]byte, 5000)) {
		t.Error("held plaintext survived")
	}
}

func TestHeldHasRoomForTheSealedForm(t *testing.T) {
	b := New(64<<20, 0)
	for _, n := range []int64{1, 4096, 4097, 65536, 65537, 1<<20 - 1, 1 << 20} {
		buf, release, err := b.Held(context.Background(), n)
		if err != nil || int64(len(buf)) != n || int64(cap(buf)) < n+size.Enc(n) {
			t.Errorf("%d bytes: len %d cap %d %v", n, len(buf), cap(buf), err)
		}
		release()
	}
	if used, _, _, _ := b.State(); used != 0 {
		t.Errorf("%d bytes in use", used)
	}
}

func TestDoubleReleasePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	b := New(64<<20, 0)
	buf := stream(t, b, 1)
	b.Release(buf)
	b.Release(buf)
}

func TestSumNeverExceedsTheBudget(t *testing.T) {
	b := New(4<<20, 10*time.Millisecond)
	var wait sync.WaitGroup
	for i := range 64 {
		wait.Go(func() {
			for range 50 {
				if i%2 == 0 {
					if buf, err := b.Stream(context.Background(), int64(i)<<20); err == nil {
						b.Release(buf)
					}
				} else if _, release, err := b.Held(context.Background(), int64(i)<<14%maxHeld); err == nil {
					release()
				}
				if used, total, _, _ := b.State(); used > total {
					t.Errorf("%d of %d bytes", used, total)
				}
			}
		})
	}
	wait.Wait()
	if used, _, streams, _ := b.State(); used != 0 || streams != 0 {
		t.Errorf("afterwards %d bytes, %d streams", used, streams)
	}
}
