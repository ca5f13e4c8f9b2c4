package manifest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"s3veil/crypto/size"
)

// The layout of FORMAT.md 9.4, in bytes.
const (
	magic    = "S3VM"
	version  = 0x01
	saltLen  = 16
	tagLen   = 16
	headLen  = 4 + 1 + saltLen
	tableLen = 4 + 8 + 2 // N, total, number of runs
	runLen   = 12
	minSize  = headLen + tableLen + runLen + tagLen
)

// TableDigest returns the first 16 bytes of SHA-256(M without TLVs), the suffix of a manifest's second name (FORMAT.md 9.3).
func TableDigest(t *size.Table) [16]byte {
	sum := sha256.Sum256(encodeTable(t))
	return [16]byte(sum[:16])
}

// encodeTable returns M without TLVs: N, total, runs of equal parts with ascending numbers, as few as possible.
func encodeTable(t *size.Table) []byte {
	out := make([]byte, tableLen, tableLen+2*runLen)
	runs := 0
	for i := 0; i < t.Len(); {
		first := t.Part(i)
		count := 1
		for i+count < t.Len() && t.Part(i+count) == (size.Part{Number: first.Number + count, Size: first.Size}) {
			count++
		}
		out = binary.BigEndian.AppendUint16(out, uint16(first.Number))
		out = binary.BigEndian.AppendUint16(out, uint16(count))
		out = binary.BigEndian.AppendUint64(out, uint64(first.Size))
		i += count
		runs++
	}
	binary.BigEndian.PutUint32(out, uint32(t.Len()))
	binary.BigEndian.PutUint64(out[4:], uint64(t.Plain()))
	binary.BigEndian.PutUint16(out[12:], uint16(runs))
	return out
}

// run is the byte form of one run: BE16 first part number, BE16 count, BE64 plaintext length of each part.
type run []byte

func (r run) first() int     { return int(binary.BigEndian.Uint16(r)) }
func (r run) count() int     { return int(binary.BigEndian.Uint16(r[2:])) }
func (r run) length() uint64 { return binary.BigEndian.Uint64(r[4:]) }

// decodeTable parses M up to its TLVs and returns what follows. Runs are ascending, do not overlap, are as few as
// possible, and agree with N and the total.
func decodeTable(plain []byte) (*size.Table, []byte, error) {
	n := binary.BigEndian.Uint32(plain)
	total := binary.BigEndian.Uint64(plain[4:])
	runs := int(binary.BigEndian.Uint16(plain[12:]))
	rest := plain[tableLen:]
	if n < 1 || n > size.MaxParts {
		return nil, nil, fmt.Errorf("%w: %d parts", ErrManifest, n)
	}
	if runs > len(rest)/runLen {
		return nil, nil, fmt.Errorf("%w: runs are cut", ErrManifest)
	}
	parts := make([]size.Part, 0, n)
	var sum uint64
	for i := range runs {
		r := run(rest[i*runLen:][:runLen])
		switch {
		case r.count() < 1 || len(parts)+r.count() > int(n):
			return nil, nil, fmt.Errorf("%w: counts", ErrManifest)
		case r.first() < 1 || r.first()+r.count()-1 > size.MaxParts:
			return nil, nil, fmt.Errorf("%w: part numbers", ErrManifest)
		case r.length() > size.MaxStream:
			return nil, nil, fmt.Errorf("%w: plaintext length beyond one stream", ErrMalformed)
		}
		if i > 0 {
			last := parts[len(parts)-1]
			if r.first() <= last.Number || r.first() == last.Number+1 && int64(r.length()) == last.Size {
				return nil, nil, fmt.Errorf("%w: runs do not ascend or could be one", ErrManifest)
			}
		}
		for j := range r.count() {
			parts = append(parts, size.Part{Number: r.first() + j, Size: int64(r.length())})
		}
		sum += r.length() * uint64(r.count()) // at most 10,000 × 5 GiB
	}
	if len(parts) != int(n) || sum != total {
		return nil, nil, fmt.Errorf("%w: sums", ErrManifest)
	}
	table, err := size.NewTable(parts)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %v", ErrManifest, err)
	}
	return table, rest[runs*runLen:], nil
}
