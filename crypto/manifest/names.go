package manifest

import (
	"encoding/base64"
	"encoding/hex"
	"strings"

	"s3veil/crypto/envelope"
)

// Prefix is where manifests lie (FORMAT.md 9.7). ReservedPrefix holds everything that s3veil keeps for itself.
const (
	ReservedPrefix = ".s3veil/"
	Prefix         = ReservedPrefix + "m/"
)

// HintName is the user-metadata entry of a manifest that tells garbage collection which object it belongs to. It is
// not authenticated, and a reader of objects must not use it (FORMAT.md 9.4).
const HintName = "s3veil-for"

// Name returns the first name of an object's manifest.
func Name(id envelope.ObjectID) string { return Prefix + hex.EncodeToString(id[:]) }

// SecondPrefix returns what all second names of an object's manifests start with, for the listing of FORMAT.md 9.5.
func SecondPrefix(id envelope.ObjectID) string { return Name(id) + "." }

// SecondName returns the second name of a manifest with the given TableDigest (FORMAT.md 9.3).
func SecondName(id envelope.ObjectID, digest [16]byte) string {
	return SecondPrefix(id) + hex.EncodeToString(digest[:])
}

// ParseName parses both names; digest is nil for a first name, and ok is false for every other key.
func ParseName(key string) (id envelope.ObjectID, digest *[16]byte, ok bool) {
	rest, ok := strings.CutPrefix(key, Prefix)
	if !ok {
		return id, nil, false
	}
	first, second, has := strings.Cut(rest, ".")
	if !unhex(id[:], first) {
		return id, nil, false
	}
	if !has {
		return id, nil, true
	}
	digest = new([16]byte)
	if !unhex(digest[:], second) {
		return id, nil, false
	}
	return id, digest, true
}

// unhex decodes lower-case hexadecimal of exactly len(dst) bytes.
func unhex(dst []byte, text string) bool {
	if len(text) != 2*len(dst) || strings.ToLower(text) != text {
		return false
	}
	_, err := hex.Decode(dst, []byte(text))
	return err == nil
}

// EncodeHint returns the value of the hint: base64url(bucket) "." base64url(key), with the bound bucket name.
func EncodeHint(bucket, key string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(bucket)) + "." + base64.RawURLEncoding.EncodeToString([]byte(key))
}

// DecodeHint parses a hint; ok is false unless encoding gives the same text.
func DecodeHint(hint string) (bucket, key string, ok bool) {
	first, second, found := strings.Cut(hint, ".")
	b, err1 := base64.RawURLEncoding.DecodeString(first)
	k, err2 := base64.RawURLEncoding.DecodeString(second)
	if !found || err1 != nil || err2 != nil || EncodeHint(string(b), string(k)) != hint {
		return "", "", false
	}
	return string(b), string(k), true
}
