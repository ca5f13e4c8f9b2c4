package manifest

import (
	"encoding/binary"
	"fmt"
	"slices"

	"s3veil/crypto/envelope"
	"s3veil/crypto/stream"
)

// The attribute types of FORMAT.md 9.4.
const (
	typePartMD5       = 0x10
	typePartR         = 0x11
	typeChecksum      = 0x12
	typePartChecksums = 0x13
	typeRepaired      = 0x14
	typeProvisional   = 0x15
	typeIgnorable     = 0x80 // and above
	typeOrigin        = 0x80
)

// encode returns M. m was checked.
func (m *Manifest) encode() []byte {
	out := encodeTable(m.Table)
	put := func(typ byte, value []byte) {
		out = append(out, typ)
		out = binary.BigEndian.AppendUint32(out, uint32(len(value)))
		out = append(out, value...)
	}
	if m.PartMD5 != nil {
		value := make([]byte, 0, 16*len(m.PartMD5))
		for _, digest := range m.PartMD5 {
			value = append(value, digest[:]...)
		}
		put(typePartMD5, value)
	}
	if m.PartR != nil {
		value := make([]byte, 0, 12*len(m.PartR))
		for _, r := range m.PartR {
			value = append(value, r[:]...)
		}
		put(typePartR, value)
	}
	if m.Checksum != nil {
		value := []byte{m.Checksum.Algorithm, 0}
		if m.Composite {
			value[1] = 1
		}
		put(typeChecksum, append(value, m.Checksum.Value...))
	}
	if m.PartChecksums != nil {
		value := []byte{m.PartChecksums[0].Algorithm}
		for _, c := range m.PartChecksums {
			value = append(value, c.Value...)
		}
		put(typePartChecksums, value)
	}
	if m.Repaired != 0 {
		put(typeRepaired, binary.BigEndian.AppendUint64(nil, uint64(m.Repaired)))
	}
	if m.Provisional {
		put(typeProvisional, nil)
	}
	for _, t := range m.Extra {
		put(t.Type, t.Value)
	}
	return out
}

// decode parses M.
func decode(plain []byte) (*Manifest, error) {
	table, rest, err := decodeTable(plain)
	if err != nil {
		return nil, err
	}
	m := &Manifest{Table: table}
	for last := -1; len(rest) > 0; {
		typ := rest[0]
		if len(rest) < 5 || uint64(binary.BigEndian.Uint32(rest[1:])) > uint64(len(rest)-5) {
			return nil, fmt.Errorf("%w: attribute %02x is cut", ErrManifest, typ)
		}
		end := 5 + int(binary.BigEndian.Uint32(rest[1:]))
		if int(typ) <= last {
			return nil, fmt.Errorf("%w: attribute %02x out of order", ErrManifest, typ)
		}
		if err := m.set(typ, rest[5:end]); err != nil {
			return nil, err
		}
		last, rest = int(typ), rest[end:]
	}
	return m, m.check()
}

// set stores one attribute; check holds it against the others and the part table.
func (m *Manifest) set(typ byte, value []byte) error {
	wrong := func() error {
		return fmt.Errorf("%w: attribute %02x has %d bytes", ErrManifest, typ, len(value))
	}
	switch typ {
	case typePartMD5:
		if len(value)%16 != 0 {
			return wrong()
		}
		m.PartMD5 = [][16]byte{}
		for piece := range slices.Chunk(value, 16) {
			m.PartMD5 = append(m.PartMD5, [16]byte(piece))
		}
	case typePartR:
		if len(value)%12 != 0 {
			return wrong()
		}
		m.PartR = []stream.R{}
		for piece := range slices.Chunk(value, 12) {
			m.PartR = append(m.PartR, stream.R(piece))
		}
	case typeChecksum:
		if len(value) < 2 || value[1] > 1 {
			return wrong()
		}
		m.Checksum = &envelope.Checksum{Algorithm: value[0], Value: slices.Clone(value[2:])}
		m.Composite = value[1] == 1
	case typePartChecksums:
		return m.setPartChecksums(value)
	case typeRepaired:
		if len(value) != 8 || binary.BigEndian.Uint64(value) == 0 {
			return wrong()
		}
		m.Repaired = int64(binary.BigEndian.Uint64(value))
	case typeProvisional:
		if len(value) != 0 {
			return wrong()
		}
		m.Provisional = true
	default:
		if typ < typeIgnorable {
			return fmt.Errorf("%w: attribute %02x", ErrUnsupported, typ)
		}
		m.Extra = append(m.Extra, envelope.TLV{Type: typ, Value: append([]byte{}, value...)})
	}
	return nil
}

func (m *Manifest) setPartChecksums(value []byte) error {
	if len(value) < 1 {
		return fmt.Errorf("%w: part checksums", ErrManifest)
	}
	c := envelope.ChecksumLen(value[0])
	if c == 0 || len(value)-1 != c*m.Table.Len() {
		return fmt.Errorf("%w: part checksums", ErrManifest)
	}
	value = slices.Clone(value)
	for piece := range slices.Chunk(value[1:], c) {
		m.PartChecksums = append(m.PartChecksums, envelope.Checksum{Algorithm: value[0], Value: piece})
	}
	return nil
}

// check holds attributes against the part table and each other (FORMAT.md 9.4), for reading and for writing.
func (m *Manifest) check() error {
	if m.Table == nil || m.Table.Len() < 1 || m.Table.Part(0).Number < 1 {
		return fmt.Errorf("%w: not the table of a multipart object", ErrManifest)
	}
	n := m.Table.Len()
	switch {
	case m.PartMD5 != nil && len(m.PartMD5) != n:
		return fmt.Errorf("%w: %d part digests for %d parts", ErrManifest, len(m.PartMD5), n)
	case m.PartR != nil && len(m.PartR) != n:
		return fmt.Errorf("%w: %d values R for %d parts", ErrManifest, len(m.PartR), n)
	case m.PartR != nil && m.Provisional:
		return fmt.Errorf("%w: provisional, but with R", ErrManifest)
	case m.Checksum == nil && m.Composite:
		return fmt.Errorf("%w: checksum type without a checksum", ErrManifest)
	case m.Checksum != nil && !validChecksum(*m.Checksum, m.Checksum.Algorithm):
		return fmt.Errorf("%w: checksum", ErrManifest)
	case m.PartChecksums != nil && len(m.PartChecksums) != n:
		return fmt.Errorf("%w: %d part checksums for %d parts", ErrManifest, len(m.PartChecksums), n)
	}
	for i, r := range m.PartR {
		if r[0]&0x80 != 0 || m.Table.Part(i).Size == 0 && r != (stream.R{}) {
			return fmt.Errorf("%w: R of part %d", ErrManifest, m.Table.Part(i).Number)
		}
	}
	for _, c := range m.PartChecksums {
		if !validChecksum(c, m.PartChecksums[0].Algorithm) {
			return fmt.Errorf("%w: part checksums", ErrManifest)
		}
	}
	last := typeIgnorable - 1
	for _, t := range m.Extra {
		if int(t.Type) <= last {
			return fmt.Errorf("%w: extension", ErrManifest)
		}
		last = int(t.Type)
	}
	return nil
}

func validChecksum(c envelope.Checksum, algorithm byte) bool {
	n := envelope.ChecksumLen(algorithm)
	return c.Algorithm == algorithm && n != 0 && len(c.Value) == n
}
