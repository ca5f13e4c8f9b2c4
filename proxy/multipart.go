package proxy

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"s3veil/crypto/envelope"
	"s3veil/crypto/size"
	"s3veil/proxy/etag"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3xml"
	"s3veil/proxy/sse"
	"s3veil/proxy/upstream"
	"s3veil/sigv4"
	"s3veil/sigv4/checksum"
)

// createMultipartUpload draws the object's keys, starts the upload with the object's envelope in its metadata, and returns
// a sealed upload id from which any replica can go on.
func (x *exchange) createMultipartUpload() error {
	if err := x.chooseEncryption(); err != nil {
		return err
	}
	if err := x.discardBody(); err != nil {
		return err
	}
	a := x.newAttributes()
	defer a.Zero()
	var err error
	if a.Declared, err = x.declaredChecksum(); err != nil {
		return err
	}
	fields, err := x.objectFields()
	if err != nil {
		return err
	}
	key, err := x.writeKey(&x.bucket)
	if err != nil {
		return err
	}
	defer key.Release()
	if x.customer != nil {
		secret := envelope.NewDEK()
		a.Manifest = &secret
	}
	if fields, err = x.bucket.hideMetadata(a, fields); err != nil {
		return err
	}
	h := x.newHeader(&x.bucket, envelope.Multipart, key)
	sealed, err := sealObject(h, key.Bound, x.bucket.location(x.req.Key), a, fields)
	if err != nil {
		return err
	}
	id, resp, err := x.startUpload(fields, sealed)
	if err != nil {
		x.abandonUpload(id)
		return err
	}
	h.Kind, a.SealedMeta = envelope.Token, nil // the object's envelope has it
	clientID, err := x.nameUpload(id, h, key, a, sealed)
	if err != nil {
		x.abandonUpload(id)
		return err
	}
	x.respond(200, resp)
	x.setMadeSSE(sse.Made)
	if alg, full := declaredNames(a.Declared); alg != "" {
		x.set("x-amz-checksum-algorithm", alg)
		x.set("x-amz-checksum-type", full)
	}
	return x.xml(200, s3xml.AppendInitiate(nil, s3xml.Names{Bucket: x.req.Bucket, Key: x.req.Key, UploadID: clientID}))
}

// startUpload creates the upload at the store and returns its id, with an error too where there is one to abort.
func (x *exchange) startUpload(fields []upstream.Field, sealed *envelope.Sealed) (string, *upstream.Response, error) {
	req := &upstream.Request{Op: "CreateMultipartUpload", Method: "POST", Key: x.req.Key, Query: []upstream.Param{{Name: "uploads", Bare: true}}}
	req.Header = append(append(req.Header, fields...), x.sideHeaders()...)
	req.Header = append(append(req.Header, x.storeSSEOf(&x.bucket)...), upstream.Field{Name: entryName, Value: sealed.Text()})
	announced, err := x.announceChecksum(&x.bucket)
	if err != nil {
		return "", nil, err
	}
	req.Header = append(req.Header, announced...)
	resp, err := x.call(req)
	if err != nil {
		return "", nil, err
	}
	doc, err := x.okDocument(resp)
	if err != nil {
		return "", nil, err
	}
	result, err := s3xml.ParseResult(doc, "InitiateMultipartUploadResult", x.req.Bucket)
	if err == nil && (result.UploadID == "" || len(result.UploadID) > maxUpstreamID) {
		err = fmt.Errorf("%w: upload id of %d bytes", upstream.ErrUnavailable, len(result.UploadID))
	}
	return result.UploadID, resp, err
}

// maxUpstreamID bounds the store's upload ids, so that the client's stay within FORMAT.md 3.3 in state-object mode at least.
const maxUpstreamID = 4096

// announceChecksum names the ciphertext checksum that parts will carry where the store takes trailers.
func (x *exchange) announceChecksum(b *bucket) ([]upstream.Field, error) {
	mode, err := b.store.data.Mode(x.context(), b.name)
	if err != nil || mode != upstream.Trailer {
		return nil, err
	}
	return []upstream.Field{{Name: "x-amz-checksum-algorithm", Value: upstream.ChecksumAlgorithm}}, nil
}

