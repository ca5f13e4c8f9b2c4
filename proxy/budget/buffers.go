package budget

import (
	"context"
	"math/bits"

	"s3veil/crypto/size"
)

// largeStream is the plaintext length above which a stream counts for the choice of classes (docs/DATAPATH.md 2.8): below it
// bodies are held, or need little.
const largeStream = 1 << 20

// classes are the packages that a stream's buffers can hold, and up to how many large streams each is the first choice.
var classes = [...]struct {
	packages int64
	streams  int
}{{16, 16}, {8, 63}, {4, 1 << 30}, {1, 0}}

// Buffers are one stream's plaintext and ciphertext buffers, N packages each. Release returns them, the plaintext
// overwritten.
type Buffers struct {
	Packages int // N: 1, 4, 8 or 16

	// Plain holds N·65,536 bytes and Cipher N·65,568. Both are shorter if the whole stream is shorter than a package: then
	// Plain holds all of its plaintext and Cipher all of its stored form.
	Plain, Cipher []byte

	slab  []byte
	fill  int // Plain[fill:] holds no plaintext
	large bool
	done  once
}

// Filled tells that no more than the first n bytes of Plain have ever been written, so that Release need not overwrite the
// rest. Without it Release overwrites all. A ranged read of 64 KiB uses a third of its buffer.
func (b *Buffers) Filled(n int) { b.fill = n }

// Stream takes buffers for a stream of plain bytes: N from the number of active streams and what fits the budget, a
// smaller class before a wait, a wait for one package before ErrSlowDown. N is not larger than the stream needs. Errors
// are ErrSlowDown, or that of ctx.
func (b *Budget) Stream(ctx context.Context, plain int64) (*Buffers, error) {
	large := plain > largeStream
	active := b.enter(large)
	need := size.Packages(max(plain, 1))
	for i, c := range classes {
		if active > c.streams && c.packages > 1 {
			continue // more streams than this class is for
		}
		if i+1 < len(classes) && classes[i+1].packages >= need {
			continue // the next one is large enough
		}
		p := c.packages * size.Package
		if c.packages == 1 {
			p = step(min(max(plain, 1), size.Package))
		}
		n := cost(p)
		if c.packages > 1 && !b.roomy(n) {
			continue
		}
		ok := b.tryCharge(n)
		if !ok && c.packages == 1 {
			if err := b.charge(ctx, n); err != nil {
				b.leave(large)
				return nil, err
			}
			ok = true
		}
		if ok {
			slab := b.take(n)
			return &Buffers{
				Packages: int(c.packages), Plain: slab[:p:p], Cipher: slab[p:], slab: slab, fill: int(p), large: large,
			}, nil
		}
	}
	panic("budget: the last class is of one package")
}

// share is how many buffers of its own size a stream must leave room for, so that the streams that come first do not take
// what later ones need: with 64 MiB, 16 streams of 2 MiB, 16 of 1 MiB, 16 of half of that, and 64 of one package.
const share = 16

// roomy reports whether n bytes are a modest part of what is free.
func (b *Budget) roomy(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return n <= (b.total-b.used)/share
}

// Release gives the buffers back. It may be called once; neither the buffers nor slices of them may be used afterwards.
func (b *Budget) Release(buf *Buffers) {
	buf.done.must()
	slab := buf.slab
	clear(buf.Plain[:buf.fill])
	buf.Plain, buf.Cipher, buf.slab = nil, nil, nil
	b.leave(buf.large)
	b.give(slab)
}

// cost is the memory of p plaintext bytes and their stored form.
func cost(p int64) int64 { return p + size.Enc(p) }

// Held takes a buffer of n plaintext bytes for a body held whole. buf has length n, and room behind it for the stored
// form: cap(buf) ≥ n + size.Enc(n), so that Seal(buf[n:], buf) does not allocate. release gives it back, the
// plaintext overwritten; it may be called once. Errors are ErrSlowDown, or that of ctx.
func (b *Budget) Held(ctx context.Context, n int64) (buf []byte, release func(), err error) {
	if n <= 0 {
		return nil, func() {}, nil
	}
	p := step(n)
	total := cost(p)
	if err := b.charge(ctx, total); err != nil {
		return nil, nil, err
	}
	slab := b.take(total)
	var done once
	return slab[:n], func() {
		done.must()
		clear(slab[:n])
		b.give(slab)
	}, nil
}

