// Package stream seals and opens DARE 2.0 streams whose key is derived from the random value in their own headers
// (FORMAT.md 7). It is the only importer of minio/sio. A batched framing of its own carries large streams; sio carries
// small ones and tools, and is its oracle in tests.
//
// A stream of p plaintext bytes is ⌈p / 65,536⌉ packages, each
//
//	header(16) ‖ ciphertext(m) ‖ tag(16)       m = 65,536, in the last package 1 ≤ m ≤ 65,536
//	header = 0x20 ‖ cipher byte ‖ LE16(m − 1) ‖ R(12), top bit of R set in the last package only
//
// and no bytes at all for p = 0. The key is HKDF(DEK, salt = R, part), so a package opens only in its own stream, at its
// own position, and under its own part number (FORMAT.md C.2).
package stream

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"s3veil/crypto/kdf"
	"s3veil/crypto/kms"
	"s3veil/crypto/size"
)

// Suite is the cipher suite of an object (FORMAT.md 3.2).
type Suite byte

// The suites that can be written and read.
const (
	AES256GCM        Suite = 0x01
	ChaCha20Poly1305 Suite = 0x02
)

// ErrStream is the class of every violation of FORMAT.md 7: headers other than expected, authentication failure, early
// end, trailing data. Concrete errors wrap it.
var ErrStream = errors.New("stream: invalid ciphertext")

// ErrSetup is the class of parameters that no stream can have: an unknown or forbidden suite, a part number or length out
// of range, a data key of zeros (one that was already overwritten).
var ErrSetup = errors.New("stream: invalid parameter")

// ErrLength reports a plaintext source that ended before or ran on after its declared length (FORMAT.md 7.4, step 3).
var ErrLength = errors.New("stream: plaintext length differs from the declared one")

// label is the HKDF info prefix of stream keys (FORMAT.md 3.1, 7.3).
const label = "s3veil/1/stream"

// R is the random value of a stream, top bit of the first byte clear.
type R [12]byte

// drawR draws a fresh R (FORMAT.md 7.4, step 1). A failing random source ends the process: rand.Read never returns then.
func drawR() (r R) {
	_, _ = rand.Read(r[:])
	r[0] &= 0x7f
	return r
}

// cipherByte returns byte 1 of the headers of a suite (FORMAT.md 3.2).
func (s Suite) cipherByte() (b byte, ok bool) {
	switch s {
	case AES256GCM:
		return 0x00, true
	case ChaCha20Poly1305:
		return 0x01, true
	}
	return 0, false
}

// checkSetup refuses parameters before any key is derived from them.
func checkSetup(suite Suite, dek *kms.Key32, part int, plain int64) error {
	if _, ok := suite.cipherByte(); !ok {
		return fmt.Errorf("%w: suite 0x%02x", ErrSetup, byte(suite))
	}
	if part < 0 || part > size.MaxParts {
		return fmt.Errorf("%w: part number %d", ErrSetup, part)
	}
	if err := size.CheckStream(plain); err != nil {
		return fmt.Errorf("%w: %w", ErrSetup, err)
	}
	if *dek == (kms.Key32{}) {
		return fmt.Errorf("%w: data key is zero", ErrSetup)
	}
	return nil
}

// deriveKey returns K_stream (FORMAT.md 7.3). The caller overwrites it.
func deriveKey(dek *kms.Key32, r R, part int) (key [kdf.Size]byte) {
	info := binary.BigEndian.AppendUint32([]byte(label+"\x00"), uint32(part))
	kdf.Key(&key, dek[:], r[:], string(info))
	return key
}

// newAEAD returns the cipher of one stream.
func newAEAD(suite Suite, dek *kms.Key32, r R, part int) (aead cipher.AEAD, err error) {
	key := deriveKey(dek, r, part)
	defer clear(key[:])
	if suite == ChaCha20Poly1305 {
		aead, err = chacha20poly1305.New(key[:])
	} else {
		var block cipher.Block
		if block, err = aes.NewCipher(key[:]); err == nil {
			aead, err = cipher.NewGCM(block)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: suite 0x%02x: %w", ErrSetup, byte(suite), err)
	}
	return aead, nil
}
