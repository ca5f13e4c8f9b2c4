package envelope

import (
	"cmp"
	"crypto/subtle"
	"slices"
	"strings"

	"s3veil/crypto/kdf"
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
	canonical := canonicalFields(fields)
	var room [512]byte
	in := room[:0]
	for _, f := range canonical {
		in = appendLP(in, f.Name)
		in = appendLP(in, f.Value)
	}
	return labelMAC(dek, labelMeta, in)
}

// labelMAC is HMAC(Expand(DEK, label, 32), message).
func labelMAC(dek *kms.Key32, label string, message []byte) (out [kdf.Size]byte) {
	var key [kdf.Size]byte
	kdf.Expand(&key, (*[kdf.Size]byte)(dek), label)
	kdf.MAC(&out, key[:], message)
	clear(key[:])
	return out
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

// canonicalFields reduces the covered fields to their canonical forms, sorted by canonical name.
func canonicalFields(fields []Field) []Field {
	list := make([]Field, 0, len(fields))
	for _, f := range fields {
		if f.Name = strings.ToLower(f.Name); covered(f.Name) {
			list = append(list, f)
		}
	}
	// Headers of one name are one field, values in the order given.
	slices.SortStableFunc(list, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	list = joinEqual(list)
	kept, renamed := list[:0], false
	for _, f := range list {
		value, ok := canonicalValue(f.Name, f.Value)
		if !ok {
			continue
		}
		name := strings.ReplaceAll(f.Name, "_", "-")
		renamed = renamed || name != f.Name
		kept = append(kept, Field{Name: name, Value: value})
	}
	if !renamed {
		return kept
	}
	// a-b and a_b have become one field, values sorted.
	slices.SortFunc(kept, func(a, b Field) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Value, b.Value))
	})
	return joinEqual(kept)
}

// joinEqual joins the values of neighbours of one name with ",", in place.
func joinEqual(list []Field) []Field {
	out := list[:0]
	for _, f := range list {
		if n := len(out); n > 0 && out[n-1].Name == f.Name {
			out[n-1].Value += "," + f.Value
			continue
		}
		out = append(out, f)
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
	value = decodeWords(trim(value))
	switch name {
	case "content-encoding":
		value = withoutChunked(value)
		return value, value != ""
	case "expires":
		return value, isFixdate(value)
	}
	return value, true
}

// trim is strings.Trim(value, whiteSpace), which looks up a set for every call.
func trim(value string) string {
	white := func(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
	for len(value) > 0 && white(value[0]) {
		value = value[1:]
	}
	for len(value) > 0 && white(value[len(value)-1]) {
		value = value[:len(value)-1]
	}
	return value
}

// withoutChunked drops aws-chunked, which belongs to the transfer, and empty items from a list of content codings.
func withoutChunked(value string) string {
	var kept []string
	for item := range strings.SplitSeq(value, ",") {
		if item = trim(item); item != "" && item != "aws-chunked" {
			kept = append(kept, item)
		}
	}
	return strings.Join(kept, ",")
}
