package vector_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"s3veil/crypto/vector"
)

func TestFormatAndParse(t *testing.T) {
	v := &vector.Vector{Kind: "stream", Name: "n", Fields: []vector.Field{{Name: "expect", Value: "success"}, {Name: "pair", Value: "61 -"}, {Name: "pair", Value: "- 62"},
		{Name: "n", Value: "7"}, {Name: "hex", Value: "00ff"}}, Raw: []byte("a\n\nb: c\n")}
	got, err := vector.Parse("stream", "n", v.Format())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Raw, v.Raw) || got.Expect() != vector.Success || got.Int("n") != 7 || !bytes.Equal(got.Bytes("hex"), []byte{0, 255}) || got.Has("none") {
		t.Errorf("got %+v", got)
	}
	if p := got.Pairs("pair"); len(p) != 2 || p[0] != [2]string{"a", ""} || p[1] != [2]string{"", "b"} {
		t.Errorf("pairs %q", p)
	}
	for _, bad := range []string{"", "expect: x", "expect: x\n", "expect x\n\n"} {
		if _, err := vector.Parse("stream", "n", []byte(bad)); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func TestAnEmptyCorpusIsAnError(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "stream"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := vector.Load(root, "stream"); err == nil {
		t.Error("no vectors, no error")
	}
	if _, err := vector.Load(root, "blob"); err == nil {
		t.Error("no folder, no error")
	}
}

// Every kind has both vectors that are accepted and, where anything can be wrong, vectors that are not.
func TestCorporaHaveBothSides(t *testing.T) {
	for _, kind := range vector.Kinds {
		list, err := vector.Load("../testdata/vectors", kind)
		if err != nil {
			t.Fatal(err)
		}
		good := 0
		for _, v := range list {
			if v.Expect() == vector.Success {
				good++
			}
		}
		if good < 2 || kind != "ikek" && len(list)-good < 5 {
			t.Errorf("%s: %d vectors, %d of them are accepted", kind, len(list), good)
		}
	}
}
