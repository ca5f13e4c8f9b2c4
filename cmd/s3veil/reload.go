package main

import (
	"cmp"
	"context"
	"os"
	"slices"
	"time"
)

// pollEvery is the time between two looks at watched files. Polling sees what notifications miss: symlink swaps of mounted
// secrets, network file systems, editors that replace files.
const pollEvery = 2 * time.Second

// watcher reports when one of a set of files has changed.
type watcher struct {
	every time.Duration
	seen  map[string]os.FileInfo // nil for a file that is not there
	dirty bool                   // changed, but perhaps not finished
}

func newWatcher(every time.Duration, files []string) *watcher {
	w := &watcher{every: cmp.Or(every, pollEvery)}
	w.watch(files)
	return w
}

// watch starts over with a set of files as they are now.
func (w *watcher) watch(files []string) {
	w.seen, w.dirty = map[string]os.FileInfo{}, false
	for _, f := range files {
		w.seen[f] = look(f)
	}
}

// look follows symlinks: swapping ..data of a mounted Secret changes the file behind the name.
func look(name string) os.FileInfo {
	info, err := os.Stat(name)
	if err != nil {
		return nil
	}
	return info
}

func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// changed reports true once a change is followed by a look without one, so that a file is not read while it is written.
func (w *watcher) changed() bool {
	moved := false
	for name, old := range w.seen {
		if now := look(name); !same(old, now) {
			w.seen[name], moved = now, true
		}
	}
	if moved {
		w.dirty = true
		return false
	}
	done := w.dirty
	w.dirty = false
	return done
}

// run calls f after every change, in its own goroutine's time, until ctx ends. f returns the files to watch from then on.
func (w *watcher) run(ctx context.Context, now <-chan struct{}, f func(reason string) []string) {
	tick := time.NewTicker(w.every)
	defer tick.Stop()
	for {
		reason := "file changed"
		select {
		case <-ctx.Done():
			return
		case <-now:
			reason = "SIGHUP"
		case <-tick.C:
			if !w.changed() {
				continue
			}
		}
		before := w.seen
		files := f(reason)
		w.watch(files)
		for name, info := range before { // what changed while f ran is seen by the next look
			if _, kept := w.seen[name]; kept {
				w.seen[name] = info
			}
		}
	}
}

// sorted returns the names without repetition.
func sorted(names []string) []string {
	out := slices.Clone(names)
	slices.Sort(out)
	return slices.Compact(out)
}
