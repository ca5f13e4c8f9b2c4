package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// collectorRoom is how much garbage may gather before a collection, at least. The live heap of this program is small, and the
// collector's own rule, as much garbage as there is live heap, would have it run thirty times a second under small requests:
// a seventh of their CPU time.
const collectorRoom = 32 << 20

// usualPercent is Go's default of GOGC.
const usualPercent = 100

// gcPacer adapts the collector's pace to the live heap after each collection.
type gcPacer struct {
	mu      sync.Mutex
	percent int
	stopped bool
	samples []metrics.Sample
}

// paceCollector starts it; stop brings the usual pace back. An explicit GOGC stays in force. GOMEMLIMIT, or the container's
// limit, goes before collectorRoom.
func paceCollector() (stop func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	c := &gcPacer{percent: usualPercent,
		samples: []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}}
	c.adapt()
	c.watch()
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.stopped = true
		debug.SetGCPercent(usualPercent)
	}
}

// sentinel is found unreachable by every collection.
type sentinel struct{ _ *int }

func (c *gcPacer) watch() {
	runtime.SetFinalizer(&sentinel{}, func(*sentinel) {
		if c.adapt() {
			c.watch()
		}
	})
}

// adapt sets the percentage that leaves collectorRoom, where it is far from the one in force: setting stops the world. It
// reports false after the end.
func (c *gcPacer) adapt() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return false
	}
	metrics.Read(c.samples)
	var base uint64
	for _, s := range c.samples {
		base += s.Value.Uint64()
	}
	percent := collectorPercent(base)
	if difference := percent - c.percent; difference > c.percent/8 || -difference > c.percent/8 {
		c.percent = percent
		debug.SetGCPercent(percent)
	}
	return true
}

// collectorPercent is GOGC for a live heap, stacks and globals of base bytes: collectorRoom where that is more than the usual
// 100.
func collectorPercent(base uint64) int {
	const most = 1600
	return int(min(max(100*collectorRoom/max(base, 1), usualPercent), most))
}
