package budget

import (
	"context"
	"errors"
	"time"
)

var ErrSlowDown = errors.New("budget: no memory for another stream")

type Budget struct{}

func New(total int64, wait time.Duration) *Budget { return &Budget{} }

type Buffers struct {
	Packages      int
	Plain, Cipher []byte
}

func (b *Budget) Stream(ctx context.Context, plain int64) (*Buffers, error) {
	return &Buffers{4, make([]byte, 4*65536), make([]byte, 4*65568+4096)}, nil
}
func (b *Budget) Release(buf *Buffers) {}
func (b *Budget) Held(ctx context.Context, n int64) ([]byte, func(), error) {
	return make([]byte, n, 2*n+4096), func() {}, nil
}
func (b *Budget) Reserve(ctx context.Context, n int64) (func(), error)    { return func() {}, nil }
func (b *Budget) State() (used, total int64, streams int, refused uint64) { return }
