// Package stream seals and opens DARE 2.0 streams whose key is derived from the random value in their own headers
// (FORMAT.md 7). It is the only importer of minio/sio. A batched framing of its own carries large streams; sio carries
// small ones and tools, and is its oracle in tests.
package stream

import (
	"errors"
	"io"

	"s3veil/crypto/kms"
	"s3veil/crypto/size"
)

// Suite is the cipher suite of an object (FORMAT.md 3.2).
type Suite byte

// The suites that can be written and read.
const (
	AES256GCM        Suite = 0x01
	ChaCha20Poly1305 Suite = 0x02
)

// ErrStream is the class of every violation of FORMAT.md 7: headers other than expected, authentication failure, early
// end, trailing data. Concrete errors wrap it.
var ErrStream = errors.New("stream: invalid ciphertext")

// R is the random value of a stream, top bit of the first byte clear.
type R [12]byte

// Sealer seals one stream batch by batch. It is not safe for concurrent use.
type Sealer struct{ _ int }

// NewSealer draws R and derives the stream key for a stream of plain bytes. part is 0 for a single PUT.
func NewSealer(suite Suite, dek *kms.Key32, part int, plain int64) (*Sealer, error) { panic("stub") }

// R returns the stream's random value.
func (s *Sealer) R() R { panic("stub") }

// Seal appends the packages of plain to dst and returns it. plain is a multiple of 65,536 bytes unless it reaches the
// declared end of the stream; the final marker is set on the package that does. Sealing past the declared length or a
// short batch before the end panics: both are misuse. dst and plain must not overlap.
func (s *Sealer) Seal(dst, plain []byte) []byte { panic("stub") }

// Done reports whether the declared length has been sealed.
func (s *Sealer) Done() bool { panic("stub") }

// Opener opens the packages of one segment of a stream in order. Errors are sticky. Not safe for concurrent use.
type Opener struct{ _ int }

// NewOpener opens the packages seg.First … seg.First+seg.Count-1 of a stream of seg.Plain bytes. The key is derived
// from the first header it is given.
func NewOpener(suite Suite, dek *kms.Key32, seg size.Segment) *Opener { panic("stub") }

// Open authenticates whole packages in src and appends their plaintext to dst (Skip and Take are not applied here).
// src is a multiple of 65,568 bytes unless it holds the stream's last package. dst and src must not overlap.
func (o *Opener) Open(dst, src []byte) ([]byte, error) { panic("stub") }

// R returns the random value of the stream once the first package has been opened.
func (o *Opener) R() (R, bool) { panic("stub") }

// Done reports whether every package of the segment has been opened.
func (o *Opener) Done() bool { panic("stub") }

// EncryptReader returns the stored form of a stream of exactly plain bytes read from src, through sio, for tools and
// small objects. An early or late end of src is an error that is neither io.EOF nor io.ErrUnexpectedEOF.
func EncryptReader(src io.Reader, suite Suite, dek *kms.Key32, part int, plain int64) (io.Reader, error) {
	panic("stub")
}

// DecryptReader returns the plaintext of the segments that lie one after the other in src, Skip and Take applied.
// src must end after the last package when the last segment reaches the end of its stream and last is true.
func DecryptReader(src io.Reader, suite Suite, dek *kms.Key32, segments []size.Segment, last bool) io.Reader {
	panic("stub")
}
