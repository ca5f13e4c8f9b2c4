package proxy

import "testing"

func TestParseRange(t *testing.T) {
	whole := byteRange{}
	for in, want := range map[string]byteRange{
		"":                            whole,
		"bytes=0-0":                   {set: true, from: 0, to: 0},
		"bytes=5-9":                   {set: true, from: 5, to: 9},
		"bytes=5-":                    {set: true, from: 5, to: -1},
		"bytes=-7":                    {set: true, from: -1, suffix: 7},
		" bytes=1-2":                  whole,
		"bytes= -1":                   whole,
		"bytes=9-5":                   whole, // malformed ranges are ignored
		"bytes=-":                     whole,
		"bytes=a-b":                   whole,
		"bytes=+1-2":                  whole,
		"bytes=0-1,3-4":               whole, // several ranges as well
		"items=0-1":                   whole,
		"bytes=0":                     whole,
		"bytes=0x1-2":                 whole,
		"bytes=99999999999999999999-": {set: true, from: 1<<63 - 1, to: -1},
	} {
		if got := parseRange(in); got != want {
			t.Errorf("parseRange(%q) = %+v, want %+v", in, got, want)
		}
	}
}

func TestResolveRange(t *testing.T) {
	for _, c := range []struct {
		header  string
		n, a, b int64
		ok      bool
	}{
		{"bytes=0-0", 1, 0, 0, true},
		{"bytes=0-99", 10, 0, 9, true},
		{"bytes=9-", 10, 9, 9, true},
		{"bytes=10-", 10, 0, 0, false},
		{"bytes=0-", 0, 0, 0, false},
		{"bytes=-3", 10, 7, 9, true},
		{"bytes=-30", 10, 0, 9, true},
		{"bytes=-0", 10, 0, 0, false},
		{"bytes=-1", 0, 0, -1, true},
		{"bytes=99999999999999999999-", 10, 0, 0, false},
	} {
		a, b, ok := parseRange(c.header).resolve(c.n)
		if a != c.a || b != c.b || ok != c.ok {
			t.Errorf("%s of %d = %d..%d %v, want %d..%d %v", c.header, c.n, a, b, ok, c.a, c.b, c.ok)
		}
	}
}

func TestGuessCoversTheWantedPackages(t *testing.T) {
	for header, want := range map[string]string{
		"":                  "",
		"bytes=0-0":         "bytes=0-65567",
		"bytes=65535-65536": "bytes=0-131135",
		"bytes=65536-":      "bytes=65568-",
		"bytes=70000-70001": "bytes=65568-131135",
	} {
		if got, ok := parseRange(header).guess(); !ok || got != want {
			t.Errorf("%s: %q %v, want %q", header, got, ok, want)
		}
	}
	for _, header := range []string{"bytes=-1", "bytes=99999999999999999999-"} {
		if got, ok := parseRange(header).guess(); ok {
			t.Errorf("%s: guessed %q", header, got)
		}
	}
}

func TestParseContentRange(t *testing.T) {
	if got, ok := parseContentRange("bytes 5-9/10"); !ok || got != (contentRange{5, 9, 10}) {
		t.Errorf("got %+v %v", got, ok)
	}
	for _, in := range []string{"", "bytes 5-9", "bytes 9-5/10", "bytes 0-10/10", "bytes */10", "bytes 0-1/*", "bytes=0-1/2", "bytes -1-1/2", "items 0-1/2"} {
		if got, ok := parseContentRange(in); ok {
			t.Errorf("%q accepted as %+v", in, got)
		}
	}
}