// wholeShare is what bodies held whole may have of a budget.
func wholeShare(total int64) int64 { return total / 4 * 3 }

// Whole takes a buffer of n bytes for a body that has to be there whole before its first byte may leave, and that stays as long as
// its client takes to read it. All of them together leave a quarter of the budget to others; one may be larger than that if nothing
// else is held so. release gives it back, overwritten; it may be called once. Errors are ErrSlowDown, or that of ctx.
func (b *Budget) Whole(ctx context.Context, n int64) (buf []byte, release func(), err error) {
	if n <= 0 {
		return nil, func() {}, nil
	}
	p := max(n, min(step(n), b.total))
	part := min(p, wholeShare(b.total))
	if !b.whole.TryAcquire(part) {
		if err := b.await(ctx, b.whole, part); err != nil {
			return nil, nil, err
		}
	}
	if err := b.charge(ctx, p); err != nil {
		b.whole.Release(part)
		return nil, nil, err
	}
	slab := b.take(p)
	var done once
	return slab[:n:n], func() {
		done.must()
		clear(slab[:n])
		b.give(slab)
		b.whole.Release(part)
	}, nil
}

// enter counts a stream, and returns how many large ones there are.
func (b *Budget) enter(large bool) (active int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.streams++
	if large {
		b.large++
	}
	return b.large
}

func (b *Budget) leave(large bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.streams--
	if large {
		b.large--
	}
}

// take returns a slab of n bytes that have been charged. What it holds is zeros and old ciphertext.
func (b *Budget) take(n int64) []byte {
	b.mu.Lock()
	slab := b.free.pop(n)
	if slab == nil {
		b.free.shrink(b.total - b.used)
	}
	b.mu.Unlock()
	if slab == nil {
		slab = make([]byte, n)
	}
	return slab
}

// give keeps a slab if there is room, and uncharges it.
func (b *Budget) give(slab []byte) {
	n := int64(len(slab))
	b.mu.Lock()
	b.used -= n
	b.free.push(slab, b.total-b.used)
	b.mu.Unlock()
	b.bytes.Release(n) // after push, so that who comes next finds the slab
}

// step rounds a plaintext length up to a quarter of a power of two, at least 1 KiB, so that slabs can be used again and at
// most a fifth of one is wasted.
func step(n int64) int64 {
	if n <= 1024 {
		return 1024
	}
	unit := int64(1) << (bits.Len64(uint64(n-1)) - 3)
	return (n + unit - 1) / unit * unit
}

// freeLists are slabs by their size. All of them together are bounded.
type freeLists struct {
	limit int64
	idle  int64
	slabs map[int64][][]byte
}

func (f *freeLists) pop(n int64) []byte {
	list := f.slabs[n]
	if len(list) == 0 {
		return nil
	}
	slab := list[len(list)-1]
	list[len(list)-1] = nil
	f.slabs[n] = list[:len(list)-1]
	f.idle -= n
	return slab
}

// push keeps a slab if no more than room bytes are idle then.
func (f *freeLists) push(slab []byte, room int64) {
	n := int64(len(slab))
	if f.idle+n > min(f.limit, room) {
		return
	}
	if f.slabs == nil {
		f.slabs = make(map[int64][][]byte)
	}
	f.slabs[n] = append(f.slabs[n], slab)
	f.idle += n
}

// shrink drops slabs until at most room bytes are idle.
func (f *freeLists) shrink(room int64) {
	for n, list := range f.slabs {
		for f.idle > room && len(list) > 0 {
			list[len(list)-1] = nil
			list = list[:len(list)-1]
			f.slabs[n] = list
			f.idle -= n
		}
	}
}
