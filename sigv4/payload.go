package sigv4

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"io"

	"s3veil/sigv4/checksum"
)

// PayloadOptions describe what an inbound body has to fulfil.
type PayloadOptions struct {
	Verified *Verified
	// ContentLength of the HTTP body; -1 when it is chunked.
	ContentLength int64
	// DecodedLength from x-amz-decoded-content-length; -1 when absent.
	DecodedLength int64
	// MD5 is the decoded Content-MD5, nil when absent.
	MD5 []byte
	// Sums are the checksums promised in request headers.
	Sums []Sum
	// Trailer is the list in x-amz-trailer, in lower case.
	Trailer []string
	// Want is computed in any case and returned by Checksums, None for none.
	Want checksum.Algorithm
}

// Sum is one checksum value.
type Sum struct {
	Algorithm checksum.Algorithm
	Value     []byte
}

// Payload reads the decoded plaintext of a request body and verifies everything the client promised about it.
// Read returns io.EOF only after exactly the announced number of decoded bytes; every deviation is a sticky *Error whose
// cause is neither io.EOF nor io.ErrUnexpectedEOF. Reads of large buffers reach the source unbuffered.
//
// Checksums in the query of a presigned URL are not promises about the body: one SDK signs the checksum of an empty one.
type Payload struct {
	src      decoder
	length   int64
	left     int64
	err      error
	verified bool

	wantHash  *[32]byte
	payload   hash.Hash // SHA-256 of the body, for PayloadHash
	wantMD5   []byte
	md5       hash.Hash
	running   []runningSum
	trailer   []string
	checksums []Sum
}

// runningSum is a checksum under way. A nil want is announced in the trailer, or wanted by the caller only.
type runningSum struct {
	algorithm checksum.Algorithm
	hash      hash.Hash
	want      []byte
	trailing  bool
}

// decoder is the layer below the digests: it delivers decoded bytes and, at the end, the trailer.
type decoder interface {
	io.Reader
	// finish reads the rest of the HTTP body and returns the trailer fields, nil where the mode has none.
	finish() ([]Field, error)
}

// NewPayload wraps body. A missing length is *Error{Code: "MissingContentLength"}.
func NewPayload(body io.Reader, o PayloadOptions) (*Payload, error) {
	mode := o.Verified.Payload
	p := &Payload{length: o.ContentLength, wantMD5: o.MD5, trailer: o.Trailer}
	if mode.Chunked() {
		p.length = o.DecodedLength
	} else if len(o.Trailer) > 0 {
		return nil, refuse("InvalidRequest", "x-amz-trailer without a trailing payload mode")
	}
	if p.length < 0 {
		return nil, refuse("MissingContentLength", "no length of the payload is announced")
	}
	if mode.Chunked() && o.ContentLength >= 0 && o.ContentLength < p.length {
		return nil, refuse("IncompleteBody", "content-length is shorter than the decoded length")
	}
	if (mode == PayloadSignedChunksTrailer || mode == PayloadUnsignedChunksTrailer) && len(o.Trailer) == 0 {
		return nil, refuse("MalformedTrailerError", "trailing payload mode without x-amz-trailer")
	}
	if mode == PayloadSignedChunks && len(o.Trailer) > 0 {
		return nil, refuse("InvalidRequest", "x-amz-trailer without a trailing payload mode")
	}
	p.left = p.length
	p.setDigests(o)
	if err := p.setTrailing(o); err != nil {
		return nil, err
	}
	if mode.Chunked() {
		p.src = newChunkedDecoder(body, mode, o)
	} else {
		p.src = &plainDecoder{src: body}
	}
	return p, nil
}

func (p *Payload) setDigests(o PayloadOptions) {
	if o.Verified.Payload == PayloadHash {
		p.wantHash, p.payload = &o.Verified.Hash, sha256.New()
	}
	if o.MD5 != nil {
		p.md5 = md5.New()
	}
	for _, s := range o.Sums {
		p.running = append(p.running, runningSum{algorithm: s.Algorithm, hash: s.Algorithm.New(), want: s.Value})
	}
	if o.Want != checksum.None {
		p.running = append(p.running, runningSum{algorithm: o.Want, hash: o.Want.New()})
	}
}

// setTrailing starts the checksums announced by x-amz-trailer. Other trailers are refused: nobody would act on them.
func (p *Payload) setTrailing(o PayloadOptions) error {
	for _, name := range o.Trailer {
		a, ok := checksum.FromHeader(name)
		if !ok {
			return refuse("InvalidRequest", "unsupported trailer "+name)
		}
		p.running = append(p.running, runningSum{algorithm: a, hash: a.New(), trailing: true})
	}
	return nil
}

