package proxy

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"s3veil/crypto/envelope"
	"s3veil/crypto/manifest"
	"s3veil/crypto/size"
	"s3veil/crypto/stream"
	"s3veil/proxy/byterange"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3xml"
	"s3veil/proxy/upstream"
	"s3veil/sigv4/checksum"
)

// promise is what the head of a Complete says about the object.
type promise struct {
	size      int64              // plaintext bytes, -1 for nothing
	algorithm checksum.Algorithm // of value
	value     []byte
	composite bool   // value came with the number of parts
	kind      string // x-amz-checksum-type, empty for none
}

// promiseOf reads the headers of a Complete of so many parts.
func (x *exchange) promiseOf(parts int) (promise, error) {
	p := promise{size: -1, kind: strings.ToUpper(x.head.Get("x-amz-checksum-type"))}
	if p.kind != "" && p.kind != "FULL_OBJECT" && p.kind != "COMPOSITE" {
		return p, errSumHeader("x-amz-checksum-type")
	}
	if v := x.head.Get("x-amz-mp-object-size"); v != "" {
		var err error
		p.size, err = strconv.ParseInt(v, 10, 64)
		switch {
		case err != nil:
			return p, s3err.Request(fmt.Sprintf("Value for x-amz-mp-object-size header is invalid: '%s'", v))
		case p.size < 0:
			return p, s3err.Request(fmt.Sprintf("Value for x-amz-mp-object-size header is less than zero: '%s'", v))
		}
	}
	return p, x.promiseSum(&p, parts)
}

// promiseSum reads the x-amz-checksum-* header of a Complete; "-N" marks a composite value.
func (x *exchange) promiseSum(p *promise, parts int) error {
	headers := x.checksumHeaders()
	if len(headers) > 1 {
		return s3err.Request("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
	}
	for _, f := range headers {
		a, ok := checksum.FromHeader(f.Name)
		if !ok {
			return s3err.Request("The algorithm type you specified in x-amz-checksum- header is invalid.")
		}
		text, suffix, dashed := strings.Cut(f.Value, "-")
		if dashed && suffix != strconv.Itoa(parts) {
			return errSumHeader(f.Name)
		}
		value, err := a.Decode(text)
		if err != nil {
			return errSumHeader(f.Name).With(err)
		}
		p.algorithm, p.value, p.composite = a, value, dashed
	}
	return nil
}

func errSumHeader(name string) s3err.Error {
	return s3err.Request("Value for " + name + " header is invalid.")
}

// checkSums checks the object's checksum against the part checksums in the client's list and keeps both in the manifest.
// The parts' own values were verified when they were uploaded and returned to the client; without notes of them they cannot be
// compared with those in the list.
func (c *completion) checkSums() error {
	declared, full := c.u.declared()
	if _, kind := declaredNames(c.u.attrs.Declared); kind != "" && c.said.kind != "" && kind != c.said.kind {
		return s3err.Request(fmt.Sprintf("The upload was created using the %s checksum mode. The complete request must use the same checksum mode.", kind))
	}
	list, err := c.withNotes(declared, full)
	if err != nil {
		return err
	}
	alg, values, err := partSums(list, declared, full)
	if err != nil {
		return err
	}
	if crcs := c.defaultSums(); crcs != nil {
		return c.keepDefault(crcs)
	}
	if alg == checksum.None {
		// A value over parts without values cannot be checked without reading them back, and keeping it unchecked would let a
		// later reader believe it.
		return nil
	}
	if declared == checksum.None && c.said.algorithm == alg && !c.said.composite && alg.IsCRC() {
		full = true // what the client computed itself
	}
	value, isComposite, err := c.objectSum(alg, values, full)
	if err != nil || value == nil {
		return err
	}
	if c.said.algorithm == alg && (declared != checksum.None || c.said.composite == isComposite) && !bytes.Equal(c.said.value, value) {
		return s3err.BadDigest.Say(fmt.Sprintf("The %s you specified did not match the calculated checksum.", alg))
	}
	c.m.Checksum, c.m.Composite = &envelope.Checksum{Algorithm: byte(alg), Value: value}, isComposite
	for _, v := range values {
		c.m.PartChecksums = append(c.m.PartChecksums, envelope.Checksum{Algorithm: byte(alg), Value: v})
	}
	return nil
}

// partSums collects the checksums in the client's list: all parts or none, one algorithm, and that is the declared one. A
// composite checksum cannot do without them.
func partSums(list []s3xml.CompletedPart, declared checksum.Algorithm, full bool) (checksum.Algorithm, [][]byte, error) {
	alg := declared
	var values [][]byte
	for _, p := range list {
		if len(p.Checksums) == 0 {
			if declared != checksum.None && !full {
				return 0, nil, s3err.Request(fmt.Sprintf("The upload was created using a %s checksum. The complete request must include the checksum for each part. It was missing for part %d in the request.",
					strings.ToLower(declared.String()), p.Number))
			}
			continue
		}
		a, v, err := partSum(p)
		if err != nil {
			return 0, nil, err
		}
		if alg == checksum.None {
			alg = a
		}
		if a != alg {
			return 0, nil, s3err.BadDigest.Say(fmt.Sprintf("The %s you specified for part %d did not match what we received.", strings.ToLower(a.String()), p.Number))
		}
		values = append(values, v)
	}
	switch {
	case len(values) == 0:
		return checksum.None, nil, nil
	case len(values) < len(list):
		return 0, nil, s3err.InvalidPart.With(errors.New("some parts have a checksum, others have none"))
	}
	return alg, values, nil
}

// partSum is the one checksum of a listed part.
func partSum(p s3xml.CompletedPart) (checksum.Algorithm, []byte, error) {
	said := p.Checksums[0].Value
	if len(p.Checksums) > 1 {
		said = ""
		for _, c := range p.Checksums {
			said += strings.TrimPrefix(c.Name, "Checksum") + ":" + c.Value + ";"
		}
	} else if a, ok := checksum.Parse(strings.TrimPrefix(p.Checksums[0].Name, "Checksum")); ok {
		if v, err := a.Decode(said); err == nil {
			return a, v, nil
		}
	}
	return 0, nil, s3err.Argument("Invalid Base64 or multiple checksums present in request", "Checksum", said)
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
	raw, err := manifest.Seal(&final, c.u.attrs.ManifestKey(), c.u.attrs.ObjectID, c.u.head.Binding, c.x.bucket.location(c.x.req.Key))
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
		{Name: "range", Value: byterange.Format(at, at+15)}, {Name: "if-match", Value: storeETag}}})
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
