package stream_test

import (
	"crypto/fips140"
	"testing"

	"s3veil/crypto/size"
	"s3veil/crypto/stream"
)

// Small objects are a stream of their own: key derivation and cipher are made for each. Two allocations are the cipher's.
func TestFewAllocationsPerSmallStream(t *testing.T) {
	if fips140.Enabled() {
		return // the module's key derivation allocates
	}
	plain, sealed, opened := plaintext(4096), make([]byte, 0, size.Enc(4096)), make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		s, err := stream.NewSealer(stream.AES256GCM, testDEK(), 0, 4096)
		if err != nil {
			t.Fatal(err)
		}
		sealed = s.Seal(sealed[:0], plain)
	}); n > 7 {
		t.Errorf("sealing: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := stream.NewOpener(stream.AES256GCM, testDEK(), whole(0, 4096)).Open(opened, sealed); err != nil {
			t.Fatal(err)
		}
	}); n > 7 {
		t.Errorf("opening: %v allocations", n)
	}
}
