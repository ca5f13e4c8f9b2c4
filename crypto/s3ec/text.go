package s3ec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxInstruction is the longest instruction file that is read, in bytes.
const MaxInstruction = 16 << 10

// Merge returns the metadata of an object together with what its instruction file holds. In V3 the file may hold the
// wrapped key and its description only, and nothing that the object's own metadata says as well (FORMAT.md A.1). Errors
// are ErrMalformed and ErrAmbiguous.
func Merge(meta map[string]string, file []byte) (map[string]string, error) {
	if len(file) > MaxInstruction {
		return nil, fmt.Errorf("%w: instruction file of more than %d bytes", ErrMalformed, MaxInstruction)
	}
	said, err := parseObject(file)
	if err != nil {
		return nil, fmt.Errorf("%w: instruction file: %w", ErrMalformed, err)
	}
	split := Split(meta)
	out := maps.Clone(meta)
	if out == nil {
		out = map[string]string{}
	}
	for name, value := range said {
		name = strings.ToLower(name)
		_, twice := out[name]
		known := slices.Contains(names12, name) || slices.Contains(names3, name) || name == lengthName
		switch {
		case known && twice:
			return nil, fmt.Errorf("%w: %s in the object and in its instruction file", ErrAmbiguous, name)
		case split && known && !slices.Contains(inFile, name):
			return nil, fmt.Errorf("%w: %s in an instruction file of version 3", ErrMalformed, name)
		case known:
			out[name] = value
		}
	}
	return out, nil
}

// parseContext reads an encryption context or a description of a key: a JSON object of strings, empty or "{}" for none.
func parseContext(s string) (map[string]string, error) {
	if len(s) > maxContext {
		return nil, errors.New("too long")
	}
	if s = decodeTwice(s); s == "" {
		return map[string]string{}, nil
	}
	return parseObject([]byte(s))
}

// decodeTwice undoes what some writers do to strings that are not ASCII: RFC 2047 words around UTF-8 that was read as
// Latin-1 (FORMAT.md A.1).
func decodeTwice(s string) string {
	if !strings.Contains(s, "=?") {
		return s
	}
	word, err := new(mime.WordDecoder).DecodeHeader(s)
	if err != nil {
		return s
	}
	raw := make([]byte, 0, len(word))
	for _, r := range word {
		if r > 0xFF {
			return word
		}
		raw = append(raw, byte(r))
	}
	if !utf8.Valid(raw) {
		return word
	}
	return string(raw)
}

// parseObject reads one JSON object of strings. Repeated names and anything after the object are errors: two readers
// could understand them differently.
func parseObject(b []byte) (map[string]string, error) {
	if !utf8.Valid(b) {
		return nil, errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	out := map[string]string{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errors.New("not a JSON object")
		}
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("%.40q stands twice", name)
		}
		if t, err = d.Token(); err != nil {
			return nil, errors.New("not a JSON object")
		}
		if out[name], ok = t.(string); !ok {
			return nil, fmt.Errorf("%.40q is not a string", name)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("not a JSON object")
	}
	if len(bytes.TrimSpace(b[d.InputOffset():])) > 0 {
		return nil, errors.New("text after the JSON object")
	}
	return out, nil
}
