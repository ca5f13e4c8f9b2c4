package budget_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"s3veil/crypto/size"
	"s3veil/proxy/budget"
)

const (
	kib  = 1 << 10
	mib  = 1 << 20
	long = time.Hour // of synctest's clock, or never reached
)

var bg = context.Background()

// slab is what a stream of n packages is charged.
func slab(n int64) int64 { return n * (size.Package + size.Cipher) }

func stream(t *testing.T, b *budget.Budget, plain int64) *budget.Buffers {
	t.Helper()
	buf, err := b.Stream(bg, plain)
	if err != nil {
		t.Fatal(err)
	}
	return buf
}

// checkEmpty asserts that everything has been given back.
func checkEmpty(t *testing.T, b *budget.Budget) {
	t.Helper()
	if used, total, streams, _ := b.State(); used != 0 || streams != 0 {
		t.Errorf("%d bytes and %d streams left", used, streams)
	} else if b.Idle() > total {
		t.Errorf("%d idle bytes of a budget of %d", b.Idle(), total)
	}
}

func TestSmallerClassBeforeAWait(t *testing.T) {
	b := budget.New(64*mib, long)
	last, kinds := 16, map[int]int{}
	for i := range 96 {
		buf := stream(t, b, 1<<30)
		if i == 0 && buf.Packages != 16 || buf.Packages > last {
			t.Errorf("stream %d: %d packages after %d", i, buf.Packages, last)
		}
		last = buf.Packages
		kinds[last]++
	}
	if len(kinds) != 4 || kinds[16] < 8 || kinds[8] < 8 || kinds[4] < 8 {
		t.Errorf("classes taken: %v", kinds)
	}
}

func TestEarlyStreamsLeaveRoomForLaterOnes(t *testing.T) {
	// Streams that are admitted together, so that each sees few others, must not take all there is.
	for _, total := range []int64{16 * mib, 64 * mib, 256 * mib} {
		b := budget.New(total, 0)
		n := 0
		for ; ; n++ {
			if _, err := b.Stream(bg, 1<<30); err != nil {
				break
			}
		}
		if want := int(total / mib); n < want {
			t.Errorf("%d MiB: %d streams, want at least %d", total/mib, n, want)
		}
	}
}

func TestRefusalAfterTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const wait = 2 * time.Second
		b := budget.New(slab(1), wait)
		first := stream(t, b, 1<<30)
		for i, f := range []func() error{
			func() error { _, err := b.Stream(bg, 1<<30); return err },
			func() error { _, _, err := b.Held(bg, 4096); return err },
			func() error { _, err := b.Reserve(bg, 1); return err },
		} {
			start := time.Now()
			if err := f(); !errors.Is(err, budget.ErrSlowDown) {
				t.Errorf("%d: %v, want ErrSlowDown", i, err)
			}
			if waited := time.Since(start); waited != wait {
				t.Errorf("%d: waited %v", i, waited)
			}
			if _, _, streams, refused := b.State(); refused != uint64(i+1) || streams != 1 {
				t.Errorf("%d: %d refused, %d streams", i, refused, streams)
			}
		}
		b.Release(first)
		checkEmpty(t, b)
	})
}

func TestNoWaitWhereItCannotHelp(t *testing.T) {
	b := budget.New(mib, long)
	if _, err := b.Reserve(bg, mib+1); !errors.Is(err, budget.ErrSlowDown) {
		t.Errorf("more than the whole budget: %v", err)
	}
	if _, _, err := b.Held(bg, mib); !errors.Is(err, budget.ErrSlowDown) {
		t.Errorf("held body larger than the budget: %v", err)
	}
	if _, _, _, refused := b.State(); refused != 2 {
		t.Errorf("%d refused", refused)
	}
}

func TestSmallestBudgetIsOnePackage(t *testing.T) {
	b := budget.New(0, 0)
	if buf := stream(t, b, 1<<30); buf.Packages != 1 {
		t.Errorf("%d packages", buf.Packages)
	}
	if _, err := b.Stream(bg, 1); !errors.Is(err, budget.ErrSlowDown) {
		t.Errorf("%v, want ErrSlowDown", err)
	}
}

func TestWaiterGoesOnWhenBuffersComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget.New(slab(1), long)
		first := stream(t, b, 1<<30)
		got := make(chan *budget.Buffers)
		go func() { got <- stream(t, b, 1<<30) }()
		synctest.Wait()
		b.Release(first)
		b.Release(<-got)
		checkEmpty(t, b)
	})
}

func TestWaitersAreServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget.New(1000*kib, long)
		release, err := b.Reserve(bg, 1000*kib)
		if err != nil {
			t.Fatal(err)
		}
		served := make(chan int, 5)
		for i := range 5 {
			go func() {
				done, err := b.Reserve(bg, 1000*kib)
				if err != nil {
					t.Error(err)
					return
				}
				served <- i
				time.Sleep(time.Minute)
				done()
			}()
			synctest.Wait() // it stands in the queue
		}
		release()
		for i := range 5 {
			if got := <-served; got != i {
				t.Errorf("served %d, want %d", got, i)
			}
		}
		time.Sleep(time.Hour)
		checkEmpty(t, b)
	})
}

func TestSmallRequestDoesNotOvertakeAWaitingOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget.New(1000*kib, long)
		half, err := b.Reserve(bg, 600*kib)
		if err != nil {
			t.Fatal(err)
		}
		var large, small bool
		go func() {
			if _, err := b.Reserve(bg, 900*kib); err == nil {
				large = true
			}
		}()
		synctest.Wait()
		go func() {
			if _, err := b.Reserve(bg, 100*kib); err == nil {
				small = true
			}
		}()
		synctest.Wait()
		if large || small {
			t.Fatalf("large %v, small %v before anything came back", large, small)
		}
		half()
		synctest.Wait()
		if !large || !small {
			t.Errorf("large %v, small %v", large, small)
		}
	})
}

func TestCancelledWaiterLeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := budget.New(slab(1), long)
		first := stream(t, b, 1<<30)
		ctx, cancel := context.WithCancel(bg)
		result := make(chan error)
		go func() {
			_, err := b.Stream(ctx, 1<<30)
			result <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) || errors.Is(err, budget.ErrSlowDown) {
			t.Errorf("%v, want context.Canceled", err)
		}
		if _, _, streams, refused := b.State(); streams != 1 || refused != 0 {
			t.Errorf("%d streams, %d refused", streams, refused)
		}
		if _, _, err := b.Held(ctx, 100); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled before the wait: %v", err)
		}
		b.Release(first)
		b.Release(stream(t, b, 1<<30))
		checkEmpty(t, b)
	})
}

func TestGivingBackTwicePanics(t *testing.T) {
	b := budget.New(64*mib, 0)
	buf := stream(t, b, 1)
	_, held, err := b.Held(bg, 1)
	if err != nil {
		t.Fatal(err)
	}
	reserved, err := b.Reserve(bg, 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(){"stream": func() { b.Release(buf) }, "held": held, "reserved": reserved} {
		f()
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
	checkEmpty(t, b)
}

// Many users at once: a buffer has one owner, and the budget is never exceeded.
func TestConcurrentUse(t *testing.T) {
	const total = 6 * mib
	b := budget.New(total, time.Minute)
	var users sync.WaitGroup
	for id := range 16 {
		users.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(id)))
			for range 60 {
				if used, _, _, _ := b.State(); used > total {
					t.Errorf("%d bytes of %d", used, total)
				}
				switch rng.IntN(3) {
				case 0:
					buf, err := b.Stream(bg, rng.Int64N(4*mib))
					if err != nil {
						t.Error(err)
						return
					}
					own(t, byte(id+1), buf.Plain[:1024])
					clear(buf.Cipher)
					own(t, byte(id+1), buf.Cipher[:1024])
					b.Release(buf)
				case 1:
					buf, release, err := b.Held(bg, 1+rng.Int64N(100_000))
					if err != nil {
						t.Error(err)
						return
					}
					own(t, byte(id+1), buf)
					release()
				default:
					release, err := b.Reserve(bg, 1+rng.Int64N(mib))
					if err != nil {
						t.Error(err)
						return
					}
					release()
				}
			}
		})
	}
	users.Wait()
	checkEmpty(t, b)
}

// own writes a mark and reads it back.
func own(t *testing.T, mark byte, b []byte) {
	for i := range b {
		if b[i] != 0 {
			t.Error("buffer is not cleared")
			return
		}
		b[i] = mark
	}
	for i := range b {
		if b[i] != mark {
			t.Error("buffer has two owners")
			return
		}
	}
}
