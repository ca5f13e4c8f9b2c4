package main

import (
	"bytes"
	"testing"

	"s3veil/crypto/vector"
)

// The checked-in files are what the generator writes, and nothing else lies beside them.
func TestCheckedInVectorsAreCurrent(t *testing.T) {
	want := map[string][]byte{}
	total := 0
	for _, v := range All() {
		want[v.Kind+"/"+v.Name] = v.Format()
		total += len(v.Format())
	}
	if total > 2<<20 {
		t.Errorf("the vectors have %d bytes", total)
	}
	for _, kind := range vector.Kinds {
		list, err := vector.Load("../../testdata/vectors", kind)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range list {
			name := kind + "/" + v.Name
			if !bytes.Equal(want[name], v.Format()) {
				t.Errorf("%s differs from what is generated; run go run ./crypto/vector/gen crypto/testdata/vectors", name)
			}
			delete(want, name)
		}
	}
	for name := range want {
		t.Errorf("%s is not checked in", name)
	}
}

// Every class of FORMAT.md 12 that files can show has a vector.
func TestEveryClassHasAVector(t *testing.T) {
	seen := map[string]int{}
	for _, v := range All() {
		seen[v.Expect()]++
	}
	for _, class := range []string{"success", "plaintext", "ambiguous", "malformed", "unsupported", "kek-denied", "commitment", "envelope", "length", "stream",
		"manifest-missing", "manifest", "metadata", "token", "note"} {
		if seen[class] == 0 {
			t.Errorf("no vector of class %s", class)
		}
		delete(seen, class)
	}
	for class := range seen {
		t.Errorf("unknown class %s", class)
	}
}
