package local

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// FuzzParse checks that every file is either refused with a mistake that has a place, or read so that writing and reading
// it again gives the same keys.
func FuzzParse(f *testing.F) {
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, err := parse("f", text)
		if err != nil {
			var wrong *ParseError
			if !errors.As(err, &wrong) || len(wrong.Mistakes) == 0 || entries != nil {
				t.Fatalf("%v with %d keys", err, len(entries))
			}
			for _, m := range wrong.Mistakes {
				if m.Line < 1 || m.Column < 1 || m.Line > 1+bytes.Count(text, []byte("\n")) || m.Text == "" {
					t.Fatalf("mistake %+v", m)
				}
			}
			return
		}
		again, err := parse("f", encode(entries))
		if err != nil || len(again) != len(entries) || len(again) == 0 {
			t.Fatalf("%d keys became %d: %v", len(entries), len(again), err)
		}
		for i, e := range entries {
			a := again[i]
			if a.id != e.id || a.state != e.state || a.key != e.key || !a.created.Equal(e.created) || !validKID(e.id) || strings.ContainsRune(e.id, '@') {
				t.Fatalf("key %d: %+v became %+v", i, e, a)
			}
		}
	})
}
