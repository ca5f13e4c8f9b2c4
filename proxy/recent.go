package proxy

import (
	"slices"
	"sync"
	"time"
)

// Damaged is an object that failed a check. Bucket and key are those of the request, which for a copy is the destination.
type Damaged struct {
	Time      time.Time
	RequestID string
	Action    string // S3 name
	Class     string // of crypto/FORMAT.md 12
	Bucket    string
	Key       string
}

// recentDamage is how many integrity failures are remembered.
const recentDamage = 50

// damageLog remembers the latest integrity failures.
type damageLog struct {
	mu   sync.Mutex
	last []Damaged // oldest first
}

func (l *damageLog) add(d Damaged) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.last) == recentDamage {
		l.last = slices.Delete(l.last, 0, 1)
	}
	l.last = append(l.last, d)
}

// RecentDamage returns the latest integrity failures since the start, at most 50, the newest first.
func (s *Server) RecentDamage() []Damaged {
	s.damaged.mu.Lock()
	defer s.damaged.mu.Unlock()
	out := slices.Clone(s.damaged.last)
	slices.Reverse(out)
	return out
}

// damaged counts and remembers an object that failed a check.
func (x *exchange) damaged(class string) {
	x.s.metrics.Integrity(class)
	x.s.damaged.add(Damaged{Time: x.s.now(), RequestID: x.id, Action: string(x.req.Op), Class: class, Bucket: x.req.Bucket, Key: x.req.Key})
}
