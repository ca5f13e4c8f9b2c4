package proxy

import (
	"strconv"
	"strings"

	"s3veil/proxy/s3err"
	"s3veil/proxy/s3xml"
	"s3veil/proxy/upstream"
)

// getObjectAttributes answers from envelope and manifest; the store is asked by HEAD only, while it has the object.
func (x *exchange) getObjectAttributes() error {
	if err := x.discardBody(); err != nil {
		return err
	}
	wanted, err := x.wantedAttributes()
	if err != nil {
		return err
	}
	r, err := x.newRead()
	if err != nil {
		return err
	}
	resp, err := x.fetch(r, "HEAD", "")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.Status != 200 {
		return x.attributesRefused(r, x.answerRefusal(resp))
	}
	o, err := x.openObject(&x.bucket, x.req.Key, resp, x.customer)
	if err != nil {
		return err
	}
	defer o.forget()
	if len(wanted) == 0 {
		return s3err.Request("The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty")
	}
	if done, err := x.decide(r, o); done || err != nil {
		return err
	}
	a := s3xml.Attributes{}
	if wanted["ETag"] {
		a.ETag = bare(o.clientETag())
	}
	if wanted["ObjectSize"] {
		a.ObjectSize = &o.content
	}
	if wanted["StorageClass"] {
		a.StorageClass = orDefault(o.get("x-amz-storage-class"), "STANDARD")
	}
	if wanted["Checksum"] && !o.plaintext() {
		a.Checksums, a.ChecksumType = o.checksumElement()
	}
	if wanted["ObjectParts"] && o.manifest != nil {
		if a.Parts, err = x.attributeParts(o); err != nil {
			return err
		}
	}
	x.respond(200, resp)
	return x.xml(200, a.Append(nil))
}

// attributesRefused has the store itself say why it does not show an object: HEAD has no words, and what is said of the version of a
// delete marker differs. Only its refusals are heard: that it does not know the operation is none.
func (x *exchange) attributesRefused(r *read, err error) error {
	e := s3err.From(err)
	if e.Status != 403 && e.Status != 404 && e.Status != 405 {
		return x.whichMissing(&x.bucket, err)
	}
	refusal := x.refusal
	resp, failed := x.call(&upstream.Request{Op: string(x.req.Op), Method: "GET", Key: x.req.Key, Idempotent: true,
		Query:  append([]upstream.Param{{Name: "attributes", Bare: true}}, r.query...),
		Header: append(x.forwarded(isReadHeader), upstream.Field{Name: "x-amz-object-attributes", Value: "ETag"})})
	if failed != nil {
		return err
	}
	if resp.Status != 403 && resp.Status != 404 {
		resp.Body.Close()
		return x.whichMissing(&x.bucket, err)
	}
	x.refusal = nil
	said := x.storeError(resp)
	if e.Status == 403 && resp.Status == 404 || s3err.From(said).Code == s3err.MethodNotAllowed.Code {
		x.refusal = refusal
		return err
	}
	return said
}

// wantedAttributes reads x-amz-object-attributes.
func (x *exchange) wantedAttributes() (map[string]bool, error) {
	wanted := map[string]bool{}
	for item := range strings.SplitSeq(x.head.Joined("x-amz-object-attributes"), ",") {
		switch item = strings.TrimSpace(item); item {
		case "":
		case "ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize":
			wanted[item] = true
		default:
			return nil, s3err.Argument("Invalid attribute name specified.", "x-amz-object-attributes", item)
		}
	}
	return wanted, nil
}

// attributeParts is the page of parts that x-amz-max-parts and x-amz-part-number-marker ask for.
func (x *exchange) attributeParts(o *object) (*s3xml.AttributeParts, error) {
	page := &s3xml.AttributeParts{Total: o.table.Len(), Max: 1000}
	for name, dst := range map[string]*int{"x-amz-max-parts": &page.Max, "x-amz-part-number-marker": &page.Marker} {
		v := x.head.Get(name)
		if v == "" {
			continue
		}
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return nil, s3err.Argument("Argument "+name+" must be an integer between 0 and 2147483647", name, v)
		}
		*dst = n
	}
	page.Max = min(page.Max, 1000)
	for i := range o.table.Len() {
		p := o.table.Part(i)
		if p.Number <= page.Marker {
			continue
		}
		if len(page.Parts) == page.Max {
			page.Truncated = true
			break
		}
		part := s3xml.AttributePart{Number: p.Number, Size: p.Size}
		if i < len(o.manifest.PartChecksums) {
			part.Checksums = partChecksum(o, i)
		}
		page.Parts = append(page.Parts, part)
		page.Next = p.Number
	}
	return page, nil
}
