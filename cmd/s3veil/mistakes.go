package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// position is where a setting was made.
type position struct {
	layer int    // layerFile, layerEnv, layerFlag
	name  string // file, variable or flag
	line  int    // in a file; 0 elsewhere
}

// The layers of a configuration; a later one wins.
const (
	layerFile = iota
	layerEnv
	layerFlag
)

func (p position) String() string {
	if p.layer == layerFile && p.line > 0 {
		return fmt.Sprintf("%s:%d", p.name, p.line)
	}
	return p.name
}

// mistake is one fault of a configuration.
type mistake struct {
	at      position
	path    string // of the key, for example clients[0].access_key
	message string
}

func (m mistake) String() string {
	if m.path == "" {
		return m.at.String() + ": " + m.message
	}
	return m.at.String() + ": " + m.path + ": " + m.message
}

// mistakes are all faults of a configuration; as an error it has one line for each, sorted by line.
type mistakes []mistake

// Error is one line per mistake: file:line: path: message.
func (m mistakes) Error() string {
	lines := make([]string, len(m))
	for i := range m {
		lines[i] = m[i].String()
	}
	return strings.Join(lines, "\n")
}

// err returns the sorted mistakes, or nil when there are none.
func (m mistakes) err() error {
	if len(m) == 0 {
		return nil
	}
	slices.SortStableFunc(m, func(a, b mistake) int {
		return cmp.Or(cmp.Compare(a.at.layer, b.at.layer), cmp.Compare(a.at.line, b.at.line),
			cmp.Compare(a.at.name, b.at.name))
	})
	return m
}
