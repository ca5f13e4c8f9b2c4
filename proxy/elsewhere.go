package proxy

import (
	"fmt"

	"s3veil/proxy/s3err"
	"s3veil/proxy/s3op"
	"s3veil/proxy/s3xml"
)

// restoreObject passes what brings an archived object back. A document of it can also ask for a query whose result the store
// writes to a bucket of the document's choice: neither the client's rules nor s3veil's keys would have a say in that.
func (x *exchange) restoreObject() error { return x.passEdited(x.sideHeaders(), s3xml.PlainRestore) }

// passDestined passes settings by which the store writes to another bucket, with rights that are s3veil's own and not the
// client's.
func (x *exchange) passDestined() error { return x.passEdited(x.sideHeaders(), x.mayReach) }

// mayReach refuses a setting that names a bucket in all of which the client may not write, or a prefix where no client writes.
// Settings name buckets as the store does.
func (x *exchange) mayReach(doc []byte) ([]byte, error) {
	buckets, prefixes, err := s3xml.Destinations(doc)
	if err != nil {
		return nil, err
	}
	for _, prefix := range prefixes {
		if s3op.Reserved(prefix) || s3op.CheckKey(prefix) != nil {
			return nil, s3err.AccessDenied.With(fmt.Errorf("%s below %q: %w", x.req.Op, prefix, errReserved))
		}
	}
	for _, name := range buckets {
		visible, ok := x.st.visibleName(x.bucket.store, name)
		if !ok || !s3op.IsBucketName(name) || !x.client.AllowedWhole(s3op.Write, visible) {
			return nil, s3err.AccessDenied.With(fmt.Errorf("client %s: %s to the store's bucket %q: no rule lets it write there", x.client.name, x.req.Op, name))
		}
	}
	return doc, nil
}
