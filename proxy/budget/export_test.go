package budget

// Idle returns the bytes in the free lists.
func (b *Budget) Idle() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.free.idle
}

// Step is the length that Held and small streams round n up to.
func Step(n int64) int64 { return step(n) }
