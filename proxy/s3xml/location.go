package s3xml

// firstRegion is the region of buckets without a LocationConstraint (S3 API reference, CreateBucket).
const firstRegion = "us-east-1"

// Relocate returns a CreateBucketConfiguration that asks for region to where doc asks for region here, nil for none. A document
// that asks for another region, or does not read like one, stays as it is.
func Relocate(doc []byte, here, to string) []byte {
	if len(doc) == 0 {
		if here != firstRegion || to == firstRegion {
			return doc
		}
		return end(leaf(open(nil, "CreateBucketConfiguration"), "LocationConstraint", to), "CreateBucketConfiguration")
	}
	d, err := parse(doc, limits{bytes: MaxOther, elements: 1024, strict: true})
	if err != nil || !d.is(0, "CreateBucketConfiguration") {
		return doc
	}
	at, others := int32(-1), 0
	for i := d.el[0].child; i >= 0; i = d.el[i].next {
		switch {
		case !d.is(i, "LocationConstraint"):
			others++
		case at >= 0:
			return doc
		default:
			at = i
		}
	}
	if d.region(at) != here {
		return doc
	}
	if others == 0 {
		return Relocate(nil, firstRegion, to)
	}
	from, behind := d.el[0].inner, d.el[0].inner
	if at >= 0 {
		from, behind = d.el[at].start, d.el[at].end
	}
	out := append([]byte(nil), d.b[:from]...)
	if to != firstRegion {
		name := string(d.b[d.el[0].start+1:d.el[0].local]) + "LocationConstraint" // with the prefix of its namespace
		out = leaf(out, name, to)
	}
	return append(out, d.b[behind:]...)
}

// region is what a LocationConstraint asks for, i being -1 without one.
func (d *doc) region(i int32) string {
	if i < 0 || d.text(i) == "" {
		return firstRegion
	}
	return d.text(i)
}
