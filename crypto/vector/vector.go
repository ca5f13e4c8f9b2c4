// Package vector reads and writes the test vectors of the object format (FORMAT.md 14) for the tests of the rooms that
// the format touches.
//
// One file holds one case: lines "name: value", an empty line, raw bytes. The first lines are expect (a class of
// FORMAT.md 12, or success) and comment; the others are inputs and expected outputs, in hexadecimal unless they are
// numbers or words. The folder of a file is its kind and says what the raw bytes are.
package vector

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Kinds are the folders below crypto/testdata/vectors.
var Kinds = []string{"stream", "ikek", "blob", "envelope", "meta", "token", "manifest", "object", "setting", "note"}

// Success is the expectation of a vector that must be accepted; every other one is a class of FORMAT.md 12.
const Success = "success"

// Field is one line of the header.
type Field struct{ Name, Value string }

// Vector is one case.
type Vector struct {
	Kind, Name string // folder and file name
	Fields     []Field
	Raw        []byte
}

// Expect returns the class that a reader must report, or Success.
func (v *Vector) Expect() string { return v.Text("expect") }

// Has reports whether a field is present.
func (v *Vector) Has(name string) bool { return len(v.All(name)) > 0 }

// All returns the values of a field that may be repeated.
func (v *Vector) All(name string) []string {
	var out []string
	for _, f := range v.Fields {
		if f.Name == name {
			out = append(out, f.Value)
		}
	}
	return out
}

// Text returns the value of a field that stands once. Absent or repeated fields panic: a vector is not input.
func (v *Vector) Text(name string) string {
	all := v.All(name)
	if len(all) != 1 {
		panic(fmt.Sprintf("vector %s/%s has %d fields %q", v.Kind, v.Name, len(all), name))
	}
	return all[0]
}

// Bytes returns the value of a hexadecimal field.
func (v *Vector) Bytes(name string) []byte { return unhex(v.Text(name)) }

// Key returns the value of a hexadecimal field of 32 bytes.
func (v *Vector) Key(name string) [32]byte { return [32]byte(v.Bytes(name)) }

// Int returns the value of a decimal field.
func (v *Vector) Int(name string) int64 {
	n, err := strconv.ParseInt(v.Text(name), 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

// Pairs returns the values of a repeated field of two hexadecimal words; an empty word is "-".
func (v *Vector) Pairs(name string) [][2]string {
	var out [][2]string
	for _, value := range v.All(name) {
		first, second, ok := strings.Cut(value, " ")
		if !ok {
			panic("vector: not a pair: " + value)
		}
		out = append(out, [2]string{string(word(first)), string(word(second))})
	}
	return out
}

func word(s string) []byte {
	if s == "-" {
		return nil
	}
	return unhex(s)
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// Word is the inverse of a word of Pairs.
func Word(s string) string {
	if s == "" {
		return "-"
	}
	return hex.EncodeToString([]byte(s))
}

// Format encodes a vector as a file.
func (v *Vector) Format() []byte {
	var b bytes.Buffer
	for _, f := range v.Fields {
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
	}
	b.WriteByte('\n')
	b.Write(v.Raw)
	return b.Bytes()
}

// Parse decodes a file.
func Parse(kind, name string, file []byte) (*Vector, error) {
	v := &Vector{Kind: kind, Name: name}
	for {
		line, rest, ok := bytes.Cut(file, []byte("\n"))
		if !ok {
			return nil, fmt.Errorf("vector %s/%s: no empty line", kind, name)
		}
		file = rest
		if len(line) == 0 {
			v.Raw = file
			return v, nil
		}
		field, value, ok := strings.Cut(string(line), ": ")
		if !ok {
			return nil, fmt.Errorf("vector %s/%s: line %q", kind, name, line)
		}
		v.Fields = append(v.Fields, Field{field, value})
	}
}

// Load reads the vectors of one kind below root (crypto/testdata/vectors), sorted by name. None is an error.
func Load(root, kind string) ([]*Vector, error) {
	entries, err := os.ReadDir(filepath.Join(root, kind))
	if err != nil {
		return nil, err
	}
	var out []*Vector
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(root, kind, e.Name()))
		if err != nil {
			return nil, err
		}
		v, err := Parse(kind, e.Name(), b)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("vector: no %s vectors in %s", kind, root)
	}
	slices.SortFunc(out, func(a, b *Vector) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}
