package kdf

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

// RFC 5869 appendix A, test cases 1 to 3, cut to 32 bytes: longer outputs begin with the same block.
func TestVectorsOfRFC5869(t *testing.T) {
	sequence := func(from, n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(from + i)
		}
		return b
	}
	for i, v := range []struct {
		secret, salt, info []byte
		prk, okm           string
	}{
		{bytes.Repeat([]byte{0x0b}, 22), sequence(0, 13), sequence(0xf0, 10),
			"077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
			"3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"},
		{sequence(0, 80), sequence(0x60, 80), sequence(0xb0, 80),
			"06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
			"b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"},
		{bytes.Repeat([]byte{0x0b}, 22), nil, nil,
			"19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
			"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"},
	} {
		var prk, okm, key [Size]byte
		Extract(&prk, v.secret, v.salt)
		Expand(&okm, &prk, string(v.info))
		Key(&key, v.secret, v.salt, string(v.info))
		if hex.EncodeToString(prk[:]) != v.prk || hex.EncodeToString(okm[:]) != v.okm || key != okm {
			t.Errorf("case %d: PRK %x, OKM %x, key %x", i+1, prk, okm, key)
		}
	}
}

// The standard library is the oracle, for all lengths around blocks and the room on the stack, in both ways of computing.
func TestAgreesWithTheStandardLibrary(t *testing.T) {
	defer func(v bool) { validated = v }(validated)
	rng := rand.NewChaCha8([32]byte{})
	draw := func(n int) []byte { b := make([]byte, n); _, _ = rng.Read(b); return b }
	for _, validated = range []bool{false, true} {
		for n := range 300 {
			key, message, info := draw(n%140), draw(n), string(draw((n*7)%300))
			h := hmac.New(sha256.New, key)
			h.Write(message)
			var got [Size]byte
			if MAC(&got, key, message); !bytes.Equal(got[:], h.Sum(nil)) {
				t.Fatalf("MAC of %d bytes under %d", len(message), len(key))
			}
			want, err := hkdf.Extract(sha256.New, message, key)
			if Extract(&got, message, key); err != nil || !bytes.Equal(got[:], want) {
				t.Fatalf("Extract of %d bytes with a salt of %d: %v", len(message), len(key), err)
			}
			var prk [Size]byte
			copy(prk[:], draw(Size))
			want, err = hkdf.Expand(sha256.New, prk[:], info, Size)
			if Expand(&got, &prk, info); err != nil || !bytes.Equal(got[:], want) {
				t.Fatalf("Expand with %d bytes: %v", len(info), err)
			}
			want, err = hkdf.Key(sha256.New, message, key, info, Size)
			if Key(&got, message, key, info); err != nil || !bytes.Equal(got[:], want) {
				t.Fatalf("Key: %v", err)
			}
		}
	}
}

func TestOutputMayBeTheKey(t *testing.T) {
	var prk, want [Size]byte
	prk[3] = 9
	Expand(&want, &prk, "info")
	if Expand(&prk, &prk, "info"); prk != want {
		t.Error("Expand in place differs")
	}
}

func TestDoesNotAllocate(t *testing.T) {
	if validated {
		return // the module allocates
	}
	var out [Size]byte
	secret, salt, message := make([]byte, 32), make([]byte, 32), make([]byte, onStack)
	if n := testing.AllocsPerRun(100, func() {
		Key(&out, secret, salt, "s3veil/1/label")
		MAC(&out, secret, message)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkKey(b *testing.B) {
	var out [Size]byte
	secret, salt := make([]byte, 32), make([]byte, 32)
	b.ReportAllocs()
	for b.Loop() {
		Key(&out, secret, salt, "s3veil/1/stream")
	}
}
