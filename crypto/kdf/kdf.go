// Package kdf is HMAC-SHA256 (RFC 2104) and HKDF-SHA256 with outputs of 32 bytes (RFC 5869), without allocations: the
// standard library's make up nearly half of those of a small object. Where the FIPS 140 module is in use, that computes
// everything.
package kdf

import (
	"bytes"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
)

// Size is the length of every output.
const Size = sha256.Size

// onStack is the longest message that needs no allocation.
const onStack = 192

// validated says that the module has to compute MACs too and not only hashes.
var validated = fips140.Enabled()

// MAC writes HMAC-SHA256(key, message) to out, which may overlap neither.
func MAC(out *[Size]byte, key, message []byte) {
	if validated {
		moduleMAC(out, bytes.Clone(key), bytes.Clone(message))
		return
	}
	mac(out, key, message)
}

// Extract writes HKDF-Extract(salt, secret) to prk (RFC 5869 section 2.2).
func Extract(prk *[Size]byte, secret, salt []byte) {
	if validated {
		moduleExtract(prk, bytes.Clone(secret), bytes.Clone(salt))
		return
	}
	mac(prk, salt, secret) // an absent salt is a block of zeros, as every short key is padded
}

// Expand writes HKDF-Expand(prk, info, 32) to out (RFC 5869 section 2.3): one block, T(1). out may be prk.
func Expand(out, prk *[Size]byte, info string) {
	if validated {
		moduleExpand(out, bytes.Clone(prk[:]), info)
		return
	}
	var room [onStack]byte
	message := append(append(room[:0], info...), 1)
	mac(out, prk[:], message)
}

// Key writes HKDF(secret, salt, info, 32) to out.
func Key(out *[Size]byte, secret, salt []byte, info string) {
	var prk [Size]byte
	Extract(&prk, secret, salt)
	Expand(out, &prk, info)
	clear(prk[:])
}

// mac is HMAC with both pads in front of what they are hashed with.
func mac(out *[Size]byte, key, message []byte) {
	var short [Size]byte
	if len(key) > sha256.BlockSize {
		short = sha256.Sum256(key)
		key = short[:]
	}
	var room [sha256.BlockSize + onStack]byte
	inner := room[:sha256.BlockSize]
	copy(inner, key)
	for i := range inner {
		inner[i] ^= 0x36
	}
	inner = append(inner, message...)
	sum := sha256.Sum256(inner)
	var outer [sha256.BlockSize + Size]byte
	copy(outer[:], key)
	for i := range sha256.BlockSize {
		outer[i] ^= 0x5c
	}
	copy(outer[sha256.BlockSize:], sum[:])
	*out = sha256.Sum256(outer[:])
	clear(short[:])
	clear(inner)
	clear(room[:])
	clear(outer[:])
}

// The module's functions let their arguments escape to the heap, so they get copies, which are theirs to overwrite.

func moduleMAC(out *[Size]byte, key, message []byte) {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	copy(out[:], h.Sum(nil))
	clear(key)
	clear(message)
}

func moduleExtract(prk *[Size]byte, secret, salt []byte) {
	k, err := hkdf.Extract(sha256.New, secret, salt)
	must(err)
	copy(prk[:], k)
	clear(k)
	clear(secret)
}

func moduleExpand(out *[Size]byte, prk []byte, info string) {
	k, err := hkdf.Expand(sha256.New, prk, info, Size)
	must(err)
	copy(out[:], k)
	clear(k)
	clear(prk)
}

// must panics for what no input can cause: all lengths are constant.
func must(err error) {
	if err != nil {
		panic("kdf: " + err.Error())
	}
}
