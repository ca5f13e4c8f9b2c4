package envelope

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"s3veil/crypto/kms"
	"s3veil/crypto/size"
)

// The attribute types of FORMAT.md 5.4.
const (
	typeDEK        = 0x01
	typeObjectID   = 0x02
	typeLength     = 0x03
	typeMetaMAC    = 0x04
	typeCreated    = 0x05
	typeContentMD5 = 0x06
	typeChecksum   = 0x07
	typeSealedMeta = 0x08
	typeManifest   = 0x09
	typeEntry      = 0x0a
	typeAsked      = 0x80
	typeDeclared   = 0x81
	typeExtra      = 0x82 // and above
	typeIgnorable  = 0x80 // and above: a reader that does not know them goes on
)

// presence is a cell of the table in FORMAT.md 5.4.
type presence byte

const (
	forbidden presence = iota
	optional
	required
	withFlag // required with b1, forbidden without
)

// attribute is a row: the length of the value (-1: checked elsewhere) and the presence by kind.
type attribute struct {
	length int
	in     [3]presence // SinglePut, Multipart, Token; all forbidden: no such type
}

// attributeTable is the table of FORMAT.md 5.4.
var attributeTable = [...]attribute{
	typeDEK:        {32, [3]presence{required, required, required}},
	typeObjectID:   {16, [3]presence{required, required, required}},
	typeLength:     {8, [3]presence{required, forbidden, forbidden}},
	typeMetaMAC:    {32, [3]presence{required, required, forbidden}},
	typeCreated:    {8, [3]presence{required, required, forbidden}},
	typeContentMD5: {16, [3]presence{optional, forbidden, forbidden}},
	typeChecksum:   {-1, [3]presence{optional, forbidden, forbidden}},
	typeSealedMeta: {-1, [3]presence{withFlag, withFlag, forbidden}},
	typeManifest:   {32, [3]presence{forbidden, optional, optional}},
	typeEntry:      {32, [3]presence{forbidden, forbidden, optional}},
	typeAsked:      {1, [3]presence{optional, optional, optional}},
	typeDeclared:   {2, [3]presence{forbidden, optional, optional}},
}

// encodeAttributes returns the box plaintext: type(1) ‖ BE16(length) ‖ value, ascending (FORMAT.md 5.4). Attributes
// that kind does not have are left out; a was checked by checkAttributes.
func encodeAttributes(kind Kind, a *Attributes) []byte {
	out := make([]byte, 0, attributesLen(kind, a))
	out = append(appendHead(out, typeDEK, len(a.DEK)), a.DEK[:]...)
	out = append(appendHead(out, typeObjectID, len(a.ObjectID)), a.ObjectID[:]...)
	if kind == SinglePut {
		out = binary.BigEndian.AppendUint64(appendHead(out, typeLength, 8), uint64(a.Length))
	}
	if kind != Token {
		out = append(appendHead(out, typeMetaMAC, len(a.MetaMAC)), a.MetaMAC[:]...)
		out = binary.BigEndian.AppendUint64(appendHead(out, typeCreated, 8), uint64(a.Created))
	}
	if a.ContentMD5 != nil {
		out = append(appendHead(out, typeContentMD5, len(a.ContentMD5)), a.ContentMD5[:]...)
	}
	if a.Checksum != nil {
		out = append(appendHead(out, typeChecksum, 1+len(a.Checksum.Value)), a.Checksum.Algorithm)
		out = append(out, a.Checksum.Value...)
	}
	if a.SealedMeta != nil {
		out = append(appendHead(out, typeSealedMeta, len(a.SealedMeta)), a.SealedMeta...)
	}
	if a.Manifest != nil {
		out = append(appendHead(out, typeManifest, len(a.Manifest)), a.Manifest[:]...)
	}
	if a.Entry != nil {
		out = append(appendHead(out, typeEntry, len(a.Entry)), a.Entry[:]...)
	}
	if a.Asked != nil {
		out = append(appendHead(out, typeAsked, 1), *a.Asked)
	}
	if a.Declared != nil {
		out = append(appendHead(out, typeDeclared, len(a.Declared)), a.Declared[:]...)
	}
	for _, t := range a.Extra {
		out = append(appendHead(out, t.Type, len(t.Value)), t.Value...)
	}
	return out
}

