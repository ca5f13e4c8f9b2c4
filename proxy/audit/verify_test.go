package audit

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestFirstBreakIsNamedByItsLine(t *testing.T) {
	log := chainOf(t, 6)
	l := strings.SplitAfter(log, "\n")
	for name, c := range map[string]struct {
		log    []string
		line   int
		reason string
	}{
		"removed":               {[]string{l[0], l[1], l[3], l[4]}, 3, "removed"},
		"first removed":         {l[2:], 1, "older files are missing"},
		"changed":               {[]string{l[0], strings.Replace(l[1], `"status":200`, `"status":201`, 1), l[2]}, 2, "hash differs"},
		"swapped":               {[]string{l[0], l[2], l[1], l[3]}, 2, "removed, added or moved"},
		"empty line":            {[]string{l[0], "\n", l[1]}, 2, "not a JSON object"},
		"other text":            {[]string{l[0], l[1], "hello\n", l[2]}, 3, "not a JSON object"},
		"cut, and one removed":  {[]string{l[0], l[1], l[2][:90] + "\n", l[4]}, 3, "not a whole line"},
		"cut, though whole":     {[]string{l[0], l[1], l[2][:90] + "\n", l[3]}, 3, "not a whole line"},
		"new chain":             {append(slices.Clone(l[:3]), chainOf(t, 2)), 4, "a chain begins here"},
		"unchained":             {[]string{l[0], `{"time":"2026-01-01T00:00:00Z","action":"x"}` + "\n"}, 2, "no hash"},
		"valid JSON of another": {[]string{`{"a":1}` + "\n"}, 1, "no hash"},
	} {
		_, err := verify(t, &Verifier{}, strings.Join(c.log, ""))
		var b *Break
		if !errors.As(err, &b) || !errors.Is(err, ErrChain) || b.Line != c.line || b.File != "a" || !strings.Contains(b.Reason, c.reason) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSeveralFilesAreOneLog(t *testing.T) {
	l := strings.SplitAfter(chainOf(t, 6), "\n")
	old, middle, young := strings.Join(l[:2], ""), strings.Join(l[2:5], ""), l[5]
	r, err := verify(t, &Verifier{}, old, middle, young)
	if err != nil || r.Lines != 6 || r.Chains != 1 || !r.From.Equal(record(0).Time) || !r.To.Equal(record(5).Time) {
		t.Errorf("in order: %+v, %v", r, err)
	}
	var b *Break
	if _, err := verify(t, &Verifier{}, old, young, middle); !errors.As(err, &b) || b.File != "b" || b.Line != 1 {
		t.Errorf("out of order: %v", err)
	}
	_, last, _ := Verify(strings.NewReader(old))
	if r, err := verify(t, &Verifier{After: last}, middle, young); err != nil || r.Lines != 4 {
		t.Errorf("without the oldest: %+v, %v", r, err)
	}
	if r, err := verify(t, &Verifier{}, "", old); err != nil || r.Lines != 2 {
		t.Errorf("an empty file before: %+v, %v", r, err)
	}
}

func TestExpectedHashShowsACutEnd(t *testing.T) {
	log := chainOf(t, 4)
	_, last, _ := Verify(strings.NewReader(log))
	whole, cut := &Verifier{}, &Verifier{}
	whole.Expect(last)
	cut.Expect(last)
	if _, err := verify(t, whole, log); err != nil {
		t.Error(err)
	}
	if _, err := verify(t, cut, strings.Join(strings.SplitAfter(log, "\n")[:3], "")); !errors.Is(err, ErrChain) || !strings.Contains(err.Error(), last) {
		t.Errorf("%v", err)
	}
}

// Chains of several processes in one log, as a central syslog has them.
func TestInterleavedChains(t *testing.T) {
	var one, two bytes.Buffer
	a, b := New(&one, true, ""), New(&two, true, "")
	for i := range 4 {
		_, _ = a.Write(record(i)), b.Write(record(10+i))
	}
	x, y := strings.SplitAfter(one.String(), "\n"), strings.SplitAfter(two.String(), "\n")
	mixed := []string{x[0], y[0], y[1], x[1], x[2], y[2], x[3], y[3]}
	if r, err := verify(t, &Verifier{Chains: true}, strings.Join(mixed, "")); err != nil || r.Chains != 2 || r.Lines != 8 || len(r.Last) != 2 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := verify(t, &Verifier{}, strings.Join(mixed, "")); !errors.Is(err, ErrChain) {
		t.Errorf("without being asked for: %v", err)
	}
	if _, err := verify(t, &Verifier{Chains: true}, strings.Join(slices.Delete(mixed, 4, 5), "")); !errors.Is(err, ErrChain) {
		t.Errorf("one removed: %v", err)
	}
}

func TestHeadersOfSyslogAreCutOff(t *testing.T) {
	var out strings.Builder
	for line := range strings.Lines(chainOf(t, 3)) {
		out.WriteString("Nov 21 08:00:00 host s3veil[12]: " + line + "Nov 21 08:00:01 host cron[3]: other business\n")
	}
	if r, err := verify(t, &Verifier{Syslog: true}, out.String()); err != nil || r.Lines != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := verify(t, &Verifier{}, out.String()); !errors.Is(err, ErrChain) {
		t.Errorf("without being asked for: %v", err)
	}
}

func TestLinesWithoutAnEndAreRefused(t *testing.T) {
	if _, err := verify(t, &Verifier{}, firstField+strings.Repeat("x", 2*maxLine)); err == nil || errors.Is(err, ErrChain) {
		t.Errorf("%v", err)
	}
}

func TestNoLineCanBeRemoved(t *testing.T) {
	lines := strings.SplitAfter(strings.TrimSuffix(chainOf(t, 8), "\n"), "\n")
	for i := range lines[:len(lines)-1] {
		if _, err := verify(t, &Verifier{}, strings.Join(slices.Delete(slices.Clone(lines), i, i+1), "")); !errors.Is(err, ErrChain) {
			t.Errorf("line %d: %v", i+1, err)
		}
	}
}
