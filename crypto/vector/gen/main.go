// Command gen writes the test vectors of FORMAT.md 14 below the directory it is given:
//
//	go run ./crypto/vector/gen crypto/testdata/vectors
//
// It builds every byte itself from the text of FORMAT.md and imports none of the packages under test, so that it can
// also build what they would never write. All inputs are fixed: the output is the same on every run. A test compares
// it with what is checked in.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"s3veil/crypto/vector"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gen DIRECTORY")
		os.Exit(2)
	}
	if err := write(os.Args[1], All()); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// All returns every vector.
func All() []*vector.Vector {
	var c corpus
	c.streams()
	c.keys()
	c.envelopes()
	c.envelopeTexts()
	c.envelopeAttributes()
	c.metadata()
	c.tokens()
	c.manifests()
	c.objects()
	c.multipartObjects()
	c.settings()
	c.notes()
	return c.list
}

// write replaces the folders of all kinds.
func write(root string, list []*vector.Vector) error {
	for _, kind := range vector.Kinds {
		if err := os.RemoveAll(filepath.Join(root, kind)); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(root, kind), 0o755); err != nil {
			return err
		}
	}
	for _, v := range list {
		if err := os.WriteFile(filepath.Join(root, v.Kind, v.Name), v.Format(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// corpus collects vectors.
type corpus struct{ list []*vector.Vector }

// add appends a vector; a name that is taken panics.
func (c *corpus) add(kind, name, expect, comment string, raw []byte, fields ...vector.Field) {
	for _, v := range c.list {
		if v.Kind == kind && v.Name == name {
			panic("gen: two vectors " + kind + "/" + name)
		}
	}
	all := append([]vector.Field{{Name: "expect", Value: expect}, {Name: "comment", Value: comment}}, fields...)
	c.list = append(c.list, &vector.Vector{Kind: kind, Name: name, Fields: all, Raw: raw})
}

const success = vector.Success
