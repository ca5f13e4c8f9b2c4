package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

func TestCollectorRoom(t *testing.T) {
	for _, c := range []struct {
		base uint64
		want int
	}{{0, 1600}, {1 << 20, 1600}, {4 << 20, 800}, {8 << 20, 400}, {16 << 20, 200}, {32 << 20, 100}, {33 << 20, 100}, {1 << 40, 100}} {
		if got := collectorPercent(c.base); got != c.want {
			t.Errorf("%d bytes: %d, want %d", c.base, got, c.want)
		}
	}
}

// gcPercent is what is in force.
func gcPercent() int {
	p := debug.SetGCPercent(100)
	debug.SetGCPercent(p)
	return p
}

// A large heap is collected as Go does it, a small one seldom, and the end leaves the runtime as it was. What other tests have left
// is part of the heap.
func TestCollectorFollowsTheLiveHeap(t *testing.T) {
	t.Setenv("GOGC", "")
	until := func(what string, base uint64) {
		t.Helper()
		var p, want int
		for range 100 {
			runtime.GC()
			runtime.Gosched()
			p, want = gcPercent(), collectorPercent(max(base, liveHeap()))
			if d := want - p; d <= p/8 && -d <= p/8 { // nearer than that it is not set anew
				return
			}
		}
		t.Errorf("%s: GOGC is %d, want about %d", what, p, want)
	}
	stop := paceCollector()
	until("small heap", 0)
	large := make([]byte, 3*collectorRoom)
	until("large heap", 3*collectorRoom)
	runtime.KeepAlive(large)
	until("small heap again", 0)
	stop()
	runtime.GC()
	if p := gcPercent(); p != usualPercent {
		t.Errorf("after the end: %d", p)
	}
}

// liveHeap is what the last collection has found.
func liveHeap() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() + s[1].Value.Uint64() + s[2].Value.Uint64()
}

func TestExplicitGOGCStays(t *testing.T) {
	t.Setenv("GOGC", "150")
	before := gcPercent()
	stop := paceCollector()
	defer stop()
	runtime.GC()
	if p := gcPercent(); p != before {
		t.Errorf("GOGC went from %d to %d", before, p)
	}
}