// Len is the number of plaintext bytes.
func (p *Payload) Len() int64 { return p.length }

// Read returns decoded bytes.
func (p *Payload) Read(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	if p.left == 0 {
		return 0, io.EOF
	}
	if int64(len(b)) > p.left {
		b = b[:p.left]
	}
	n, err := p.src.Read(b)
	p.left -= int64(n)
	p.digest(b[:n])
	if err != nil && (p.left > 0 || !errors.Is(err, io.EOF)) {
		p.err = asPayloadError(err)
	}
	if n == 0 && p.err != nil {
		return 0, p.err
	}
	return n, nil
}

func (p *Payload) digest(b []byte) {
	if p.payload != nil {
		p.payload.Write(b)
	}
	if p.md5 != nil {
		p.md5.Write(b)
	}
	for i := range p.running {
		p.running[i].hash.Write(b)
	}
}

// asPayloadError keeps typed errors and turns every other end of the body into IncompleteBody.
func asPayloadError(err error) error {
	var typed *Error
	if errors.As(err, &typed) {
		return err
	}
	return refuse("IncompleteBody", fmt.Sprintf("body ended early: %v", err))
}

// Verify must be called after the last byte has been read: it consumes the last chunk, the trailer and the rest of the
// HTTP body up to its end, and compares hash, chunk signatures, checksums, Content-MD5 and lengths.
func (p *Payload) Verify() error {
	if p.err != nil {
		return p.err
	}
	if p.verified {
		return nil
	}
	if p.left > 0 {
		p.err = refuse("IncompleteBody", "payload was not read to its end")
		return p.err
	}
	fields, err := p.src.finish()
	if err != nil {
		p.err = asPayloadError(err)
		return p.err
	}
	if p.err = p.compare(fields); p.err == nil {
		p.verified = true
	}
	return p.err
}

// compare holds everything that was promised against what was read.
func (p *Payload) compare(trailer []Field) error {
	if p.payload != nil && subtle.ConstantTimeCompare(p.payload.Sum(nil), p.wantHash[:]) != 1 {
		return refuse("XAmzContentSHA256Mismatch", "payload differs from x-amz-content-sha256")
	}
	if p.md5 != nil && !bytes.Equal(p.md5.Sum(nil), p.wantMD5) {
		return refuse("BadDigest", "payload differs from Content-MD5")
	}
	if len(trailer) != len(p.trailer) {
		return refuse("MalformedTrailerError", fmt.Sprintf("%d trailers announced, %d sent", len(p.trailer), len(trailer)))
	}
	p.checksums = nil
	for i := range p.running {
		r := &p.running[i]
		have := r.hash.Sum(nil)
		want := r.want
		if r.trailing {
			text, ok := find(trailer, r.algorithm.Header())
			if !ok {
				return refuse("MalformedTrailerError", "announced trailer is missing: "+r.algorithm.Header())
			}
			var err error
			if want, err = r.algorithm.Decode(text); err != nil {
				return refuse("InvalidRequest", "value for "+r.algorithm.Header()+" trailing header is invalid")
			}
		}
		if want != nil && !bytes.Equal(have, want) {
			return refuse("BadDigest", "payload differs from its "+r.algorithm.String())
		}
		p.checksums = append(p.checksums, Sum{r.algorithm, have})
	}
	return nil
}

func find(fields []Field, name string) (string, bool) {
	for _, f := range fields {
		if f.Name == name {
			return f.Value, true
		}
	}
	return "", false
}

// Checksums returns the checksums promised in headers, and after Verify all verified ones, those of trailers included.
func (p *Payload) Checksums() []Sum {
	if p.verified {
		return p.checksums
	}
	var out []Sum
	for i := range p.running {
		if p.running[i].want != nil {
			out = append(out, Sum{p.running[i].algorithm, p.running[i].want})
		}
	}
	return out
}

// plainDecoder is a body that is its own payload.
type plainDecoder struct{ src io.Reader }

func (d *plainDecoder) Read(b []byte) (int, error) { return d.src.Read(b) }

// finish makes sure that nothing follows.
func (d *plainDecoder) finish() ([]Field, error) { return nil, expectEnd(d.src) }

// expectEnd reads one byte more and wants io.EOF.
func expectEnd(r io.Reader) error {
	var one [1]byte
	for range 100 {
		n, err := r.Read(one[:])
		switch {
		case n > 0:
			return refuse("IncompleteBody", "body is longer than announced")
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
	return refuse("IncompleteBody", "body makes no progress")
}

func refuse(code, reason string) *Error { return &Error{Code: code, Reason: reason} }
