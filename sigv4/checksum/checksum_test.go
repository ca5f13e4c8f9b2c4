package checksum

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"testing"
)

// Check values of "123456789": the CRC catalogue for the CRCs, FIPS 180 and RFC 1321
// implementations for the hashes, the reference implementation (xxhsum) for XXH.
var known = []struct {
	alg    Algorithm
	name   string
	header string
	hex    string
	base64 string
}{
	{CRC32, "CRC32", "x-amz-checksum-crc32", "cbf43926", "y/Q5Jg=="},
	{CRC32C, "CRC32C", "x-amz-checksum-crc32c", "e3069283", "4waSgw=="},
	{CRC64NVME, "CRC64NVME", "x-amz-checksum-crc64nvme", "ae8b14860a799888", "rosUhgp5mIg="},
	{SHA1, "SHA1", "x-amz-checksum-sha1", "f7c3bc1d808e04732adf679965ccc34ca7ae3441", "98O8HYCOBHMq32eZZczDTKeuNEE="},
	{SHA256, "SHA256", "x-amz-checksum-sha256", "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225", "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="},
	{SHA512, "SHA512", "x-amz-checksum-sha512", "d9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274ad27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85", "2eZ2LdHI6vbWGzxhkvxAjU1tXxF20MKRabwk5xw/J0rSf81YEbMT1oH35V7ALXPUmclUVba1u1A6z1dPuo/+hQ=="},
	{MD5, "MD5", "x-amz-checksum-md5", "25f9e794323b453885f5181f1b624d0b", "JfnnlDI7RTiF9RgfG2JNCw=="},
	{XXHASH64, "XXHASH64", "x-amz-checksum-xxhash64", "8cb841db40e6ae83", "jLhB20DmroM="},
	{XXHASH3, "XXHASH3", "x-amz-checksum-xxhash3", "72dcb18b67a17dff", "ctyxi2ehff8="},
	{XXHASH128, "XXHASH128", "x-amz-checksum-xxhash128", "33119477ede5dcd5e9716427681d5860", "MxGUd+3l3NXpcWQnaB1YYA=="},
}

func TestKnownValues(t *testing.T) {
	for _, k := range known {
		h := k.alg.New()
		h.Write([]byte("1234"))
		h.Write([]byte("56789"))
		sum := h.Sum(nil)
		if got := hex.EncodeToString(sum); got != k.hex {
			t.Errorf("%s: %s, want %s", k.alg, got, k.hex)
		}
		if got := Encode(sum); got != k.base64 {
			t.Errorf("%s: %s, want %s", k.alg, got, k.base64)
		}
		if k.alg.Size() != len(sum) || h.Size() != len(sum) {
			t.Errorf("%s: size %d and %d, want %d", k.alg, k.alg.Size(), h.Size(), len(sum))
		}
		back, err := k.alg.Decode(k.base64)
		if err != nil || !bytes.Equal(back, sum) {
			t.Errorf("%s: decode: %x, %v", k.alg, back, err)
		}
	}
}

