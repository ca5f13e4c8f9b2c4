package proxy

import (
	"slices"
	"strings"

	"s3veil/crypto/envelope"
	"s3veil/proxy/s3err"
	"s3veil/proxy/upstream"
)

// hideMetadata moves user metadata into the envelope where the bucket says so (FORMAT.md 6.3), and returns the fields that the
// store gets to see. What an earlier envelope held is replaced.
func (b *bucket) hideMetadata(a *envelope.Attributes, fields []upstream.Field) ([]upstream.Field, error) {
	a.SealedMeta = nil
	if !b.rule.SealMetadata {
		return fields, nil
	}
	var hidden []envelope.Field
	var shown []upstream.Field
	for _, f := range fields {
		if name, ok := strings.CutPrefix(f.Name, metaPrefix); ok {
			hidden = append(hidden, envelope.Field{Name: name, Value: f.Value})
		} else {
			shown = append(shown, f)
		}
	}
	sealed, err := envelope.EncodeSealedMeta(hidden)
	if err != nil {
		return nil, s3err.MetadataTooLarge.With(err)
	}
	a.SealedMeta = sealed
	return shown, nil
}

// shown are the fields of an answer that the metadata MAC covers: none of the store's entries where metadata is sealed.
func shown(a *envelope.Attributes, fields []upstream.Field) []envelope.Field {
	out := covered(fields)
	if a.SealedMeta != nil {
		out = slices.DeleteFunc(out, func(f envelope.Field) bool { return strings.HasPrefix(f.Name, metaPrefix) })
	}
	return out
}

// revealMetadata puts sealed user metadata in the place of what the store answers.
func (o *object) revealMetadata() error {
	if o.attrs.SealedMeta == nil {
		return nil
	}
	entries, err := envelope.DecodeSealedMeta(o.attrs.SealedMeta)
	if err != nil {
		return err
	}
	out := make([]upstream.Field, 0, len(o.header)+len(entries))
	for _, f := range o.header {
		if !strings.HasPrefix(f.Name, metaPrefix) {
			out = append(out, f)
		}
	}
	for _, e := range entries {
		out = append(out, upstream.Field{Name: metaPrefix + e.Name, Value: e.Value})
	}
	o.header = out
	return nil
}
