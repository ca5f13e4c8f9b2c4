package s3xml

// Bucket is one bucket of ListBuckets. Created is as the store wrote it.
type Bucket struct{ Name, Created, Region string }

// BucketList is the answer of ListBuckets.
type BucketList struct {
	OwnerID, OwnerName string
	Buckets            []Bucket
	Prefix, Next       string // Next is the ContinuationToken of the following page, empty on the last one
}

// ParseBuckets parses a store's page of ListBuckets. Failures wrap ErrSyntax.
func ParseBuckets(body []byte) (BucketList, error) {
	var l BucketList
	d, err := parseRoot(body, "ListAllMyBucketsResult")
	if err != nil {
		return l, err
	}
	l.Prefix, l.Next = d.childText(0, "Prefix"), d.childText(0, "ContinuationToken")
	if owner := d.find(0, "Owner"); owner >= 0 {
		l.OwnerID, l.OwnerName = d.childText(owner, "ID"), d.childText(owner, "DisplayName")
	}
	buckets := d.find(0, "Buckets")
	if buckets < 0 {
		return l, nil
	}
	for i := d.el[buckets].child; i >= 0; i = d.el[i].next {
		if d.is(i, "Bucket") {
			l.Buckets = append(l.Buckets, Bucket{
				d.childText(i, "Name"), d.childText(i, "CreationDate"), d.childText(i, "BucketRegion"),
			})
		}
	}
	return l, nil
}

// Append writes the document for the client.
func (l *BucketList) Append(dst []byte) []byte {
	dst = start(open(dst, "ListAllMyBucketsResult"), "Owner")
	dst = end(optional(leaf(dst, "ID", l.OwnerID), "DisplayName", l.OwnerName), "Owner")
	dst = start(dst, "Buckets")
	for i := range l.Buckets {
		b := &l.Buckets[i]
		dst = leaf(leaf(start(dst, "Bucket"), "Name", b.Name), "CreationDate", b.Created)
		dst = end(optional(dst, "BucketRegion", b.Region), "Bucket")
	}
	dst = end(dst, "Buckets")
	dst = optional(optional(dst, "ContinuationToken", l.Next), "Prefix", l.Prefix)
	return end(dst, "ListAllMyBucketsResult")
}