func appendHead(dst []byte, typ byte, n int) []byte {
	return binary.BigEndian.AppendUint16(append(dst, typ), uint16(n))
}

// attributesLen is the length of what encodeAttributes returns.
func attributesLen(kind Kind, a *Attributes) int {
	const head = 3
	n := head + len(a.DEK) + head + len(a.ObjectID)
	if kind == SinglePut {
		n += head + 8
	}
	if kind != Token {
		n += head + len(a.MetaMAC) + head + 8
	}
	if a.ContentMD5 != nil {
		n += head + len(a.ContentMD5)
	}
	if a.Checksum != nil {
		n += head + 1 + len(a.Checksum.Value)
	}
	if a.SealedMeta != nil {
		n += head + len(a.SealedMeta)
	}
	if a.Manifest != nil {
		n += head + len(a.Manifest)
	}
	if a.Entry != nil {
		n += head + len(a.Entry)
	}
	if a.Asked != nil {
		n += head + 1
	}
	if a.Declared != nil {
		n += head + len(a.Declared)
	}
	for _, t := range a.Extra {
		n += head + len(t.Value)
	}
	return n
}

// checkAttributes reports attributes that the kind does not have or that cannot be encoded. Errors wrap ErrEnvelope,
// and ErrMalformed for lengths beyond the limits.
func checkAttributes(kind Kind, padded bool, a *Attributes) error {
	switch {
	case kind != SinglePut && (a.ContentMD5 != nil || a.Checksum != nil):
		return fmt.Errorf("%w: digest of a single PUT in another kind", ErrEnvelope)
	case kind == SinglePut && a.Declared != nil:
		return fmt.Errorf("%w: declared checksum in a single PUT", ErrEnvelope)
	case kind == SinglePut && a.Manifest != nil:
		return fmt.Errorf("%w: manifest secret in a single PUT", ErrEnvelope)
	case kind != Token && a.Entry != nil:
		return fmt.Errorf("%w: digest of an entry outside of a token", ErrEnvelope)
	case kind == Token && a.SealedMeta != nil:
		return fmt.Errorf("%w: sealed metadata in a token", ErrEnvelope)
	case a.Checksum != nil && !a.Checksum.valid():
		return fmt.Errorf("%w: checksum", ErrEnvelope)
	case a.Declared != nil && (ChecksumLen(a.Declared[0]) == 0 || a.Declared[1] > 1):
		return fmt.Errorf("%w: declared checksum", ErrEnvelope)
	}
	last := byte(typeExtra - 1)
	for _, t := range a.Extra {
		if t.Type <= last || len(t.Value) > math.MaxUint16 {
			return fmt.Errorf("%w: extension", ErrEnvelope)
		}
		last = t.Type
	}
	if a.SealedMeta != nil {
		if _, err := DecodeSealedMeta(a.SealedMeta); err != nil {
			return err
		}
	}
	if kind == SinglePut {
		return checkLength(padded, a.Length)
	}
	return nil
}

func (c *Checksum) valid() bool { n := ChecksumLen(c.Algorithm); return n != 0 && len(c.Value) == n }

// checkLength applies the limit of FORMAT.md 3.3 to a stream, padding included.
func checkLength(padded bool, length int64) error {
	if length < 0 || length > size.MaxStream || padded && size.Pad(length) > size.MaxStream {
		return fmt.Errorf("%w: plaintext length beyond one stream", ErrMalformed)
	}
	return nil
}

