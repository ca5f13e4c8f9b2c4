package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func seen(names ...string) sightings {
	s := sightings{}
	for _, name := range names {
		s.add(name)
	}
	return s
}

// What changes between the reading of a configuration and the first look at its files is a change: it would never be taken otherwise.
func TestWatcherSeesWhatChangedSinceItWasRead(t *testing.T) {
	dir := t.TempDir()
	secret := write(t, filepath.Join(dir, "secret"), "one")
	file := write(t, filepath.Join(dir, "s3veil.yaml"), "upstream: {credentials: {access_key: a, secret_key_file: secret}}")
	for _, changed := range []string{file, secret} {
		l := load(sources{File: file})
		write(t, changed, "# another length")
		w := newWatcher(0, l.files)
		if first, second := w.changed(), w.changed(); first || !second {
			t.Errorf("%s: %t, then %t", changed, first, second)
		}
		write(t, file, "upstream: {credentials: {access_key: a, secret_key_file: secret}}")
	}
}

func TestWatcherSeesChangesOnceTheyAreFinished(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "a"), "1")
	missing := filepath.Join(dir, "missing")
	w := newWatcher(0, seen(file, missing))
	steps := []struct {
		name string
		do   func()
		want bool
	}{
		{"nothing", func() {}, false},
		{"longer", func() { write(t, file, "22") }, false},
		{"still being written", func() { write(t, file, "333") }, false},
		{"finished", func() {}, true},
		{"reported once", func() {}, false},
		{"appears", func() { write(t, missing, "x") }, false},
		{"appeared", func() {}, true},
		{"removed", func() { os.Remove(missing) }, false},
		{"gone", func() {}, true},
		{"replaced by a file of equal size and time", func() {
			info, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			other := write(t, filepath.Join(dir, "b"), "444")
			if err := os.Chtimes(other, info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(other, file); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"replaced", func() {}, true},
	}
	for _, s := range steps {
		s.do()
		if got := w.changed(); got != s.want {
			t.Errorf("%s: changed %t, want %t", s.name, got, s.want)
		}
	}
}

// The kubelet keeps a mounted Secret as symlinks through ..data, and swaps that one.
func TestWatcherSeesSymlinkSwaps(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"..1", "..2"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, d, "key"), "same size "+d)
	}
	link := func(to string) {
		if err := os.Symlink(to, filepath.Join(dir, "..tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	link("..1")
	name := filepath.Join(dir, "key")
	if err := os.Symlink("..data/key", name); err != nil {
		t.Fatal(err)
	}
	w := newWatcher(0, seen(name))
	link("..2")
	if first, second := w.changed(), w.changed(); first || !second {
		t.Errorf("after the swap: %t, then %t", first, second)
	}
}

func TestWatcherCallsForSignalsAndFiles(t *testing.T) {
	file := write(t, filepath.Join(t.TempDir(), "a"), "1")
	now := make(chan struct{}, 1)
	calls := make(chan string)
	w := newWatcher(time.Millisecond, nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.run(ctx, now, func(reason string) sightings {
			calls <- reason
			return seen(file)
		})
	}()
	now <- struct{}{}
	if got := <-calls; got != "SIGHUP" {
		t.Errorf("called for %s", got)
	}
	now <- struct{}{} // the file is watched once this second call has begun
	<-calls
	now <- struct{}{}
	<-calls
	write(t, file, "changed")
	if got := <-calls; got != "file changed" {
		t.Errorf("called for %s", got)
	}
	cancel()
	<-ended
}
