package proxy

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"s3veil/crypto/envelope"
	"s3veil/crypto/manifest"
	"s3veil/crypto/size"
	"s3veil/crypto/stream"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3xml"
	"s3veil/proxy/upstream"
	"s3veil/sigv4/checksum"
)

// checkSums checks the object's checksum against the part checksums in the client's list and keeps both in the manifest.
// The parts' own values were verified when they were uploaded and returned to the client; without state they cannot be
// compared with those in the list.
func (c *completion) checkSums() error {
	alg, values, err := partSums(c.client)
	if err != nil {
		return err
	}
	declared, full := c.u.declared()
	if alg != checksum.None && declared != checksum.None && alg != declared {
		return s3err.Request(fmt.Sprintf("The upload was created using the %s checksum mode. The complete request must use the same checksum mode.", declared))
	}
	if alg == checksum.None && declared != checksum.None && !full {
		return s3err.Request(fmt.Sprintf("The upload was created using a %s checksum. The complete request must include the checksum for each part. It was missing for part %d in the request.",
			strings.ToLower(declared.String()), c.client[0].Number))
	}
	promisedAlg, promised, composite, err := c.x.promisedObjectSum(len(c.client))
	if err != nil {
		return err
	}
	if alg == checksum.None {
		// A value over parts without values cannot be checked without reading them back, and keeping it unchecked would let a
		// later reader believe it.
		return nil
	}
	value, isComposite, err := c.objectSum(alg, values, full)
	if err != nil || value == nil {
		return err
	}
	if promisedAlg == alg && composite == isComposite && !bytes.Equal(promised, value) {
		return s3err.BadDigest.With(fmt.Errorf("%s of the object differs from the one promised", alg))
	}
	c.m.Checksum, c.m.Composite = &envelope.Checksum{Algorithm: byte(alg), Value: value}, isComposite
	for _, v := range values {
		c.m.PartChecksums = append(c.m.PartChecksums, envelope.Checksum{Algorithm: byte(alg), Value: v})
	}
	return nil
}

// partSums collects the checksums in the client's list: all parts or none, one algorithm.
func partSums(list []s3xml.CompletedPart) (checksum.Algorithm, [][]byte, error) {
	alg := checksum.None
	var values [][]byte
	for i, p := range list {
		if len(p.Checksums) == 0 && alg == checksum.None {
			continue
		}
		if len(p.Checksums) != 1 || (i > 0 && alg == checksum.None) {
			return 0, nil, s3err.InvalidPart.With(fmt.Errorf("part %d: checksums are not of one kind", p.Number))
		}
		a, ok := checksum.Parse(strings.TrimPrefix(p.Checksums[0].Name, "Checksum"))
		if !ok || (alg != checksum.None && a != alg) {
			return 0, nil, s3err.InvalidPart.With(fmt.Errorf("part %d: checksums are not of one kind", p.Number))
		}
		v, err := a.Decode(p.Checksums[0].Value)
		if err != nil {
			return 0, nil, s3err.InvalidPart.With(fmt.Errorf("part %d: %w", p.Number, err))
		}
		alg, values = a, append(values, v)
	}
	return alg, values, nil
}

// objectSum computes the object's checksum from its parts': combined for a full-object CRC, composite otherwise.
func (c *completion) objectSum(alg checksum.Algorithm, values [][]byte, full bool) (value []byte, composite bool, err error) {
	if !full && alg != checksum.CRC64NVME {
		return alg.Composite(values), true, nil
	}
	sizes := make([]int64, c.m.Table.Len())
	for i := range sizes {
		sizes[i] = c.m.Table.Part(i).Size
	}
	value, err = alg.CombineCRC(values, sizes)
	return value, false, err
}

// promisedObjectSum reads the x-amz-checksum-* header of a Complete; "-N" marks a composite value.
func (x *exchange) promisedObjectSum(parts int) (alg checksum.Algorithm, value []byte, composite bool, err error) {
	for _, f := range x.head.fields {
		a, ok := checksum.FromHeader(f.Name)
		if !ok {
			continue
		}
		if alg != checksum.None {
			return 0, nil, false, s3err.Request("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		text, suffix, dashed := strings.Cut(f.Value, "-")
		if dashed && suffix != fmt.Sprint(parts) {
			return 0, nil, false, s3err.Request(fmt.Sprintf("Value for %s header is invalid.", f.Name))
		}
		if value, err = a.Decode(text); err != nil {
			return 0, nil, false, s3err.Request(fmt.Sprintf("Value for %s header is invalid.", f.Name)).With(err)
		}
		alg, composite = a, dashed
	}
	return alg, value, composite, nil
}

// checksumElement is the kept checksum of an object as XML element and type; nil where none is kept.
func (o *object) checksumElement() ([]s3xml.ChecksumText, string) {
	name, value, kind, ok := o.checksum()
	if !ok {
		return nil, ""
	}
	a, _ := checksum.FromHeader(name)
	return []s3xml.ChecksumText{{Name: "Checksum" + a.String(), Value: value}}, kind
}

// recordNonces reads the R of every part from the completed object and writes the final manifest with them (TLV 11).
func (c *completion) recordNonces(storeETag string) error {
	final := *c.m
	final.Provisional = false
	at := int64(0)
	for i := range final.Table.Len() {
		p := final.Table.Part(i)
		r, err := c.x.readNonce(at, p, storeETag)
		if err != nil {
			return err
		}
		final.PartR = append(final.PartR, r)
		at += size.Enc(p.Size)
	}
	raw, err := manifest.Seal(&final, &c.u.attrs.DEK, c.u.attrs.ObjectID, c.u.head.Binding, c.x.bucket.location(c.x.req.Key))
	if err != nil {
		return err
	}
	if _, err := c.x.writeReserved(&c.x.bucket, manifest.Name(c.u.attrs.ObjectID), raw, manifest.EncodeHint(c.x.bucket.bound, c.x.req.Key), false); err != nil {
		return err
	}
	c.m = &final
	return nil
}

// readNonce reads the header of the first package of a part. An empty part has none.
func (x *exchange) readNonce(at int64, p size.Part, storeETag string) (r stream.R, err error) {
	if p.Size == 0 {
		return r, nil
	}
	resp, err := x.call(&upstream.Request{Op: "GetObject", Method: "GET", Key: x.req.Key, Idempotent: true, Header: []upstream.Field{
		{Name: "range", Value: formatRange(at, at+15)}, {Name: "if-match", Value: storeETag}}})
	if err != nil {
		return r, err
	}
	if resp.Status != 206 || resp.ContentLength != 16 {
		return r, x.storeError(resp)
	}
	defer resp.Body.Close()
	var h [16]byte
	if _, err := io.ReadFull(resp.Body, h[:]); err != nil {
		return r, fmt.Errorf("%w: %w", upstream.ErrUnavailable, err)
	}
	copy(r[:], h[4:])
	r[0] &= 0x7f
	return r, nil
}

// partChecksum is the kept checksum of the i-th listed part as XML element.
func partChecksum(o *object, i int) []s3xml.ChecksumText {
	c := o.manifest.PartChecksums[i]
	return []s3xml.ChecksumText{{Name: "Checksum" + checksum.Algorithm(c.Algorithm).String(), Value: base64.StdEncoding.EncodeToString(c.Value)}}
}
