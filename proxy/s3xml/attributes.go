package s3xml

// Attributes is the answer of GetObjectAttributes. What the request did not ask for is empty or nil.
type Attributes struct {
	ETag         string // the client's form, without quotes
	Checksums    []ChecksumText
	ChecksumType string // with Checksums: "FULL_OBJECT" or "COMPOSITE"
	Parts        *AttributeParts
	StorageClass string
	ObjectSize   *int64 // plaintext bytes
}

// AttributeParts is the page of parts that the request asked for.
type AttributeParts struct {
	Total, Marker, Next, Max int
	Truncated                bool
	Parts                    []AttributePart
}

// AttributePart is one part, Size in plaintext bytes.
type AttributePart struct {
	Number    int
	Size      int64
	Checksums []ChecksumText
}

// Append writes the document for the client.
func (a *Attributes) Append(dst []byte) []byte {
	dst = optional(open(dst, "GetObjectAttributesResponse"), "ETag", a.ETag)
	if len(a.Checksums) > 0 {
		dst = checksums(start(dst, "Checksum"), a.Checksums)
		dst = end(optional(dst, "ChecksumType", a.ChecksumType), "Checksum")
	}
	if p := a.Parts; p != nil {
		dst = number(start(dst, "ObjectParts"), "PartsCount", int64(p.Total))
		dst = number(number(dst, "PartNumberMarker", int64(p.Marker)), "NextPartNumberMarker", int64(p.Next))
		dst = boolean(number(dst, "MaxParts", int64(p.Max)), "IsTruncated", p.Truncated)
		for i := range p.Parts {
			part := &p.Parts[i]
			dst = checksums(start(dst, "Part"), part.Checksums)
			dst = end(number(number(dst, "PartNumber", int64(part.Number)), "Size", part.Size), "Part")
		}
		dst = end(dst, "ObjectParts")
	}
	dst = optional(dst, "StorageClass", a.StorageClass)
	if a.ObjectSize != nil {
		dst = number(dst, "ObjectSize", *a.ObjectSize)
	}
	return end(dst, "GetObjectAttributesResponse")
}