// decodeAttributes parses a box plaintext and applies the table of FORMAT.md 5.4. All values are copied, so the caller
// can overwrite b. Errors wrap ErrEnvelope, ErrUnsupported or ErrMalformed.
func decodeAttributes(kind Kind, h *Header, b []byte) (*Attributes, error) {
	a := &Attributes{}
	if err := a.decode(kind, h, b); err != nil {
		a.Zero()
		return nil, err
	}
	return a, nil
}

func (a *Attributes) decode(kind Kind, h *Header, b []byte) error {
	var seen [256]bool
	for at, last := 0, -1; at < len(b); {
		typ := b[at]
		value, next, ok := take16(b, at+1)
		if !ok {
			return fmt.Errorf("%w: attribute %02x is cut", ErrEnvelope, typ)
		}
		if int(typ) <= last {
			return fmt.Errorf("%w: attribute %02x out of order", ErrEnvelope, typ)
		}
		if err := checkAttribute(kind, typ, value); err != nil {
			return err
		}
		a.set(typ, value)
		seen[typ] = true
		at, last = next, int(typ)
	}
	for typ := range attributeTable {
		row := &attributeTable[typ]
		need := row.in[kind] == required || row.in[kind] == withFlag && h.SealedMeta
		if need && !seen[typ] {
			return fmt.Errorf("%w: attribute %02x is missing", ErrEnvelope, typ)
		}
	}
	if seen[typeSealedMeta] != h.SealedMeta {
		return fmt.Errorf("%w: sealed metadata and its flag differ", ErrEnvelope)
	}
	if a.SealedMeta != nil {
		if _, err := DecodeSealedMeta(a.SealedMeta); err != nil {
			return err
		}
	}
	if kind == SinglePut {
		return checkLength(h.Padded, a.Length)
	}
	return nil
}

// checkAttribute holds one attribute against its row.
func checkAttribute(kind Kind, typ byte, value []byte) error {
	var row attribute
	known := int(typ) < len(attributeTable) && attributeTable[typ] != (attribute{})
	if known {
		row = attributeTable[typ]
	}
	switch {
	case !known && typ < typeIgnorable:
		return fmt.Errorf("%w: attribute %02x", ErrUnsupported, typ)
	case !known:
		return nil
	case row.in[kind] == forbidden:
		return fmt.Errorf("%w: attribute %02x is forbidden here", ErrEnvelope, typ)
	case row.length >= 0 && len(value) != row.length:
		return fmt.Errorf("%w: attribute %02x has %d bytes", ErrEnvelope, typ, len(value))
	case typ == typeChecksum && (len(value) == 0 || !(&Checksum{value[0], value[1:]}).valid()):
		return fmt.Errorf("%w: checksum attribute", ErrEnvelope)
	}
	return nil
}

// set stores a checked value.
func (a *Attributes) set(typ byte, value []byte) {
	switch typ {
	case typeDEK:
		a.DEK = kms.Key32(value)
	case typeObjectID:
		a.ObjectID = ObjectID(value)
	case typeLength:
		a.Length = int64(binary.BigEndian.Uint64(value)) // above 2^63 it is negative, which checkLength refuses
	case typeMetaMAC:
		a.MetaMAC = [32]byte(value)
	case typeCreated:
		a.Created = int64(binary.BigEndian.Uint64(value))
	case typeContentMD5:
		md5 := [16]byte(value)
		a.ContentMD5 = &md5
	case typeChecksum:
		a.Checksum = &Checksum{Algorithm: value[0], Value: slices.Clone(value[1:])}
	case typeSealedMeta:
		a.SealedMeta = append([]byte{}, value...) // not nil when empty
	case typeManifest:
		secret := kms.Key32(value)
		a.Manifest = &secret
	case typeEntry:
		sum := [32]byte(value)
		a.Entry = &sum
	case typeAsked:
		asked := value[0]
		a.Asked = &asked
	case typeDeclared:
		declared := [2]byte(value)
		a.Declared = &declared
	default:
		a.Extra = append(a.Extra, TLV{Type: typ, Value: append([]byte{}, value...)})
	}
}
