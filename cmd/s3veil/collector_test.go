package main

import (
	"runtime"
	"runtime/debug"
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

// A large heap is collected as Go does it, a small one seldom, and the end leaves the runtime as it was.
func TestCollectorFollowsTheLiveHeap(t *testing.T) {
	t.Setenv("GOGC", "")
	until := func(what string, ok func(int) bool) {
		t.Helper()
		for range 100 {
			if runtime.GC(); ok(gcPercent()) {
				return
			}
			runtime.Gosched()
		}
		t.Errorf("%s: GOGC is %d", what, gcPercent())
	}
	stop := paceCollector()
	until("small heap", func(p int) bool { return p > usualPercent })
	large := make([]byte, 3*collectorRoom)
	until("large heap", func(p int) bool { return p == usualPercent })
	runtime.KeepAlive(large)
	until("small heap again", func(p int) bool { return p > usualPercent })
	stop()
	runtime.GC()
	if p := gcPercent(); p != usualPercent {
		t.Errorf("after the end: %d", p)
	}
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
