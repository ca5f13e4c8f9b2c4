package sigv4

import (
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
	// Want is computed in any case and returned by Checksum, None for none.
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
type Payload struct{ _ int }

// NewPayload wraps body. A missing length is *Error{Code: "MissingContentLength"}.
func NewPayload(body io.Reader, o PayloadOptions) (*Payload, error) { panic("stub") }

// Len is the number of plaintext bytes.
func (p *Payload) Len() int64 { panic("stub") }

// Read returns decoded bytes.
func (p *Payload) Read(b []byte) (int, error) { panic("stub") }

// Verify must be called after the last byte has been read: it consumes the last chunk, the trailer and the rest of the
// HTTP body up to its end, and compares hash, chunk signatures, checksums, Content-MD5 and lengths.
func (p *Payload) Verify() error { panic("stub") }

// Checksums returns the verified checksums: those of headers, and after Verify those of trailers.
func (p *Payload) Checksums() []Sum { panic("stub") }
