package keycache

import (
	"sync"
	"time"
)

// breaker keeps calls away from a KMS that is out: after several failures in a row one call a second goes through, until one
// succeeds. The pause does not grow, so that the first request a second after the end of an outage finds the KMS back. The
// zero value lets everything through.
type breaker struct {
	mu       sync.Mutex
	failures int       // in a row
	retryAt  time.Time // no call before, once it is open
	okAt     time.Time // when the last call that succeeded had begun
	told     bool      // the outage was reported
}

// The thresholds of breaker.
const (
	breakAfter = 5
	breakPause = time.Second
)

// allow reports whether a call may go through. While the KMS is out, it lets the first one after each pause through, and the
// next one after another pause, though the first may still hang.
func (b *breaker) allow(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < breakAfter {
		return true
	}
	if now.Before(b.retryAt) {
		return false
	}
	b.retryAt = now.Add(breakPause)
	return true
}

// open reports what allow would, without using up the turn.
func (b *breaker) open(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures < breakAfter || !now.Before(b.retryAt)
}

// away reports whether the last call failed.
func (b *breaker) away() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures > 0
}

// answered returns the time of the last success.
func (b *breaker) answered() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.okAt
}

// report takes the outcome of a call that was let through and tells whether an outage that gaveUp has told of is over. The
// failure of a call that hung while a later one succeeded tells nothing any more. Refusals end an outage, but prove nothing.
func (b *breaker) report(began, now time.Time, err error) (back bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if outage(err) {
		if !began.Before(b.okAt) {
			b.failures++
			b.retryAt = now.Add(breakPause)
		}
		return false
	}
	back = b.told
	b.failures, b.told = 0, false
	if err == nil && began.After(b.okAt) {
		b.okAt = began
	}
	return back
}

// gaveUp is told of a call whose tries are used up, and reports whether that begins an outage.
func (b *breaker) gaveUp() (begins bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	begins = b.failures > 0 && !b.told
	b.told = b.told || begins
	return begins
}
