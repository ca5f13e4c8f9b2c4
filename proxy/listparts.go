package proxy

import (
	"s3veil/proxy/s3xml"
	"s3veil/proxy/upstream"
)

// listParts shows the parts of an upload with plaintext sizes.
func (x *exchange) listParts() error {
	if err := x.discardBody(); err != nil {
		return err
	}
	if err := x.readCustomerKey(); err != nil {
		return err
	}
	id, _, err := x.upstreamUpload()
	if err != nil {
		return err
	}
	resp, err := x.call(&upstream.Request{Op: "ListParts", Method: "GET", Key: x.req.Key, Header: x.sideHeaders(),
		Query: uploadQuery(id, x.listQuery("max-parts", "part-number-marker")...), Idempotent: true})
	if err != nil {
		return err
	}
	doc, err := x.okDocument(resp)
	if err != nil {
		return err
	}
	page, err := s3xml.ParseParts(doc)
	if err != nil {
		return err
	}
	x.documents.keep()
	clientID, _ := x.req.Get("uploadId")
	alg, kind, err := x.describeParts(page)
	if err != nil {
		return err
	}
	x.respond(200, resp)
	return x.xml(200, page.Append(nil, s3xml.Names{Bucket: x.req.Bucket, Key: x.req.Key, UploadID: clientID}, alg, kind))
}

// undeclared is what S3 writes in place of an algorithm and a type that were not declared. Stores that know neither element have
// neither; where one names what s3veil has announced for the ciphertext, that is none of the client's.
const undeclared = "null"

// describeParts finds the checksum declared at Create and those of the parts, where the token opens: a listing must not fail
// because the KMS is away.
func (x *exchange) describeParts(page *s3xml.PartList) (algorithm, kind string, err error) {
	u, err := x.openUpload(true)
	if err != nil {
		return "", "", nil
	}
	defer u.attrs.Zero()
	notes, err := x.readNotes(u, page.Parts)
	if err != nil {
		return "", "", err
	}
	notes.show(page.Parts)
	algorithm, kind = declaredNames(u.attrs.Declared)
	if algorithm == "" && x.keepsNotes(u) && page.NamesChecksum {
		return undeclared, undeclared, nil
	}
	return algorithm, kind, nil
}

// listQuery returns the named parameters of the request as it sent them.
func (x *exchange) listQuery(names ...string) []upstream.Param {
	var out []upstream.Param
	for _, name := range names {
		if v, ok := x.req.Get(name); ok {
			out = append(out, upstream.Param{Name: name, Value: v})
		}
	}
	return out
}
