// Package budget is the byte budget of body buffers (DESIGN.md 6.3, DATAPATH.md 2.8, 2.9): admission, size classes, and
// bounded free lists of their buffers.
package budget

import (
	"context"
	"errors"
	"time"
)

// ErrSlowDown reports that no budget came free in time (503 SlowDown).
var ErrSlowDown = errors.New("budget: no memory for another stream")

// Budget is safe for concurrent use.
type Budget struct{ _ int }

// New returns a budget of total bytes whose waiters give up after wait.
func New(total int64, wait time.Duration) *Budget { panic("stub") }

// Buffers are one stream's plaintext and ciphertext buffers, N packages each. Release returns them, cleared.
type Buffers struct {
	Packages      int    // N: 1, 4, 8 or 16
	Plain, Cipher []byte // N·65,536 and N·65,568 + room for framing
}

// Stream takes buffers for a stream of plain bytes: N from the number of active streams and what fits the budget, a
// smaller class before a wait, a wait before ErrSlowDown.
func (b *Budget) Stream(ctx context.Context, plain int64) (*Buffers, error) { panic("stub") }

// Release gives the buffers back. It may be called once.
func (b *Budget) Release(buf *Buffers) { panic("stub") }

// Held takes a buffer of n ≤ 1 MiB plaintext bytes plus framing, for bodies held whole. release gives it back, cleared.
func (b *Budget) Held(ctx context.Context, n int64) (buf []byte, release func(), err error) {
	panic("stub")
}

// Reserve charges n bytes without a buffer (XML documents).
func (b *Budget) Reserve(ctx context.Context, n int64) (release func(), err error) { panic("stub") }

// State returns bytes in use, the total, active streams, and refusals so far.
func (b *Budget) State() (used, total int64, streams int, refused uint64) { panic("stub") }
