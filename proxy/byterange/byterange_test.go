package byterange

import "testing"

func TestParseRange(t *testing.T) {
	whole := Range{}
	for in, want := range map[string]Range{
		"":                            whole,
		"bytes=0-0":                   {Set: true, From: 0, To: 0},
		"bytes=5-9":                   {Set: true, From: 5, To: 9},
		"bytes=5-":                    {Set: true, From: 5, To: -1},
		"bytes=-7":                    {Set: true, From: -1, Suffix: 7},
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
		"bytes=99999999999999999999-": {Set: true, From: 1<<63 - 1, To: -1},
	} {
		if got := Parse(in); got != want {
			t.Errorf("Parse(%q) = %+v, want %+v", in, got, want)
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
		a, b, ok := Parse(c.header).Resolve(c.n)
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
		if got, ok := Parse(header).Stored(); !ok || got != want {
			t.Errorf("%s: %q %v, want %q", header, got, ok, want)
		}
	}
	for _, header := range []string{"bytes=-1", "bytes=99999999999999999999-"} {
		if got, ok := Parse(header).Stored(); ok {
			t.Errorf("%s: guessed %q", header, got)
		}
	}
}

func TestParseContentRange(t *testing.T) {
	if got, ok := ParseContent("bytes 5-9/10"); !ok || got != (Content{5, 9, 10}) {
		t.Errorf("got %+v %v", got, ok)
	}
	for _, in := range []string{"", "bytes 5-9", "bytes 9-5/10", "bytes 0-10/10", "bytes */10", "bytes 0-1/*", "bytes=0-1/2", "bytes -1-1/2", "items 0-1/2"} {
		if got, ok := ParseContent(in); ok {
			t.Errorf("%q accepted as %+v", in, got)
		}
	}
}