// declaredChecksum reads x-amz-checksum-algorithm and -type of a Create.
func (x *exchange) declaredChecksum() (*[2]byte, error) {
	name, kind := x.head.Get("x-amz-checksum-algorithm"), strings.ToUpper(x.head.Get("x-amz-checksum-type"))
	switch kind {
	case "", "FULL_OBJECT", "COMPOSITE":
	default:
		return nil, s3err.Request("Value for x-amz-checksum-type header is invalid.")
	}
	if name == "" {
		if kind != "" {
			return nil, s3err.Request("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
		}
		return nil, nil
	}
	a, ok := checksum.Parse(name)
	if !ok {
		return nil, errAlgorithm
	}
	full := a == checksum.CRC64NVME
	switch kind {
	case "":
	case "FULL_OBJECT":
		if !a.IsCRC() {
			return nil, s3err.Request(fmt.Sprintf("The FULL_OBJECT checksum type cannot be used with the %s checksum algorithm.", strings.ToLower(a.String())))
		}
		full = true
	case "COMPOSITE":
		if a == checksum.CRC64NVME {
			return nil, s3err.Request("The COMPOSITE checksum type cannot be used with the crc64nvme checksum algorithm.")
		}
		full = false
	}
	d := [2]byte{byte(a), 0}
	if full {
		d[1] = 1
	}
	return &d, nil
}

func declaredNames(d *[2]byte) (algorithm, kind string) {
	if d == nil {
		return "", ""
	}
	kind = "COMPOSITE"
	if d[1] == 1 {
		kind = "FULL_OBJECT"
	}
	return checksum.Algorithm(d[0]).String(), kind
}

// partNumber reads the partNumber of an upload request.
func (x *exchange) partNumber() (int, error) {
	v, _ := x.req.Get("partNumber")
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > size.MaxParts {
		return 0, s3err.Argument("Part number must be an integer between 1 and 10000, inclusive.", "partNumber", v)
	}
	return n, nil
}

// uploadPart seals one part as a stream of its own, under its own part number and with a fresh R.
func (x *exchange) uploadPart() error {
	if err := x.readPartEncryption(); err != nil {
		return err
	}
	n, err := x.partNumber()
	if err != nil {
		return err
	}
	u, err := x.openUpload(false)
	if err != nil {
		return err
	}
	defer u.attrs.Zero()
	want, err := x.matchesDeclared(u)
	if err != nil {
		return err
	}
	def := x.defaultSum(u)
	if def != checksum.None {
		want = def
	}
	payload, err := x.openPayloadWanting(want)
	if err != nil {
		return err
	}
	promised := len(x.checksumHeaders()) + len(x.trailerSums())
	resp, err := x.sendPart(u, n, payload, "UploadPart")
	if err != nil {
		return err
	}
	resp.Body.Close() // its connection may be what the note needs
	sums := payload.Checksums()
	said, crc := splitSums(sums, def, promised > 0)
	if err := x.saveNote(u, n, resp.Get("etag"), said, crc); err != nil {
		return err
	}
	x.respond(200, resp)
	x.set("etag", etag.ToClient(resp.Get("etag")))
	if said.Algorithm != checksum.None {
		x.set(said.Algorithm.Header(), base64.StdEncoding.EncodeToString(said.Value))
	}
	x.setUploadSSE(u, sse.Object)
	return nil
}

// splitSums tells the checksum of a part that its client is told, with no algorithm for none, from the one computed for the
// part's note alone: one was promised at most, and the computed one comes last (sigv4.Payload).
func splitSums(sums []sigv4.Sum, def checksum.Algorithm, promised bool) (said sigv4.Sum, crc []byte) {
	if len(sums) > 0 && (promised || def == checksum.None) {
		said = sums[0]
	}
	if def != checksum.None {
		crc = sums[len(sums)-1].Value
	}
	return said, crc
}

// trailerSums are the algorithms of the checksums announced for the trailer.
func (x *exchange) trailerSums() []checksum.Algorithm {
	var out []checksum.Algorithm
	for item := range strings.SplitSeq(x.head.Joined("x-amz-trailer"), ",") {
		if a, ok := checksum.FromHeader(strings.TrimSpace(item)); ok {
			out = append(out, a)
		}
	}
	return out
}

// matchesDeclared holds the part's checksum algorithm against the one declared at Create. Parts of a composite checksum must
// bring their own; for a full-object checksum the part's is computed here, want names it.
func (x *exchange) matchesDeclared(u *upload) (want checksum.Algorithm, err error) {
	declared, full := u.declared()
	if declared == checksum.None {
		return checksum.None, nil
	}
	got := checksum.None
	headers := x.checksumHeaders()
	if len(headers) > 1 {
		return checksum.None, nil // newPayload has words of its own for that
	}
	for _, f := range headers {
		if a, ok := checksum.FromHeader(f.Name); ok {
			got = a
		}
	}
	for _, a := range x.trailerSums() {
		got = a
	}
	switch {
	case got == checksum.None && full:
		return declared, nil
	case got == checksum.None:
		return checksum.None, checksumMismatch(declared, "null")
	case got != declared:
		return checksum.None, checksumMismatch(declared, got.String())
	}
	return checksum.None, nil
}

func checksumMismatch(want checksum.Algorithm, got string) error {
	return s3err.Request(fmt.Sprintf("Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s",
		strings.ToLower(want.String()), strings.ToLower(got)))
}

// sendPart seals a source as part n. Sending the same ciphertext of a part again changes nothing, so held parts are
// repeated where the connection fails.
func (x *exchange) sendPart(u *upload, n int, src source, op string) (*upstream.Response, error) {
	if src.Len() > maxPut {
		return nil, s3err.TooLarge(src.Len(), maxPut)
	}
	x.note.in = src.Len()
	u.charge(src.Len())
	req := &upstream.Request{Op: op, Method: "PUT", Key: x.req.Key, Header: x.sideHeaders(),
		Query: uploadQuery(u.id, upstream.Param{Name: "partNumber", Value: strconv.Itoa(n)})}
	if src.Len() <= x.s.limits.HeldBody {
		held, release, err := x.sealHeld(src, u.head.Suite, &u.attrs.DEK, n)
		if err != nil {
			return nil, err
		}
		defer release()
		req.Body, req.Idempotent = held, true
	} else {
		body, err := x.newSealedBody(src, u.head.Suite, &u.attrs.DEK, n)
		if err != nil {
			return nil, err
		}
		defer body.Close()
		req.Body = body
	}
	resp, err := x.call(req)
	if err != nil {
		return nil, err
	}
	if resp.Status != 200 {
		return nil, x.storeError(resp)
	}
	return resp, nil
}

// abortMultipartUpload drops the upload and its state object.
func (x *exchange) abortMultipartUpload() error {
	if err := x.discardBody(); err != nil {
		return err
	}
	id, state, err := x.upstreamUpload()
	if err != nil {
		return err
	}
	resp, err := x.abortUpload(id)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if state != "" {
		if err := x.deleteState(&x.bucket, state); err != nil {
			x.s.log.Warn("state object of an aborted upload stays", "request_id", x.id, "bucket", x.bucket.visible, "key", x.req.Key, "cause", err.Error())
		}
		x.dropNotes(state)
	}
	x.respond(204, resp)
	return nil
}
