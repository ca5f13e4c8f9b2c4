package stream_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"s3veil/crypto/size"
	"s3veil/crypto/stream"
)

func BenchmarkSealer(b *testing.B) {
	for name, suite := range suites {
		for _, n := range []int{1, 4, 16} {
			b.Run(fmt.Sprintf("%s/N=%d", name, n), func(b *testing.B) {
				plain, dst := make([]byte, n*pkg), make([]byte, 0, n*enc)
				b.SetBytes(int64(len(plain)))
				b.ReportAllocs()
				var s *stream.Sealer
				for b.Loop() {
					if s == nil || s.Left() < int64(len(plain)) {
						var err error
						if s, err = stream.NewSealer(suite, testDEK(), 0, size.MaxStream); err != nil {
							b.Fatal(err)
						}
					}
					s.Seal(dst, plain)
				}
			})
		}
	}
}

func BenchmarkOpener(b *testing.B) {
	for name, suite := range suites {
		for _, n := range []int{1, 4, 16} {
			b.Run(fmt.Sprintf("%s/N=%d", name, n), func(b *testing.B) {
				plain := make([]byte, 64*pkg)
				stored, dst := seal(b, suite, 0, plain, testR, 16), make([]byte, 0, n*pkg)
				b.SetBytes(int64(n * pkg))
				b.ReportAllocs()
				o, rest := new(stream.Opener), []byte(nil)
				for b.Loop() {
					if len(rest) == 0 {
						o, rest = stream.NewOpener(suite, testDEK(), whole(0, int64(len(plain)))), stored
					}
					if _, err := o.Open(dst, rest[:n*enc]); err != nil {
						b.Fatal(err)
					}
					rest = rest[n*enc:]
				}
			})
		}
	}
}

func BenchmarkSmallObject(b *testing.B) {
	plain := plaintext(4096)
	b.Run("Sealer", func(b *testing.B) {
		dst := make([]byte, 0, size.Enc(4096))
		b.ReportAllocs()
		for b.Loop() {
			s, err := stream.NewSealer(stream.AES256GCM, testDEK(), 0, 4096)
			if err != nil {
				b.Fatal(err)
			}
			s.Seal(dst, plain)
		}
	})
	b.Run("EncryptReader", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r, err := stream.EncryptReader(bytes.NewReader(plain), stream.AES256GCM, testDEK(), 0, 4096)
			if err != nil {
				b.Fatal(err)
			}
			if _, err = io.Copy(io.Discard, r); err != nil {
				b.Fatal(err)
			}
		}
	})
}
