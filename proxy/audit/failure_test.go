package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// disk is a writer that can be full: after room bytes a write fails in the middle.
type disk struct {
	bytes.Buffer
	room int
}

var errFull = errors.New("disk full")

func (d *disk) Write(b []byte) (int, error) {
	if len(b) <= d.room {
		d.room -= len(b)
		return d.Buffer.Write(b)
	}
	n, _ := d.Buffer.Write(b[:d.room])
	d.room = 0
	return n, errFull
}

func verify(t *testing.T, v *Verifier, logs ...string) (*Report, error) {
	t.Helper()
	for i, l := range logs {
		if err := v.Read(string(rune('a'+i)), strings.NewReader(l)); err != nil {
			return &v.report, err
		}
	}
	return v.Finish()
}

func TestLostLinesAreCountedInTheLog(t *testing.T) {
	for _, room := range []int{0, 1, 100} { // bytes of the lost line that still went out
		d := &disk{room: 1 << 20}
		l := New(d, true, "")
		if err := l.Write(record(1)); err != nil || l.Check() != nil {
			t.Fatal(err)
		}
		d.room = room
		for i := range 3 {
			if err := l.Write(record(2 + i)); !errors.Is(err, errFull) {
				t.Errorf("room %d: %v", room, err)
			}
		}
		if err := l.Check(); !errors.Is(err, errFull) {
			t.Errorf("room %d: Check: %v", room, err)
		}
		d.room = 1 << 20
		if err := l.Check(); err != nil {
			t.Errorf("room %d: Check after the disk has room again: %v", room, err)
		}
		if err := l.Write(record(9)); err != nil {
			t.Error(err)
		}
		r, err := verify(t, &Verifier{}, d.String())
		if err != nil || r.Lines != 3 || r.Lost != 3 || len(r.Torn) != min(room, 1) {
			t.Errorf("room %d: %+v, %v\n%s", room, r, err, d)
		}
	}
}

func TestLineThatLacksOnlyItsBreakIsWhole(t *testing.T) {
	d := &disk{room: 1 << 20}
	l := New(d, true, "")
	_ = l.Write(record(1))
	d.room = lengthOfSecond(t) - 1
	if err := l.Write(record(2)); err != nil {
		t.Errorf("a whole line counts as lost: %v", err)
	}
	d.room = 1 << 20
	_ = l.Write(record(3))
	if r, err := verify(t, &Verifier{}, d.String()); err != nil || r.Lines != 3 || r.Lost != 0 || len(r.Torn) != 0 {
		t.Errorf("%+v, %v\n%s", r, err, d)
	}
}

// lengthOfSecond is the length of the second line of a chain of records, its line break included.
func lengthOfSecond(t *testing.T) int {
	return len(strings.SplitAfter(chainOf(t, 3), "\n")[1])
}

func TestRestartGoesOnAfterATornLine(t *testing.T) {
	whole := chainOf(t, 2)
	for name, cut := range map[string]int{"within": 10, "in its first bytes": lengthOfSecond(t) - 4, "at its line break": 1} {
		path := filepath.Join(t.TempDir(), "audit.log")
		if err := os.WriteFile(path, []byte(whole[:len(whole)-cut]), 0o600); err != nil {
			t.Fatal(err)
		}
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		wantTorn, wantLines := 1, 1
		if cut == 1 {
			wantTorn, wantLines = 0, 2
		}
		if r, err := verify(t, &Verifier{}, string(before)); err != nil || len(r.Torn) != wantTorn || r.Lines != wantLines {
			t.Errorf("%s, before the restart: %+v, %v", name, r, err)
		}
		l, f, err := OpenFile(path, true)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			if err := l.Write(record(i)); err != nil {
				t.Fatal(err)
			}
		}
		f.Close()
		raw, _ := os.ReadFile(path)
		r, err := verify(t, &Verifier{}, string(raw))
		if err != nil || len(r.Torn) != wantTorn || r.Lines != wantLines+2 {
			t.Errorf("%s: %+v, %v\n%s", name, r, err, raw)
		}
		if wantTorn == 1 && r.Torn[0].Line != 2 {
			t.Errorf("%s: the torn line is %v", name, r.Torn)
		}
	}
}

func TestFailedWriteLeavesTheChainUsable(t *testing.T) {
	var out bytes.Buffer
	fail := false
	l := New(writerFunc(func(b []byte) (int, error) {
		if fail {
			return 0, errFull
		}
		return out.Write(b)
	}), true, "")
	_ = l.Write(record(1))
	fail = true
	if err := l.Write(record(2)); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
	fail = false
	_ = l.Write(record(3))
	var told Record
	if lines := strings.Split(out.String(), "\n"); json.Unmarshal([]byte(lines[1]), &told) != nil || told.Action != LinesLost || told.Lost != 1 || told.Time.IsZero() {
		t.Errorf("the line about the lost one: %+v", told)
	}
	if n, _, err := Verify(&out); n != 3 || err != nil {
		t.Errorf("%d lines, %v", n, err)
	}
}

func TestFileInUseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	_, f, err := OpenFile(path, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenFile(path, true); !errors.Is(err, errInUse) {
		t.Errorf("two writers: %v", err)
	}
	f.Close()
	_, f, err = OpenFile(path, true)
	if err != nil {
		t.Fatalf("after the first one has closed it: %v", err)
	}
	f.Close()
}

func TestReopenWithoutARotationChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l, f, err := OpenFile(path, true)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := range 3 {
		if err := errors.Join(l.Write(record(i)), f.Reopen()); err != nil {
			t.Fatal(err)
		}
	}
	raw, _ := os.ReadFile(path)
	if n, _, err := Verify(bytes.NewReader(raw)); n != 3 || err != nil {
		t.Errorf("%d lines, %v", n, err)
	}
}
