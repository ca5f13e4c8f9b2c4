package s3xml

import (
	"strings"

	"s3veil/proxy/s3err"
)

// PlainRestore returns a RestoreRequest anew, with what brings an object back: days and tier. The query that it may hold besides,
// with the bucket and key of its result, is NotImplemented; everything unknown is MalformedXML (S3 API reference,
// RestoreObject). No document at all is none.
func PlainRestore(body []byte) ([]byte, error) {
	if len(body) == 0 {
		return nil, nil
	}
	d, err := parse(body, limits{bytes: MaxOther, elements: 64, strict: true})
	if err != nil {
		return nil, s3err.MalformedXML.With(err)
	}
	if !d.is(0, "RestoreRequest") {
		return nil, s3err.MalformedXML
	}
	out := open(nil, "RestoreRequest")
	var seen fields
	for i := d.el[0].child; i >= 0; i = d.el[i].next {
		name := d.name(i)
		if !seen.add(name) {
			return nil, s3err.MalformedXML
		}
		switch name {
		case "Days", "Tier", "Description":
			if d.el[i].child >= 0 {
				return nil, s3err.MalformedXML
			}
			out = leaf(out, name, d.text(i))
		case "GlacierJobParameters":
			tier := d.el[i].child
			if tier < 0 || !d.is(tier, "Tier") || d.el[tier].child >= 0 || d.el[tier].next >= 0 {
				return nil, s3err.MalformedXML
			}
			out = end(leaf(start(out, name), "Tier", d.text(tier)), name)
		case "Type", "SelectParameters", "OutputLocation":
			return nil, s3err.Unimplemented("<" + name + ">")
		default:
			return nil, s3err.MalformedXML
		}
	}
	return end(out, "RestoreRequest"), nil
}

// Destinations returns the buckets, by the store's names, to which a setting has the store write: replicas, logs, inventories and
// analyses. A document that does not read like XML is MalformedXML: a store could read it otherwise.
func Destinations(body []byte) ([]string, error) {
	if len(body) == 0 {
		return nil, nil
	}
	d, err := parse(body, limits{bytes: MaxOther, elements: 1 << 16, strict: true})
	if err != nil {
		return nil, s3err.MalformedXML.With(err)
	}
	var names []string
	for i := range d.el {
		if i := int32(i); d.is(i, "Bucket") || d.is(i, "TargetBucket") {
			name := strings.TrimSpace(d.text(i))
			names = append(names, name[strings.LastIndexByte(name, ':')+1:]) // an ARN, or the name alone
		}
	}
	return names, nil
}
