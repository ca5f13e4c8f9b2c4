package s3xml

import (
	"fmt"

	"s3veil/proxy/s3err"
)

// DeleteResult is the answer of DeleteObjects.
type DeleteResult struct {
	Deleted []Deleted
	Errors  []DeleteError
}

// Deleted is one deleted object or version. Marker is "true" where a delete marker was made or removed; of others some stores say
// "false", some nothing. MarkerVersion is its id.
type Deleted struct {
	Key, VersionID        string
	Marker, MarkerVersion string
}

// DeleteError is one object that was not deleted.
type DeleteError struct{ Key, VersionID, Code, Message string }

// Refused is the entry of an object that s3veil refuses itself.
func Refused(e DeleteEntry, why s3err.Error) DeleteError {
	return DeleteError{Key: e.Key, VersionID: e.VersionID, Code: why.Code, Message: why.Message}
}

// ParseDeleteResult parses the store's answer. Failures wrap ErrSyntax.
func ParseDeleteResult(body []byte) (DeleteResult, error) {
	var r DeleteResult
	d, err := parse(body, pageLimits)
	if err != nil {
		return r, err
	}
	if !d.is(0, "DeleteResult") {
		return r, fmt.Errorf("%w: root %q", ErrSyntax, d.name(0))
	}
	for i := d.el[0].child; i >= 0; i = d.el[i].next {
		key, version := d.childText(i, "Key"), d.childText(i, "VersionId")
		switch d.name(i) {
		case "Deleted":
			r.Deleted = append(r.Deleted, Deleted{
				key, version, d.childText(i, "DeleteMarker"), d.childText(i, "DeleteMarkerVersionId"),
			})
		case "Error":
			r.Errors = append(r.Errors, DeleteError{key, version, d.childText(i, "Code"), d.childText(i, "Message")})
		}
	}
	return r, nil
}

// Append writes the document for the client.
func (r *DeleteResult) Append(dst []byte) []byte {
	dst = open(dst, "DeleteResult")
	for i := range r.Deleted {
		e := &r.Deleted[i]
		dst = leaf(start(dst, "Deleted"), "Key", e.Key)
		dst = optional(dst, "VersionId", e.VersionID)
		dst = optional(dst, "DeleteMarker", e.Marker)
		dst = end(optional(dst, "DeleteMarkerVersionId", e.MarkerVersion), "Deleted")
	}
	for i := range r.Errors {
		e := &r.Errors[i]
		dst = leaf(start(dst, "Error"), "Key", e.Key)
		dst = optional(dst, "VersionId", e.VersionID)
		dst = end(leaf(leaf(dst, "Code", e.Code), "Message", e.Message), "Error")
	}
	return end(dst, "DeleteResult")
}
