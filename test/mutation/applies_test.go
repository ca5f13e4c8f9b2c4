// Package mutation switches the defences of s3veil off, one at a time, and requires that the tests notice (FORMAT.md 14.3). It
// needs nothing but Go; it is slow, because every case compiles. Whether every case still applies is told at once.
package mutation

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mutation is one defence switched off.
type mutation struct {
	name     string
	file     string // below the root of the repository
	old, new string // old occurs exactly once
}

func every() []mutation {
	return slices.Concat(mutations, streamMutations, processMutations, encryptionMutations)
}

// TestEveryMutationApplies compiles nothing and holds for all of them, where the gate only runs a sample: code that moves takes its
// mutations along.
func TestEveryMutationApplies(t *testing.T) {
	names := map[string]bool{}
	for _, m := range every() {
		if _, err := m.apply("../.."); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		if m.old == m.new {
			t.Errorf("%s changes nothing", m.name)
		}
		if name := m.file + " " + m.name; names[name] {
			t.Errorf("two are named %q", name)
		} else {
			names[name] = true
		}
	}
}

// apply returns the mutated file.
func (m mutation) apply(root string) ([]byte, error) {
	source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.file)))
	if err != nil {
		return nil, err
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		return nil, fmt.Errorf("%s has %q %d times", m.file, m.old, n)
	}
	return []byte(strings.Replace(string(source), m.old, m.new, 1)), nil
}
