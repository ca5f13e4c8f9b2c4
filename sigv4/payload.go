package sigv4

import (
	"crypto/md5"
	"errors"
	"io"

	"s3veil/sigv4/checksum"
)

// PayloadOptions describe what an inbound body has to fulfil.
type PayloadOptions struct {
	Verified *Verified
	// ContentLength of the HTTP body in bytes; -1 when it is chunked.
	ContentLength int64
	// DecodedLength from x-amz-decoded-content-length in bytes; -1 when absent.
	DecodedLength int64
	// MD5 is the decoded Content-MD5, nil when absent.
	MD5 []byte
	// Sums are the checksums promised in request headers. Those in the query of a presigned URL do not belong here: a
	// widespread SDK puts the CRC of an empty body there. Nor do those of CompleteMultipartUpload, which describe the object.
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
// cause is neither io.EOF nor io.ErrUnexpectedEOF (DATAPATH.md rule 3). Reads of large buffers reach the source unbuffered.
//
// Bytes are handed out before the chunk or the body they belong to has been verified: nothing may be committed before
// Verify has returned nil.
type Payload struct {
	src           io.Reader
	contentLength int64
	total         int64
	left          int64 // decoded bytes still to be handed out
	wire          int64 // bytes taken from src
	sums          sums
	chunks        *chunkReader // nil unless aws-chunked

	pending []byte // taken from src into small, not yet parsed
	small   []byte // smallRead bytes, once they are needed
	end     [1]byte

	err  error
	done bool // Verify has succeeded
}

// smallRead is how much is taken from the source at least where a body has framing.
const smallRead = 512

func (p *Payload) room() []byte {
	if p.small == nil {
		p.small = make([]byte, smallRead)
	}
	return p.small
}

// maxEmptyReads is how often a source may return neither bytes nor an error.
const maxEmptyReads = 100

// NewPayload wraps body, which holds exactly the HTTP body. Nothing is read yet. A missing length is
// *Error{Code: "MissingContentLength"}; promises that are malformed, contradict each other or cannot be kept in the
// payload mode are InvalidRequest or InvalidDigest.
func NewPayload(body io.Reader, o PayloadOptions) (*Payload, error) {
	return newPayload(body, o, minChunk)
}

// newPayload is NewPayload for chunks of at least so many bytes, but for the last.
func newPayload(body io.Reader, o PayloadOptions, least int64) (*Payload, error) {
	if o.Verified == nil {
		panic("sigv4: payload of an unverified request")
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	p := &Payload{src: body, contentLength: o.ContentLength}
	if o.Verified.Payload.Chunked() {
		p.total = o.DecodedLength
		p.chunks = newChunkReader(o.Verified, o.Trailer, p.total, least)
	} else {
		p.total = o.ContentLength
	}
	p.left = p.total
	p.sums.init(&o)
	return p, nil
}

// check refuses options that can never be fulfilled.
func (o *PayloadOptions) check() *Error {
	mode := o.Verified.Payload
	signed := mode == PayloadSignedChunks || mode == PayloadSignedChunksTrailer
	trailers := mode == PayloadSignedChunksTrailer || mode == PayloadUnsignedChunksTrailer
	switch {
	case mode.Chunked() && o.DecodedLength < 0:
		return fail(codeMissingLength, "x-amz-decoded-content-length is missing")
	case !mode.Chunked() && o.ContentLength < 0:
		return fail(codeMissingLength, "Content-Length is missing")
	case !mode.Chunked() && o.DecodedLength >= 0 && o.DecodedLength != o.ContentLength:
		return fail(codeInvalidRequest, "x-amz-decoded-content-length differs from Content-Length of a plain body")
	case signed && o.Verified.chunk == nil:
		return fail(codeAccessDenied, "signed chunks without credentials")
	case len(o.Trailer) > 0 && !trailers:
		return fail(codeInvalidRequest, "x-amz-trailer needs a payload mode with trailer")
	case len(o.Sums)+len(o.Trailer) > 1:
		return fail(codeInvalidRequest, "expecting a single x-amz-checksum- header, multiple checksum types are not allowed").
			say("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
	case o.MD5 != nil && len(o.MD5) != md5.Size:
		return fail(codeInvalidDigest, "the Content-MD5 is not valid")
	}
	for _, s := range o.Sums {
		if !s.Algorithm.Valid() || len(s.Value) != s.Algorithm.Size() {
			return fail(codeInvalidRequest, "value for x-amz-checksum header is invalid")
		}
	}
	for _, name := range o.Trailer {
		if _, ok := checksum.FromHeader(name); !ok {
			return fail(codeInvalidRequest, "the value specified in the x-amz-trailer header is not supported: %q", name).
				say("The value specified in the x-amz-trailer header is not supported")
		}
	}
	return nil
}

// Len is the number of plaintext bytes.
func (p *Payload) Len() int64 { return p.total }

// Read returns decoded bytes. It returns either bytes or an error.
func (p *Payload) Read(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	if p.left == 0 {
		return 0, io.EOF
	}
	if int64(len(b)) > p.left && p.chunks == nil {
		b = b[:p.left]
	}
	if len(b) == 0 {
		return 0, nil
	}
	for empty := 0; empty < maxEmptyReads; empty++ {
		wire, pending := p.wire, len(p.pending)
		n, err := p.readOnce(b)
		p.left -= int64(n)
		p.sums.write(b[:n])
		if err != nil {
			p.err = err
		}
		if n > 0 {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
		if p.wire != wire || len(p.pending) != pending {
			empty = -1 // framing only
		}
	}
	p.err = fail(codeIncompleteBody, "the source makes no progress")
	return 0, p.err
}

// readOnce takes at most one portion from the source. Decoding happens in place: framing only ever makes data shorter.
func (p *Payload) readOnce(b []byte) (int, error) {
	if p.chunks == nil {
		return p.take(b)
	}
	if len(p.pending) > 0 {
		n, used, err := p.chunks.feed(b, p.pending)
		p.pending = p.pending[used:]
		return n, asError(err)
	}
	raw := b
	if len(b) < smallRead {
		raw = p.room()
	}
	m, readErr := p.take(raw)
	n, used, err := p.chunks.feed(b, raw[:m])
	if len(b) < smallRead {
		p.pending = raw[used:m]
	}
	if err != nil {
		return n, err
	}
	return n, readErr
}

// take reads from the source once. The end of the source is an error here, and in any case one that no encryption engine
// mistakes for the end of the plaintext.
func (p *Payload) take(b []byte) (int, error) {
	n, err := p.src.Read(b)
	p.wire += int64(n)
	if err == nil || (p.chunks == nil && int64(n) == p.left && plainEnd(err)) {
		return n, nil
	}
	if p.chunks != nil && n > 0 && plainEnd(err) {
		return n, nil // it may be complete; the next read says so
	}
	if p.chunks != nil && plainEnd(err) {
		return n, errFraming("the body ended in the middle of its chunks")
	}
	return n, sourceError(err)
}

// sourceError is the error for a source that failed or ended early.
func sourceError(err error) *Error {
	var own *Error
	var slow interface{ Timeout() bool }
	switch {
	case errors.As(err, &own):
		return own
	case plainEnd(err):
		return fail(codeIncompleteBody, "the body ended before its announced length")
	case errors.As(err, &slow) && slow.Timeout():
		return &Error{Code: codeRequestTimeout, Reason: "the body stalled", Err: err}
	}
	return &Error{Code: codeIncompleteBody, Reason: "the body could not be read", Err: err}
}

// asError avoids an error interface that holds a nil pointer.
func asError(err *Error) error {
	if err == nil {
		return nil
	}
	return err
}

// Verify must be called after the last byte has been read: it consumes the last chunk, the trailer and the rest of the
// HTTP body up to its end, and compares hash, chunk signatures, checksums, Content-MD5 and lengths. It may be called again
// and then answers the same.
//
// The codes: XAmzContentSHA256Mismatch, BadDigest (Content-MD5, checksums), SignatureDoesNotMatch (chunks, trailer),
// IncompleteBody (lengths, framing), InvalidChunkSizeError, MalformedTrailerError, InvalidRequest (a trailer's value),
// RequestTimeout.
func (p *Payload) Verify() error {
	if p.err != nil || p.done {
		return p.err
	}
	if err := p.verify(); err != nil {
		p.err = err
		return err
	}
	p.done = true
	return nil
}

func (p *Payload) verify() *Error {
	if p.left > 0 {
		return fail(codeIncompleteBody, "%d bytes have not been read", p.left)
	}
	if err := p.drain(); err != nil {
		return err
	}
	if p.contentLength >= 0 && p.wire != p.contentLength {
		return fail(codeIncompleteBody, "the body has %d bytes, Content-Length says %d", p.wire, p.contentLength)
	}
	if p.chunks != nil {
		if !p.chunks.finished() {
			return errFraming("the body ended before its last chunk and trailer")
		}
		p.sums.trailers = p.chunks.trailer.sums
	}
	return p.sums.verify()
}

// drain reads the source to its end, feeding what is left of the framing.
func (p *Payload) drain() *Error {
	raw := p.pending
	p.pending = nil
	for empty := 0; empty < maxEmptyReads; empty++ {
		if len(raw) > 0 {
			empty = 0
			if p.chunks == nil {
				return fail(codeIncompleteBody, "the body is longer than its Content-Length")
			}
			if _, _, err := p.chunks.feed(nil, raw); err != nil {
				return err
			}
		}
		if p.chunks == nil && p.contentLength >= 0 {
			raw = p.end[:] // a plain body has nothing left
		} else {
			raw = p.room()
		}
		n, err := p.src.Read(raw)
		p.wire += int64(n)
		raw = raw[:n]
		switch {
		case err == nil || n > 0 && plainEnd(err): // the end is reported again
		case plainEnd(err):
			return nil
		default:
			return sourceError(err)
		}
	}
	return fail(codeIncompleteBody, "the source makes no progress")
}

// Checksums returns the verified checksums: those of headers, and after Verify those of trailers too, and the one wanted.
func (p *Payload) Checksums() []Sum {
	if !p.done {
		return p.sums.promised
	}
	out := append(p.sums.promised[:len(p.sums.promised):len(p.sums.promised)], p.sums.trailers...)
	for _, s := range out {
		if s.Algorithm == p.sums.want {
			return out
		}
	}
	if p.sums.want != checksum.None {
		out = append(out, Sum{p.sums.want, p.sums.value(p.sums.want)})
	}
	return out
}
