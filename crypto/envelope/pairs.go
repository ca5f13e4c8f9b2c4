package envelope

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"s3veil/crypto/kms"
)

// decodePairs reads the c bytes of b6: whole pairs, UTF-8, names strictly ascending (FORMAT.md 5.3).
func decodePairs(b []byte) (kms.Context, error) {
	if len(b) < 1 || len(b) > maxPairBytes {
		return nil, fmt.Errorf("%w: length of the pairs", ErrMalformed)
	}
	pairs := kms.Context{}
	for at, last := 0, ""; at < len(b); {
		name, at1, ok := takeLP(b, at)
		if !ok {
			return nil, fmt.Errorf("%w: pair is cut", ErrMalformed)
		}
		value, at2, ok := takeLP(b, at1)
		if !ok {
			return nil, fmt.Errorf("%w: pair is cut", ErrMalformed)
		}
		if string(name) <= last { // refuses an empty name as well
			return nil, fmt.Errorf("%w: names of the pairs do not ascend", ErrMalformed)
		}
		at, last = at2, string(name)
		pairs[last] = string(value)
	}
	return pairs, checkPairs(pairs)
}

// checkPairs applies the rules of FORMAT.md 5.3 that do not depend on the encoding. Errors wrap ErrMalformed.
func checkPairs(pairs kms.Context) error {
	if len(pairs) < 1 || len(pairs) > maxPairs || pairsLen(pairs) > maxPairBytes {
		return fmt.Errorf("%w: number or length of the pairs", ErrMalformed)
	}
	for name, value := range pairs {
		if name == "" || name == kms.ContextFormat || name == kms.ContextRealm {
			return fmt.Errorf("%w: reserved name in the pairs", ErrMalformed)
		}
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return fmt.Errorf("%w: pairs are not UTF-8", ErrMalformed)
		}
	}
	return nil
}

// pairsLen returns the length of the canonical form.
func pairsLen(pairs kms.Context) int {
	n := 0
	for name, value := range pairs {
		n += 8 + len(name) + len(value)
	}
	return n
}

// ParsePairs parses the JSON of x-amz-server-side-encryption-context (already base64-decoded) under the rules of
// FORMAT.md 5.3: one flat object of strings, no name twice, 1–8 pairs, at most 512 bytes in canonical form, no empty
// name and neither "s3veil" nor "realm". An empty object is nil. Errors wrap ErrPairs.
func ParsePairs(jsonText []byte) (kms.Context, error) {
	if !utf8.Valid(jsonText) {
		return nil, fmt.Errorf("%w: not UTF-8", ErrPairs)
	}
	dec := json.NewDecoder(bytes.NewReader(jsonText))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("%w: not an object", ErrPairs)
	}
	pairs := kms.Context{}
	for dec.More() {
		name, err := stringToken(dec)
		if err != nil {
			return nil, err
		}
		value, err := stringToken(dec)
		if err != nil {
			return nil, err
		}
		if _, twice := pairs[name]; twice {
			return nil, fmt.Errorf("%w: a name appears twice", ErrPairs)
		}
		pairs[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("%w: the object does not end", ErrPairs)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: more than one object", ErrPairs)
	}
	if loneSurrogate(jsonText) {
		return nil, fmt.Errorf("%w: half a surrogate pair", ErrPairs)
	}
	if len(pairs) == 0 {
		return nil, nil
	}
	if err := checkPairs(pairs); err != nil {
		return nil, fmt.Errorf("%w: %v", ErrPairs, err)
	}
	return pairs, nil
}

func stringToken(dec *json.Decoder) (string, error) {
	t, err := dec.Token()
	if s, ok := t.(string); ok && err == nil {
		return s, nil
	}
	return "", fmt.Errorf("%w: not a flat object of strings", ErrPairs)
}

// loneSurrogate reports a \u escape in valid JSON that is half a surrogate pair; the decoder would replace it silently.
func loneSurrogate(jsonText []byte) bool {
	for i := 0; i < len(jsonText); i++ {
		if jsonText[i] != '\\' {
			continue
		}
		i++ // an escape is at least two bytes in valid JSON
		if !isHigh(escape(jsonText, i-1)) {
			if isLow(escape(jsonText, i-1)) {
				return true
			}
			continue
		}
		if !isLow(escape(jsonText, i+5)) {
			return true
		}
		i += 10
	}
	return false
}

// escape returns the code unit of an escape (a backslash, u and four digits, RFC 8259 7) that starts at i, or 0.
func escape(b []byte, i int) uint64 {
	if i+6 > len(b) || b[i] != '\\' || b[i+1] != 'u' {
		return 0
	}
	n, err := strconv.ParseUint(string(b[i+2:i+6]), 16, 16)
	if err != nil {
		return 0
	}
	return n
}

func isHigh(unit uint64) bool { return unit >= 0xd800 && unit < 0xdc00 }
func isLow(unit uint64) bool  { return unit >= 0xdc00 && unit < 0xe000 }
