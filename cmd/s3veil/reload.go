package main

import (
	"cmp"
	"context"
	"maps"
	"os"
	"time"
)

// pollEvery is the time between two looks at watched files. Polling sees what notifications miss: symlink swaps of mounted
// secrets, network file systems, editors that replace files.
const pollEvery = 2 * time.Second

// sightings are files as they were before they were read: what changes from then on is a change. nil for a file that is not there.
type sightings map[string]os.FileInfo

// add looks at a file that is about to be read. The first look counts.
func (s *sightings) add(name string) os.FileInfo {
	if info, seen := (*s)[name]; seen {
		return info
	}
	if *s == nil {
		*s = sightings{}
	}
	info := look(name)
	(*s)[name] = info
	return info
}

// again are the same files as they are now.
func (s sightings) again() sightings {
	out := sightings{}
	for name := range s {
		out.add(name)
	}
	return out
}

// and are the files of both, as the other ones were seen where both have one.
func (s sightings) and(other sightings) sightings {
	out := maps.Clone(s)
	maps.Copy(out, other)
	return out
}

// watcher reports when one of a set of files has changed.
type watcher struct {
	every time.Duration
	seen  sightings
	dirty bool // changed, but perhaps not finished
}

func newWatcher(every time.Duration, files sightings) *watcher {
	w := &watcher{every: cmp.Or(every, pollEvery)}
	w.watch(files)
	return w
}

// watch starts over with a set of files.
func (w *watcher) watch(files sightings) { w.seen, w.dirty = maps.Clone(files), false }

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

// run calls f after every change, in its own goroutine's time, until ctx ends. f returns the files to watch from then on, as it
// saw them before it read them.
func (w *watcher) run(ctx context.Context, now <-chan struct{}, f func(reason string) sightings) {
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
		w.watch(f(reason))
	}
}
