// Package checksum is the table of S3's additional checksums and their computation.
package checksum

import "hash"

// Algorithm is the algorithm byte of FORMAT.md 5.4; it is S3's list in a fixed order.
type Algorithm byte

// The algorithms. None means no checksum.
const (
	None Algorithm = iota
	CRC32
	CRC32C
	CRC64NVME
	SHA1
	SHA256
)

// Parse returns the algorithm of an S3 name such as "CRC32C" (any case), false when it is unknown.
func Parse(name string) (Algorithm, bool) { panic("stub") }

// FromHeader returns the algorithm of "x-amz-checksum-crc32c"; false for other headers and unknown algorithms.
func FromHeader(name string) (Algorithm, bool) { panic("stub") }

// String returns S3's name ("CRC64NVME"); Header returns the header ("x-amz-checksum-crc64nvme"); Size the bytes of a value.
func (a Algorithm) String() string { panic("stub") }

// Header returns the header and trailer name in lower case.
func (a Algorithm) Header() string { panic("stub") }

// Size returns the length of a value in bytes.
func (a Algorithm) Size() int { panic("stub") }

// New returns a running hash whose Sum is the value in S3's byte order.
func (a Algorithm) New() hash.Hash { panic("stub") }

// Decode parses the base64 form of a value and checks its length.
func (a Algorithm) Decode(text string) ([]byte, error) { panic("stub") }

// Composite returns the checksum of concatenated part checksums, S3's composite value without "-N".
func (a Algorithm) Composite(parts [][]byte) []byte { panic("stub") }

// CombineCRC returns the full-object value of a CRC algorithm from part values and lengths.
func (a Algorithm) CombineCRC(parts [][]byte, sizes []int64) ([]byte, error) { panic("stub") }
