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

// Destinations returns the buckets, by the store's names, to which a setting has the store write replicas, logs, inventories,
// analyses and tables, and the prefixes below which it does. A document that does not read like XML is MalformedXML, as is one with
// elements inside a name: a store could read it otherwise.
func Destinations(body []byte) (buckets, prefixes []string, err error) {
	if len(body) == 0 {
		return nil, nil, nil
	}
	d, err := parse(body, limits{bytes: MaxOther, elements: 1 << 16, strict: true})
	if err != nil {
		return nil, nil, s3err.MalformedXML.With(err)
	}
	for i := range int32(len(d.el)) {
		switch d.name(i) {
		case "Bucket", "TargetBucket", "TableBucketArn":
			if d.el[i].child >= 0 {
				return nil, nil, s3err.MalformedXML
			}
			buckets = append(buckets, bucketOf(strings.TrimSpace(d.text(i))))
		case "TargetPrefix":
			prefixes = append(prefixes, d.text(i))
		case "S3BucketDestination":
			for c := d.el[i].child; c >= 0; c = d.el[c].next {
				if d.is(c, "Prefix") {
					prefixes = append(prefixes, d.text(c))
				}
			}
		}
	}
	return buckets, prefixes, nil
}

// bucketOf returns the name in an ARN of a bucket, arn:partition:s3:::name, or in one of MinIO's targets of replication,
// arn:minio:replication:region:id:name. Other text stays as it is, with its colons a bucket of nobody's: Ceph reads a tenant or the
// id of a bucket's instance from what stands before or behind one.
func bucketOf(text string) string {
	p := strings.Split(text, ":")
	if len(p) == 6 && p[0] == "arn" && (p[2] == "s3" && p[3] == "" && p[4] == "" || p[1] == "minio" && p[2] == "replication") {
		return p[5]
	}
	return text
}
