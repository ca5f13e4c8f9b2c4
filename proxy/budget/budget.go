// Package budget is the byte budget of body buffers (docs/CONFIGURATION.md, docs/DATAPATH.md 2.8, 2.9): admission, size
// classes, and bounded free lists of their buffers.
//
// Every buffer is charged before it is taken and until it is given back. When the budget is used up, callers wait in the
// order in which they came, and give up with ErrSlowDown after a while. Buffers come back with their plaintext overwritten,
// and stay in free lists as long as they and the buffers in use fit the budget together: what the process holds for bodies
// is never more than the budget.
package budget

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"s3veil/crypto/size"
)

// ErrSlowDown reports that no budget came free in time (503 SlowDown).
var ErrSlowDown = errors.New("budget: no memory for another stream (limits.memory)")

// Budget is safe for concurrent use.
type Budget struct {
	total int64
	wait  time.Duration
	bytes *semaphore.Weighted // admission, first come first served
	whole *semaphore.Weighted // the part of it for bodies that Whole holds

	refused atomic.Uint64

	mu      sync.Mutex
	used    int64 // bytes charged
	streams int   // streams that hold buffers
	large   int   // those among them that the classes are chosen by
	free    freeLists
}

// New returns a budget of total bytes whose waiters give up after wait (0: at once). A total that is too small for one
// stream of one package is raised to that.
func New(total int64, wait time.Duration) *Budget {
	total = max(total, cost(size.Package))
	return &Budget{
		total: total,
		wait:  wait,
		bytes: semaphore.NewWeighted(total),
		whole: semaphore.NewWeighted(wholeShare(total)),
		free:  freeLists{limit: total / 2},
	}
}

// Reserve charges n bytes without a buffer (XML documents). release uncharges them and may be called once. Errors are
// ErrSlowDown, or that of ctx.
func (b *Budget) Reserve(ctx context.Context, n int64) (release func(), err error) {
	if n <= 0 {
		return func() {}, nil
	}
	if err := b.charge(ctx, n); err != nil {
		return nil, err
	}
	b.mu.Lock()
	b.free.shrink(b.total - b.used)
	b.mu.Unlock()
	var done once
	return func() {
		done.must()
		b.addUsed(-n)
		b.bytes.Release(n)
	}, nil
}

// State returns bytes in use, the total, active streams, and refusals so far.
func (b *Budget) State() (used, total int64, streams int, refused uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used, b.total, b.streams, b.refused.Load()
}

// tryCharge charges n bytes if they are there and nobody waits.
func (b *Budget) tryCharge(n int64) bool {
	if !b.bytes.TryAcquire(n) {
		return false
	}
	b.addUsed(n)
	return true
}

// charge charges n bytes, after a wait if need be.
func (b *Budget) charge(ctx context.Context, n int64) error {
	if b.tryCharge(n) {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("budget: %w", err)
	}
	if err := b.await(ctx, b.bytes, n); err != nil {
		return err
	}
	b.addUsed(n)
	return nil
}

// await waits for n bytes of a semaphore.
func (b *Budget) await(ctx context.Context, s *semaphore.Weighted, n int64) error {
	if n <= b.total && b.wait > 0 {
		limited, cancel := context.WithTimeout(ctx, b.wait)
		defer cancel()
		if s.Acquire(limited, n) == nil {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("budget: %w", err)
		}
	}
	b.refused.Add(1)
	return ErrSlowDown
}

func (b *Budget) addUsed(n int64) {
	b.mu.Lock()
	b.used += n
	b.mu.Unlock()
}

// once detects what is given back twice: somebody else may own it by then.
type once struct{ done atomic.Bool }

func (o *once) must() {
	if o.done.Swap(true) {
		panic("budget: given back twice")
	}
}
