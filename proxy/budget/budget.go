// Package budget is the byte budget of body buffers: admission, size classes, and bounded free lists of their buffers. The
// sum of all buffers never exceeds the budget, so that load is answered by 503 SlowDown and not by the OOM killer.
package budget

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"s3veil/crypto/size"
)

// ErrSlowDown reports that no budget came free in time (503 SlowDown).
var ErrSlowDown = errors.New("budget: no memory for another stream")

// small is the plaintext of the smallest class of streams, in bytes: most objects are of this size.
const small = 16 << 10

// classes are the packages per buffer; 0 stands for small. More packages mean fewer system calls, and only 16 reach the
// speed of a bare relay within a fifth (docs/DATAPATH.md 2).
var classes = [...]int{0, 1, 4, 8, 16}

// The number of active streams above which a smaller class is taken, so that memory per stream falls as their number grows.
const (
	fewStreams  = 16 // 16 packages, 2 MiB
	manyStreams = 63 // 8 packages, 1 MiB; 4 above
)

// Budget is safe for concurrent use.
type Budget struct {
	total   int64
	wait    time.Duration
	sem     *semaphore.Weighted
	used    atomic.Int64
	streams atomic.Int64
	refused atomic.Uint64
	free    [len(classes)]chan *Buffers
	held    []heldClass
}

// heldClass is a size step of bodies held whole.
type heldClass struct {
	plain int64
	free  chan []byte
}

// The steps of held bodies: powers of two between these plaintext sizes.
const (
	minHeld = 4 << 10
	maxHeld = 1 << 20
)

// freeBytes bounds what the free list of one class keeps.
const freeBytes = 8 << 20

// New returns a budget of total bytes whose waiters give up after wait. A budget too small for one stream of one package is
// raised to that.
func New(total int64, wait time.Duration) *Budget {
	total = max(total, cost(1))
	b := &Budget{total: total, wait: wait, sem: semaphore.NewWeighted(total)}
	for i, n := range classes {
		b.free[i] = make(chan *Buffers, max(1, freeBytes/cost(n)))
	}
	for step := int64(minHeld); step <= maxHeld; step *= 2 {
		b.held = append(b.held, heldClass{step, make(chan []byte, max(1, freeBytes/heldCost(step)))})
	}
	return b
}

// cost is the memory of a class in bytes.
func cost(packages int) int64 {
	p, c := lengths(packages)
	return int64(p + c)
}

func lengths(packages int) (plain, cipher int) {
	if packages == 0 {
		return small, small + size.Overhead
	}
	return packages * size.Package, packages * size.Cipher
}

// heldCost is a plaintext with its sealed form behind it.
func heldCost(plain int64) int64 { return plain + size.Enc(plain) }

// Buffers are one stream's plaintext and ciphertext buffers. Those of the smallest class hold one package that is not full.
type Buffers struct {
	Packages      int    // 1, 4, 8 or 16
	Plain, Cipher []byte // Packages times 65,536 and 65,568 bytes, or 16 KiB and 32 bytes more
	class         int
	taken         atomic.Bool
}

// Stream takes buffers for a stream of plain bytes: as large as the number of active streams and the budget allow, a
// smaller class before a wait, a wait before ErrSlowDown.
func (b *Budget) Stream(ctx context.Context, plain int64) (*Buffers, error) {
	active := b.streams.Add(1)
	least := 1
	if plain <= small {
		least = 0
	}
	for c := b.class(plain, active); c > least; c-- {
		if b.sem.TryAcquire(cost(classes[c])) {
			return b.take(c), nil
		}
	}
	if err := b.acquire(ctx, cost(classes[least])); err != nil {
		b.streams.Add(-1)
		return nil, err
	}
	return b.take(least), nil
}

// class is the largest class that is of use.
func (b *Budget) class(plain, active int64) int {
	limit := len(classes) - 1
	switch {
	case active > manyStreams:
		limit = 2
	case active > fewStreams:
		limit = 3
	}
	if plain <= small {
		return 0
	}
	for c := 1; c < limit; c++ {
		if int64(classes[c]) >= size.Packages(plain) {
			return c
		}
	}
	return limit
}

// acquire waits for n bytes, those who came first before.
func (b *Budget) acquire(ctx context.Context, n int64) error {
	if n > b.total {
		b.refused.Add(1)
		return ErrSlowDown
	}
	if b.sem.TryAcquire(n) {
		b.used.Add(n)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, b.wait)
	defer cancel()
	if b.sem.Acquire(ctx, n) != nil {
		b.refused.Add(1)
		return ErrSlowDown
	}
	b.used.Add(n)
	return nil
}

func (b *Budget) giveBack(n int64) {
	b.used.Add(-n)
	b.sem.Release(n)
}

// take returns buffers of a class whose bytes have been acquired.
func (b *Budget) take(c int) *Buffers {
	if c > 1 { // acquire has counted the smallest classes
		b.used.Add(cost(classes[c]))
	}
	var buf *Buffers
	select {
	case buf = <-b.free[c]:
	default:
		plain, cipher := lengths(classes[c])
		buf = &Buffers{Packages: max(1, classes[c]), Plain: make([]byte, plain), Cipher: make([]byte, cipher), class: c}
	}
	buf.taken.Store(true)
	return buf
}

// Release gives the buffers back, the plaintext overwritten. It may be called once.
func (b *Budget) Release(buf *Buffers) {
	if !buf.taken.CompareAndSwap(true, false) {
		panic("budget: buffers released twice")
	}
	clear(buf.Plain)
	n := cost(classes[buf.class])
	select {
	case b.free[buf.class] <- buf:
	default:
	}
	b.streams.Add(-1)
	b.giveBack(n)
}

// Held takes a buffer for a body held whole: n plaintext bytes, n at most 1 MiB, with room for their sealed form behind
// them in its capacity. release overwrites and gives it back; it may be called once.
func (b *Budget) Held(ctx context.Context, n int64) (buf []byte, release func(), err error) {
	if n > maxHeld {
		panic("budget: body too large to be held")
	}
	class := &b.held[0]
	for i := range b.held {
		if class = &b.held[i]; class.plain >= n {
			break
		}
	}
	bytes := heldCost(class.plain)
	if err := b.acquire(ctx, bytes); err != nil {
		return nil, nil, err
	}
	select {
	case buf = <-class.free:
	default:
		buf = make([]byte, bytes)
	}
	var once atomic.Bool
	return buf[:n], func() {
		if once.Swap(true) {
			panic("budget: buffer released twice")
		}
		clear(buf[:n])
		select {
		case class.free <- buf[:bytes]:
		default:
		}
		b.giveBack(bytes)
	}, nil
}

// Reserve charges n bytes without a buffer (documents).
func (b *Budget) Reserve(ctx context.Context, n int64) (release func(), err error) {
	if err := b.acquire(ctx, n); err != nil {
		return nil, err
	}
	return func() { b.giveBack(n) }, nil
}

// State returns bytes in use, the total, active streams, and refusals so far.
func (b *Budget) State() (used, total int64, streams int, refused uint64) {
	return b.used.Load(), b.total, int(b.streams.Load()), b.refused.Load()
}
