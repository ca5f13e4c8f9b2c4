package envelope

import (
	"fmt"
	"slices"
	"strings"
)

// MaxSealedMeta is the length limit of TLV 08 in bytes (FORMAT.md 6.3).
const MaxSealedMeta = 2048

// EncodeSealedMeta encodes the user metadata of a client for TLV 08: LP(name) ‖ LP(value), sorted by name
// (FORMAT.md 6.3). Names come without the x-amz-meta- prefix and are put in lower case, as S3 does; repeated ones are
// joined with ",". The result is never nil. An encoding above 2 KB is an error that wraps ErrMalformed; a caller
// answers MetadataTooLarge.
func EncodeSealedMeta(entries []Field) ([]byte, error) {
	values := map[string]string{}
	var names []string
	for _, e := range entries {
		name := strings.ToLower(e.Name)
		if before, ok := values[name]; ok {
			values[name] = before + "," + e.Value
			continue
		}
		values[name] = e.Value
		names = append(names, name)
	}
	slices.Sort(names)
	out := []byte{}
	for _, name := range names {
		out = appendLP(out, name)
		out = appendLP(out, values[name])
	}
	if len(out) > MaxSealedMeta {
		return nil, fmt.Errorf("%w: %d bytes of sealed metadata", ErrMalformed, len(out))
	}
	return out, nil
}

// DecodeSealedMeta decodes TLV 08. Names ascend strictly. Errors wrap ErrEnvelope.
func DecodeSealedMeta(b []byte) ([]Field, error) {
	if len(b) > MaxSealedMeta {
		return nil, fmt.Errorf("%w: %d bytes of sealed metadata", ErrEnvelope, len(b))
	}
	var entries []Field
	for at := 0; at < len(b); {
		name, next, ok := takeLP(b, at)
		if !ok {
			return nil, fmt.Errorf("%w: sealed metadata is cut", ErrEnvelope)
		}
		value, next, ok := takeLP(b, next)
		if !ok {
			return nil, fmt.Errorf("%w: sealed metadata is cut", ErrEnvelope)
		}
		if n := len(entries); n > 0 && entries[n-1].Name >= string(name) {
			return nil, fmt.Errorf("%w: sealed metadata out of order", ErrEnvelope)
		}
		entries = append(entries, Field{Name: string(name), Value: string(value)})
		at = next
	}
	return entries, nil
}
