package main

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"slices"
	"strings"
)

// Galois/Counter Mode does not commit to its key: whoever holds two keys can make one ciphertext that authenticates
// under both. This file makes such a box. Only the commitment in front of it tells the two keys apart (FORMAT.md 5.6).

// element is an element of GCM's field, in the bit order of NIST SP 800-38D.
type element struct{ hi, lo uint64 }

func elementOf(b []byte) element {
	return element{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

func (x element) bytes() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, x.hi), x.lo)
}

func (x element) add(y element) element { return element{x.hi ^ y.hi, x.lo ^ y.lo} }

func (x element) mul(y element) element {
	var z element
	for i := range 128 {
		bit := x.hi >> (63 - i%64)
		if i >= 64 {
			bit = x.lo >> (63 - i%64)
		}
		if bit&1 != 0 {
			z = z.add(y)
		}
		carry := y.lo & 1
		y = element{y.hi >> 1, y.lo>>1 | y.hi<<63}
		if carry != 0 {
			y.hi ^= 0xe1 << 56
		}
	}
	return z
}

// inverse is x^(2^128 - 2).
func (x element) inverse() element {
	out := element{hi: 1 << 63}
	for range 127 {
		x = x.mul(x)
		out = out.mul(x)
	}
	return out
}

// tagOf is GCM's tag of a ciphertext under a key, with the zero nonce; h is the key's GHASH key.
func tagOf(key, aad, ciphertext []byte) (tag, h element) {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	var zero, counter [16]byte
	block.Encrypt(zero[:], zero[:])
	h = elementOf(zero[:])
	counter[15] = 1
	block.Encrypt(counter[:], counter[:])
	for _, part := range [][]byte{aad, ciphertext, []byte(be64(int64(len(aad)*8)) + be64(int64(len(ciphertext)*8)))} {
		for piece := range slices.Chunk(part, 16) {
			tag = tag.add(elementOf(append(slices.Clone(piece), make([]byte, 16-len(piece))...))).mul(h)
		}
	}
	return tag.add(elementOf(counter[:])), h
}

// twoKeys adds an envelope that was sealed under one IKEK' and whose box authenticates under another as well.
func (c *corpus) twoKeys() {
	e := env1()
	e.tlvs += tlv(0x82, strings.Repeat("x", 30)) // 144 bytes: the last block is free
	other := e
	other.bound = seq(0x41, 32)
	raw := e.bytes()
	prk := extract(e.salt, e.bound)
	aad := []byte("s3veil/1/aad" + lp(e.head(), string(e.salt), string(expand(prk, "s3veil/1/commit")), e.realm, e.bucket, e.key))
	first, second := expand(prk, "s3veil/1/seal"), expand(extract(other.salt, other.bound), "s3veil/1/seal")

	box := raw[len(raw)-16-len(e.tlvs):]
	ciphertext := slices.Clone(box[:len(e.tlvs)])
	last := ciphertext[len(ciphertext)-16:]
	clear(last)
	tag1, h1 := tagOf(first, aad, ciphertext)
	tag2, h2 := tagOf(second, aad, ciphertext)
	// The last block enters the tag times the square of h.
	copy(last, tag1.add(tag2).mul(h1.mul(h1).add(h2.mul(h2)).inverse()).bytes())
	tag, _ := tagOf(first, aad, ciphertext)
	forged := slices.Concat(raw[:len(raw)-len(box)], ciphertext, tag.bytes())

	plain, err := gcm(first).Open(nil, make([]byte, 12), forged[len(forged)-len(box):], aad)
	if err != nil {
		panic("gen: the box does not open under the first key")
	}
	if garbage, err := gcm(second).Open(nil, make([]byte, 12), forged[len(forged)-len(box):], aad); err != nil || bytes.Equal(garbage, plain) {
		panic("gen: the box does not open under the second key")
	}
	e.tlvs = string(plain)
	text := "1." + base64url(forged)
	f := append(e.fields(single), num("length", len(forged)), hexa("salt", e.salt), hexa("tlvs", e.tlvs))
	c.add("envelope", "two-keys-first", success, "a box that authenticates under two keys, opened with the one it commits to", []byte(text), f...)
	c.add("envelope", "two-keys-second", "commitment", "a box that authenticates under two keys, opened with the other", []byte(text), other.fields(single)...)
}
