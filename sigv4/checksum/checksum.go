// Package checksum is the table of S3's additional checksums and their computation. Values are bytes in S3's order (CRCs and
// XXH big-endian); S3 writes them in base64. Source: "Checking object integrity" of the S3 user guide.
package checksum

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/minio/crc64nvme"
	"github.com/zeebo/xxh3"
)

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
	SHA512
	MD5
	XXHASH64
	XXHASH3
	XXHASH128
)

// Last is the algorithm with the greatest number.
const Last = XXHASH128

// headerPrefix precedes the algorithm's name in headers and trailers.
const headerPrefix = "x-amz-checksum-"

// ErrMalformed is a checksum text that is not the base64 form of a value of its algorithm.
var ErrMalformed = errors.New("checksum: malformed value")

// castagnoli is made once: the standard library recognises it and uses the CPU's instruction.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// table holds what differs between the algorithms; index 0 is None.
var table = [...]struct {
	name   string
	header string
	size   int
	new    func() hash.Hash
}{
	None:      {},
	CRC32:     {"CRC32", headerPrefix + "crc32", 4, func() hash.Hash { return crc32.NewIEEE() }},
	CRC32C:    {"CRC32C", headerPrefix + "crc32c", 4, func() hash.Hash { return crc32.New(castagnoli) }},
	CRC64NVME: {"CRC64NVME", headerPrefix + "crc64nvme", 8, func() hash.Hash { return crc64nvme.New() }},
	SHA1:      {"SHA1", headerPrefix + "sha1", sha1.Size, sha1.New},
	SHA256:    {"SHA256", headerPrefix + "sha256", sha256.Size, sha256.New},
	SHA512:    {"SHA512", headerPrefix + "sha512", sha512.Size, sha512.New},
	MD5:       {"MD5", headerPrefix + "md5", md5.Size, md5.New},
	XXHASH64:  {"XXHASH64", headerPrefix + "xxhash64", 8, func() hash.Hash { return xxhash.New() }},
	XXHASH3:   {"XXHASH3", headerPrefix + "xxhash3", 8, func() hash.Hash { return xxh3.New() }},
	XXHASH128: {"XXHASH128", headerPrefix + "xxhash128", 16, func() hash.Hash { return xxh3.New128() }},
}

// All lists every algorithm but None.
func All() []Algorithm {
	return []Algorithm{CRC32, CRC32C, CRC64NVME, SHA1, SHA256, SHA512, MD5, XXHASH64, XXHASH3, XXHASH128}
}

// Valid reports whether a is an algorithm of this table, None excluded.
func (a Algorithm) Valid() bool { return a > None && int(a) < len(table) }

// Parse returns the algorithm of an S3 name such as "CRC32C" (any case), false when it is unknown.
func Parse(name string) (Algorithm, bool) {
	for _, a := range All() {
		if strings.EqualFold(name, table[a].name) {
			return a, true
		}
	}
	return None, false
}

// FromHeader returns the algorithm of "x-amz-checksum-crc32c" (any case); false for other headers and unknown algorithms.
func FromHeader(name string) (Algorithm, bool) {
	for _, a := range All() {
		if strings.EqualFold(name, table[a].header) {
			return a, true
		}
	}
	return None, false
}

// String returns S3's name ("CRC64NVME"), the empty string for None.
func (a Algorithm) String() string {
	if int(a) >= len(table) {
		return fmt.Sprintf("Algorithm(%d)", byte(a))
	}
	return table[a].name
}

// Header returns the header and trailer name in lower case ("x-amz-checksum-crc64nvme"). It panics without a valid algorithm.
func (a Algorithm) Header() string { return table[a.must()].header }

// Size returns the length of a value in bytes. It panics without a valid algorithm.
func (a Algorithm) Size() int { return table[a.must()].size }

// New returns a running hash whose Sum is the value in S3's byte order. It panics without a valid algorithm.
func (a Algorithm) New() hash.Hash { return table[a.must()].new() }

// IsCRC reports whether full-object values can be combined from part values.
func (a Algorithm) IsCRC() bool { return a == CRC32 || a == CRC32C || a == CRC64NVME }

// Decode parses the base64 form of a value and checks its length. The error is ErrMalformed; only the one canonical
// encoding of a value is accepted.
func (a Algorithm) Decode(text string) ([]byte, error) {
	size := a.Size()
	if len(text) != base64.StdEncoding.EncodedLen(size) || strings.ContainsAny(text, "\r\n") {
		return nil, fmt.Errorf("%w: %s takes %d bytes in base64", ErrMalformed, a, size)
	}
	value, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(value) != size {
		return nil, fmt.Errorf("%w: %s takes %d bytes in base64", ErrMalformed, a, size)
	}
	return value, nil
}

// Encode returns the base64 form of a value.
func Encode(value []byte) string { return base64.StdEncoding.EncodeToString(value) }

// Composite returns the checksum of concatenated part checksums, S3's composite value without "-N".
func (a Algorithm) Composite(parts [][]byte) []byte {
	h := a.New()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// must returns a; the absence of an algorithm is a mistake of the caller.
func (a Algorithm) must() Algorithm {
	if !a.Valid() {
		panic(fmt.Sprintf("checksum: no such algorithm: %d", byte(a)))
	}
	return a
}
