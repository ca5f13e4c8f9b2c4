// Package manifest is the sealed part table of a multipart object (FORMAT.md 9.4). Bytes only: no HTTP, no logging, no
// clock.
//
// The manifest is what makes a multipart object complete and ordered (FORMAT.md 2, P6). It is bound to the DEK, the
// object id and, by the binding level, to the object's name. Open accepts exactly one encoding of each part table.
package manifest

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
	"s3veil/crypto/size"
	"s3veil/crypto/stream"
)

// MaxSize bounds a stored manifest; readers check it before they read.
const MaxSize = 1 << 20

// ErrManifest is the class of every manifest that does not parse, open or hold together; ErrMalformed and
// ErrUnsupported are the narrower classes of FORMAT.md 12. An error that wraps one of these wraps ErrManifest too.
var (
	ErrManifest    = errors.New("manifest: invalid")
	ErrMalformed   = fmt.Errorf("%w: malformed", ErrManifest)
	ErrUnsupported = fmt.Errorf("%w: unsupported", ErrManifest)
)

// Manifest is the content. Optional fields are nil.
type Manifest struct {
	Table         *size.Table
	PartMD5       [][16]byte          // TLV 10
	PartR         []stream.R          // TLV 11, zero for an empty part
	Checksum      *envelope.Checksum  // TLV 12
	Composite     bool                // type byte of TLV 12
	PartChecksums []envelope.Checksum // TLV 13, all of one algorithm
	Repaired      int64               // TLV 14, Unix seconds; 0 = absent
	Provisional   bool                // TLV 15
	Extra         []envelope.TLV      // 80–FF
}

// SetOrigin keeps of which upload and part list the manifest is (TLV 80), nil for none. FORMAT.md 9.9 says what it is for.
func (m *Manifest) SetOrigin(o *Origin) {
	rest := make([]envelope.TLV, 0, len(m.Extra)+1)
	if o != nil {
		rest = append(rest, envelope.TLV{Type: typeOrigin, Value: append(o.Upload[:len(o.Upload):len(o.Upload)], o.List[:]...)})
	}
	for _, t := range m.Extra {
		if t.Type != typeOrigin {
			rest = append(rest, t)
		}
	}
	m.Extra = rest
}

// Origin is TLV 80, nil where it is absent or of another length.
func (m *Manifest) Origin() *Origin {
	for _, t := range m.Extra {
		if t.Type == typeOrigin && len(t.Value) == 64 {
			return &Origin{Upload: [32]byte(t.Value), List: [32]byte(t.Value[32:])}
		}
	}
	return nil
}

// Origin names the upload and the part list that an object was completed with.
type Origin struct {
	Upload [32]byte // SHA-256 of the upstream UploadId
	List   [32]byte // ListDigest
}

// ListDigest is SHA-256 over BE16(number) ‖ LP(upstream ETag without quotes) of each part. number and etag have one length.
func ListDigest(numbers []int, etags []string) (digest [32]byte) {
	h := sha256.New()
	for i, n := range numbers {
		b := binary.BigEndian.AppendUint16(nil, uint16(n))
		b = binary.BigEndian.AppendUint32(b, uint32(len(etags[i])))
		h.Write(append(b, etags[i]...))
	}
	h.Sum(digest[:0])
	return digest
}

// Seal draws a salt and returns the stored bytes. The binding level decides which parts of loc are bound. Contents that
// a reader would refuse are an error of the reader's class.
func Seal(m *Manifest, dek *kms.Key32, id envelope.ObjectID, binding envelope.Binding, loc envelope.Location) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	plain := m.encode()
	if headLen+len(plain)+tagLen > MaxSize {
		return nil, fmt.Errorf("%w: above 1 MiB", ErrMalformed)
	}
	b := make([]byte, headLen, headLen+len(plain)+tagLen)
	copy(b, magic)
	b[4] = version
	draw(b[headLen-saltLen:])
	return aead(dek, b).Seal(b, zeroNonce[:], plain, additional(b, id, loc.Bound(binding))), nil
}

// Open parses, authenticates and checks stored bytes. Whether the table fits the stored object is the caller's to
// compare (FORMAT.md 9.5), and so is what a provisional manifest counts for.
func Open(b []byte, dek *kms.Key32, id envelope.ObjectID, binding envelope.Binding, loc envelope.Location) (*Manifest, error) {
	switch {
	case len(b) < minSize || len(b) > MaxSize:
		return nil, fmt.Errorf("%w: %d bytes", ErrMalformed, len(b))
	case string(b[:4]) != magic:
		return nil, fmt.Errorf("%w: no magic", ErrManifest)
	case b[4] != version:
		return nil, fmt.Errorf("%w: version %#02x", ErrUnsupported, b[4])
	}
	head := b[:headLen]
	plain, err := aead(dek, head).Open(nil, zeroNonce[:], b[headLen:], additional(head, id, loc.Bound(binding)))
	if err != nil {
		return nil, fmt.Errorf("%w: authentication failed", ErrManifest)
	}
	return decode(plain)
}
