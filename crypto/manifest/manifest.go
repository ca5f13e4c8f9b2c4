// Package manifest is the sealed part table of a multipart object (FORMAT.md 9.4). Bytes only.
package manifest

import (
	"errors"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
	"s3veil/crypto/size"
	"s3veil/crypto/stream"
)

// MaxSize bounds a stored manifest; readers check it before they read.
const MaxSize = 1 << 20

// ErrManifest is the class of every manifest that does not parse, open or hold together; ErrMalformed and
// ErrUnsupported are the narrower classes of FORMAT.md 12.
var (
	ErrManifest    = errors.New("manifest: invalid")
	ErrMalformed   = errors.New("manifest: malformed")
	ErrUnsupported = errors.New("manifest: unsupported")
)

// Manifest is the content. Optional fields are nil.
type Manifest struct {
	Table         *size.Table
	PartMD5       [][16]byte          // TLV 10
	PartR         []stream.R          // TLV 11
	Checksum      *envelope.Checksum  // TLV 12
	Composite     bool                // type byte of TLV 12
	PartChecksums []envelope.Checksum // TLV 13, all of one algorithm
	Repaired      int64               // TLV 14, Unix seconds; 0 = absent
	Provisional   bool                // TLV 15
	Extra         []envelope.TLV      // 80–FF
}

// Seal draws a salt and returns the stored bytes. The binding level decides which parts of loc are bound.
func Seal(m *Manifest, dek *kms.Key32, id envelope.ObjectID, binding envelope.Binding, loc envelope.Location) ([]byte, error) {
	panic("stub")
}

// Open parses, authenticates and checks stored bytes.
func Open(b []byte, dek *kms.Key32, id envelope.ObjectID, binding envelope.Binding, loc envelope.Location) (*Manifest, error) {
	panic("stub")
}

// TableDigest returns the first 16 bytes of SHA-256(M without TLVs), the suffix of a manifest's second name (FORMAT.md 9.3).
func TableDigest(t *size.Table) [16]byte { panic("stub") }