func TestNames(t *testing.T) {
	for i, k := range known {
		if int(k.alg) != i+1 {
			t.Errorf("%s has number %d, FORMAT.md fixes %d", k.name, k.alg, i+1)
		}
		if k.alg.String() != k.name || k.alg.Header() != k.header {
			t.Errorf("%d: %s, %s", k.alg, k.alg, k.alg.Header())
		}
		for _, name := range []string{k.name, string(bytes.ToLower([]byte(k.name)))} {
			if a, ok := Parse(name); !ok || a != k.alg {
				t.Errorf("Parse(%q) = %v, %v", name, a, ok)
			}
		}
		if a, ok := FromHeader(k.header); !ok || a != k.alg {
			t.Errorf("FromHeader(%q) = %v, %v", k.header, a, ok)
		}
	}
	for _, name := range []string{"", "crc", "SHA384", "XXH64", "XXHASH", "CRC32 "} {
		if a, ok := Parse(name); ok || a != None {
			t.Errorf("Parse(%q) = %v, %v", name, a, ok)
		}
	}
	for _, name := range []string{"", "x-amz-checksum-", "x-amz-checksum-type", "x-amz-checksum-sha384", "crc32"} {
		if a, ok := FromHeader(name); ok || a != None {
			t.Errorf("FromHeader(%q) = %v, %v", name, a, ok)
		}
	}
	if None.Valid() || (Last + 1).Valid() || None.String() != "" {
		t.Error("None and unknown numbers are no algorithms")
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, text := range []string{"", "AAAA", "AAAAAA", "AAAAAAA=", "AAAAAB==", "AAAAAA=A", "AAAAAAA\n=", "AAAAA\n==", "????????", "AAAAAA==-2", "AAAAAAAA"} {
		if v, err := CRC32.Decode(text); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %x, %v", text, v, err)
		}
	}
	if _, err := SHA256.Decode("y/Q5Jg=="); !errors.Is(err, ErrMalformed) {
		t.Errorf("short value: %v", err)
	}
}

func TestMisusePanics(t *testing.T) {
	for _, a := range []Algorithm{None, Last + 1, 255} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d: no panic", a)
				}
			}()
			a.New()
		}()
	}
}

func TestCombineEqualsDirectComputation(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, a := range All() {
		if !a.IsCRC() {
			if _, err := a.CombineCRC(nil, nil); err == nil {
				t.Errorf("%s was combined", a)
			}
			continue
		}
		for n := range 40 {
			whole := a.New()
			var parts [][]byte
			var sizes []int64
			for range n {
				part := make([]byte, []int{0, 1, 7, 64, 65536, rnd.IntN(100_000)}[rnd.IntN(6)])
				for i := range part {
					part[i] = byte(rnd.Uint32())
				}
				h := a.New()
				h.Write(part)
				whole.Write(part)
				parts, sizes = append(parts, h.Sum(nil)), append(sizes, int64(len(part)))
			}
			got, err := a.CombineCRC(parts, sizes)
			if err != nil || !bytes.Equal(got, whole.Sum(nil)) {
				t.Fatalf("%s, %d parts: %x, %v, want %x", a, n, got, err, whole.Sum(nil))
			}
		}
	}
}

// Shifting by large lengths must agree with doing it in steps: lengths no test can hash.
func TestCombineOfHugeLengths(t *testing.T) {
	for _, a := range []Algorithm{CRC32, CRC32C, CRC64NVME} {
		f := fields[a]
		for _, n := range []int64{1 << 40, 5 << 40, 1<<62 - 1, 1<<63 - 1} {
			if got, want := f.shift(n), f.mul(f.shift(n/2), f.shift(n-n/2)); got != want {
				t.Errorf("%s, %d bytes: %x, want %x", a, n, got, want)
			}
		}
	}
}

func TestCombineRefuses(t *testing.T) {
	ok := make([]byte, 4)
	for name, c := range map[string]struct {
		parts [][]byte
		sizes []int64
	}{
		"counts differ":   {[][]byte{ok}, nil},
		"value too short": {[][]byte{ok[:3]}, []int64{1}},
		"value too long":  {[][]byte{make([]byte, 8)}, []int64{1}},
		"negative length": {[][]byte{ok}, []int64{-1}},
	} {
		if v, err := CRC32.CombineCRC(c.parts, c.sizes); err == nil {
			t.Errorf("%s: %x", name, v)
		}
	}
}

func TestCompositeIsTheChecksumOfChecksums(t *testing.T) {
	for _, k := range known {
		v, _ := hex.DecodeString(k.hex)
		h := k.alg.New()
		h.Write(append(append([]byte{}, v...), v...))
		if got := k.alg.Composite([][]byte{v, v}); !bytes.Equal(got, h.Sum(nil)) {
			t.Errorf("%s: %x", k.alg, got)
		}
	}
}
