package manifest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"io"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
)

// The labels of FORMAT.md 3.1 that this package uses.
const (
	labelManifest = "s3veil/1/manifest"
	labelAAD      = "s3veil/1/aad"
)

// random is the source of salts; tests replace it.
var random io.Reader = rand.Reader

// draw fills b from the operating system's generator, whose failure ends the program.
func draw(b []byte) {
	if _, err := io.ReadFull(random, b); err != nil {
		panic("manifest: no randomness: " + err.Error())
	}
}

// zeroNonce is used under keys derived from a fresh salt.
var zeroNonce [12]byte

// aead returns the AEAD under K_manifest = HKDF(DEK, salt, "s3veil/1/manifest", 32) (FORMAT.md 9.4).
func aead(dek *kms.Key32, head []byte) cipher.AEAD {
	key, err := hkdf.Key(sha256.New, dek[:], head[headLen-saltLen:], labelManifest, 32)
	must(err)
	defer clear(key)
	block, err := aes.NewCipher(key)
	must(err)
	gcm, err := cipher.NewGCM(block)
	must(err)
	return gcm
}

// additional is the AAD of FORMAT.md 9.4; bound is the location at the object's binding level.
func additional(head []byte, id envelope.ObjectID, bound envelope.Location) []byte {
	aad := append([]byte(nil), labelAAD...)
	for _, field := range [][]byte{head, []byte(bound.Realm), []byte(bound.Bucket), []byte(bound.Key), id[:]} {
		aad = binary.BigEndian.AppendUint32(aad, uint32(len(field)))
		aad = append(aad, field...)
	}
	return aad
}

// must panics on errors that only a wrong key length or a disabled primitive can cause.
func must(err error) {
	if err != nil {
		panic("manifest: " + err.Error())
	}
}
