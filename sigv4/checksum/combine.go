package checksum

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"
	"sync"

	"github.com/minio/crc64nvme"
)

// field is the ring of polynomials over GF(2) modulo a CRC's polynomial, in the reflected representation: the highest of
// width bits is the coefficient of x^0.
type field struct {
	poly  uint64
	width uint
	// powers[k] is x^(2^k). The order of x divides 2^width - 1 only for some polynomials, so the table reaches as far as an
	// exponent can: 8 bits per byte of an int64 length.
	powers func() [67]uint64
}

// The three CRCs of S3. All begin with and are inverted by all ones; these terms cancel when values are combined.
var fields = map[Algorithm]*field{
	CRC32:     newField(crc32.IEEE, 32),
	CRC32C:    newField(crc32.Castagnoli, 32),
	CRC64NVME: newField(crc64nvme.NVME, 64),
}

func newField(poly uint64, width uint) *field {
	f := &field{poly: poly, width: width}
	f.powers = sync.OnceValue(func() (p [67]uint64) {
		p[0] = 1 << (width - 2) // x
		for k := 1; k < len(p); k++ {
			p[k] = f.mul(p[k-1], p[k-1])
		}
		return p
	})
	return f
}

// mul returns a·b.
func (f *field) mul(a, b uint64) uint64 {
	var sum uint64
	for m := uint64(1) << (f.width - 1); a != 0; m >>= 1 {
		if a&m != 0 {
			sum ^= b
			a ^= m
		}
		if b&1 != 0 {
			b = b>>1 ^ f.poly
		} else {
			b >>= 1
		}
	}
	return sum
}

// shift returns x^(8n), the factor by which n following bytes move a CRC.
func (f *field) shift(n int64) uint64 {
	powers := f.powers()
	r := uint64(1) << (f.width - 1) // 1
	for left := uint64(n); left != 0; left &= left - 1 {
		r = f.mul(r, powers[bits.TrailingZeros64(left)+3])
	}
	return r
}

// CombineCRC returns the full-object value of a CRC algorithm from part values and lengths in bytes: for A followed by B,
// crc(AB) = crc(A)·x^(8·len(B)) + crc(B) in GF(2)[x] modulo the polynomial. No parts give the value of an empty object.
func (a Algorithm) CombineCRC(parts [][]byte, sizes []int64) ([]byte, error) {
	f, ok := fields[a]
	if !ok {
		return nil, fmt.Errorf("checksum: %s values cannot be combined", a)
	}
	if len(parts) != len(sizes) {
		return nil, fmt.Errorf("checksum: %d values for %d lengths", len(parts), len(sizes))
	}
	var sum, factor uint64
	size := int64(-1) // of which factor is the shift; parts are mostly of one length
	for i, p := range parts {
		if len(p) != a.Size() || sizes[i] < 0 {
			return nil, fmt.Errorf("%w: part %d of %s", ErrMalformed, i+1, a)
		}
		if sizes[i] != size {
			size = sizes[i]
			factor = f.shift(size)
		}
		sum = f.mul(sum, factor) ^ beUint(p)
	}
	return beBytes(sum, a.Size()), nil
}

func beUint(b []byte) uint64 {
	if len(b) == 4 {
		return uint64(binary.BigEndian.Uint32(b))
	}
	return binary.BigEndian.Uint64(b)
}

func beBytes(v uint64, size int) []byte {
	if size == 4 {
		return binary.BigEndian.AppendUint32(nil, uint32(v))
	}
	return binary.BigEndian.AppendUint64(nil, v)
}
