package envelope

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"maps"
	"slices"
	"strings"

	"s3veil/crypto/kms"
)

// metaHeader is what user-metadata headers start with.
const metaHeader = "x-amz-meta-"

// coveredHeaders are the system headers under the metadata MAC (FORMAT.md 6.1).
var coveredHeaders = map[string]bool{
	"cache-control":       true,
	"content-disposition": true,
	"content-encoding":    true,
	"content-language":    true,
	"content-type":        true,
	"expires":             true,
}

// Field is one header that the metadata MAC covers, named in lower case, x-amz-meta- prefix included.
type Field struct{ Name, Value string }

// MetadataMAC computes TLV 04 over the canonical forms of fields (FORMAT.md 6.1). It ignores fields that are not
// covered and s3veil's own entries, so a caller may pass all headers of an answer. Header names may have any case;
// repeated headers are joined with "," in the order given, as a writer sends them.
func MetadataMAC(dek *kms.Key32, fields []Field) [32]byte {
	key := expand(dek[:], labelMeta)
	defer clear(key)
	canonical := canonicalFields(fields)
	var in []byte
	for _, name := range slices.Sorted(maps.Keys(canonical)) {
		in = appendLP(in, name)
		in = appendLP(in, canonical[name])
	}
	h := hmac.New(sha256.New, key)
	h.Write(in)
	return [32]byte(h.Sum(nil))
}

// CheckMetadata compares the MAC of an opened envelope with the headers of the answer it came with. The error is
// ErrMetadata; the caller's policy decides what follows (FORMAT.md 6.2).
func CheckMetadata(a *Attributes, fields []Field) error {
	mac := MetadataMAC(&a.DEK, fields)
	if subtle.ConstantTimeCompare(mac[:], a.MetaMAC[:]) != 1 {
		return ErrMetadata
	}
	return nil
}

// SystemFields returns the fields that are not user metadata: what the MAC of an object with sealed user metadata
// covers (FORMAT.md 6.3).
func SystemFields(fields []Field) []Field {
	return slices.DeleteFunc(slices.Clone(fields), func(f Field) bool {
		return strings.HasPrefix(strings.ToLower(f.Name), metaHeader)
	})
}

// canonicalFields reduces the covered fields to their canonical forms by canonical name.
func canonicalFields(fields []Field) map[string]string {
	joined := map[string]string{} // by header name: repeated headers are one
	for _, f := range fields {
		name := strings.ToLower(f.Name)
		if !covered(name) {
			continue
		}
		if before, ok := joined[name]; ok {
			f.Value = before + "," + f.Value
		}
		joined[name] = f.Value
	}
	values := map[string][]string{} // by canonical name: a-b and a_b are one
	for name, value := range joined {
		if value, ok := canonicalValue(name, value); ok {
			name = strings.ReplaceAll(name, "_", "-")
			values[name] = append(values[name], value)
		}
	}
	out := make(map[string]string, len(values))
	for name, list := range values {
		slices.Sort(list)
		out[name] = strings.Join(list, ",")
	}
	return out
}

// covered reports whether the MAC covers a header, named in lower case.
func covered(name string) bool {
	if entry, ok := strings.CutPrefix(name, metaHeader); ok {
		return !strings.HasPrefix(entry, Prefix)
	}
	return coveredHeaders[name]
}

// canonicalValue reduces one value; ok is false where the field counts as absent.
func canonicalValue(name, value string) (canonical string, ok bool) {
	value = decodeWords(strings.Trim(value, whiteSpace))
	switch name {
	case "content-encoding":
		value = withoutChunked(value)
		return value, value != ""
	case "expires":
		return value, isFixdate(value)
	}
	return value, true
}

// withoutChunked drops aws-chunked, which belongs to the transfer, and empty items from a list of content codings.
func withoutChunked(value string) string {
	var kept []string
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.Trim(item, whiteSpace); item != "" && item != "aws-chunked" {
			kept = append(kept, item)
		}
	}
	return strings.Join(kept, ",")
}
