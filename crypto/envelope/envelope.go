// Package envelope is the sealed description of an object that travels in one metadata entry, and its sibling, the
// upload token (FORMAT.md 5, 6, 9.1). Bytes only: no HTTP, no logging, no clock.
//
// An envelope has a clear part (Header: suite, flags, kid, wrapped IKEK, client pairs) and a box that holds the
// Attributes. ParseText or Parse reads the clear part without any key, so that a caller can check it against its
// configuration before it asks a KMS for anything (FORMAT.md 5.7 steps 1–4). Open then needs IKEK' (kms.Bind).
//
// Every parser accepts exactly one encoding of each value: what was parsed is encoded to the same bytes.
package envelope

import (
	"errors"

	"s3veil/crypto/kms"
	"s3veil/crypto/stream"
)

// MetadataName is the user-metadata entry that carries an envelope; Prefix is what all s3veil entries start with.
const (
	MetadataName = "s3veil"
	Prefix       = "s3veil"
)

// CustomerKID is the kid of objects under a customer-provided key (FORMAT.md 4.5).
const CustomerKID = "@sse-c"

// The error classes of FORMAT.md 12 that this package can tell. Concrete errors wrap one of them.
var (
	ErrMalformed   = errors.New("envelope: malformed")
	ErrUnsupported = errors.New("envelope: unsupported")
	ErrCommitment  = errors.New("envelope: commitment differs")
	ErrEnvelope    = errors.New("envelope: does not open")
	ErrMetadata    = errors.New("envelope: metadata MAC differs")
	ErrToken       = errors.New("envelope: invalid upload token")
)

// ErrPairs is the class of client encryption contexts that ParsePairs refuses: a mistake of the request.
var ErrPairs = errors.New("envelope: invalid encryption context")

// Binding is the binding level of FORMAT.md 5.5.
type Binding byte

// The binding levels.
const (
	BindKey Binding = iota
	BindBucket
	BindNone
)

// String returns the level's name in configuration: key, bucket or none.
func (b Binding) String() string {
	switch b {
	case BindKey:
		return "key"
	case BindBucket:
		return "bucket"
	case BindNone:
		return "none"
	}
	return "invalid"
}

// Location names an object: realm, bound bucket name, key as percent-decoded once. The binding level decides which of
// them enter the additional data.
type Location struct{ Realm, Bucket, Key string }

// Bound returns the location as additional data sees it at a binding level (FORMAT.md 5.5): the key is empty at
// BindBucket, bucket and key at BindNone.
func (l Location) Bound(level Binding) Location {
	switch level {
	case BindKey:
		return l
	case BindBucket:
		return Location{Realm: l.Realm, Bucket: l.Bucket}
	case BindNone:
		return Location{Realm: l.Realm}
	}
	panic("envelope: invalid binding level")
}

// ObjectID is the random identity of an envelope.
type ObjectID [16]byte

// Checksum is an algorithm byte of FORMAT.md 5.4 with its value.
type Checksum struct {
	Algorithm byte
	Value     []byte
}

// The checksum algorithms of FORMAT.md 5.4.
const (
	CRC32     byte = 0x01
	CRC32C    byte = 0x02
	CRC64NVME byte = 0x03
	SHA1      byte = 0x04
	SHA256    byte = 0x05
	SHA512    byte = 0x06
	MD5       byte = 0x07
	XXHASH64  byte = 0x08
	XXHASH3   byte = 0x09
	XXHASH128 byte = 0x0a
)

// ChecksumLen returns the bytes of an algorithm's value, or 0 for an unknown algorithm.
func ChecksumLen(algorithm byte) int {
	switch algorithm {
	case CRC32, CRC32C:
		return 4
	case CRC64NVME, XXHASH64, XXHASH3:
		return 8
	case MD5, XXHASH128:
		return 16
	case SHA1:
		return 20
	case SHA256:
		return 32
	case SHA512:
		return 64
	}
	return 0
}

// TLV is an attribute that this version carries but does not interpret (82–FF).
type TLV struct {
	Type  byte
	Value []byte
}

// Kind says which column of the table in FORMAT.md 5.4 applies.
type Kind byte

// The kinds of envelopes.
const (
	SinglePut Kind = iota
	Multipart
	Token
)

// Attributes are the sealed contents of an envelope. Pointers and slices are nil where the attribute is absent.
type Attributes struct {
	DEK        kms.Key32
	ObjectID   ObjectID
	Length     int64      // TLV 03; meaningful for SinglePut only
	MetaMAC    [32]byte   // TLV 04; not for Token
	Created    int64      // TLV 05, Unix seconds; not for Token
	ContentMD5 *[16]byte  // TLV 06
	Checksum   *Checksum  // TLV 07
	SealedMeta []byte     // TLV 08, with flag b1: EncodeSealedMeta
	Manifest   *kms.Key32 // TLV 09: what the manifest is sealed under in place of the DEK
	Entry      *[32]byte  // TLV 0A, completion tokens only: EntryDigest of the object's entry
	Asked      *byte      // TLV 80
	Declared   *[2]byte   // TLV 81: algorithm, type (0 composite, 1 full object)
	Extra      []TLV      // unknown 82–FF, ascending
}

// ManifestKey is the secret that the object's manifest is sealed under: TLV 09, else the DEK (FORMAT.md 9.4).
func (a *Attributes) ManifestKey() *kms.Key32 {
	if a.Manifest != nil {
		return a.Manifest
	}
	return &a.DEK
}

// Zero overwrites the keys.
func (a *Attributes) Zero() {
	a.DEK.Zero()
	if a.Manifest != nil {
		a.Manifest.Zero()
	}
}

// Carried returns the unknown attributes that an operation which seals anew (copy, rename) takes over: 82–BF. Unknown
// C0–FF are dropped (FORMAT.md 5.4).
func (a *Attributes) Carried() []TLV {
	var out []TLV
	for _, t := range a.Extra {
		if t.Type < 0xc0 {
			out = append(out, t)
		}
	}
	return out
}

// Header is the clear part of an envelope.
type Header struct {
	Suite   stream.Suite
	Kind    Kind // SinglePut or Multipart as the flags say; Token shares Multipart's flags
	Binding Binding
	Padded  bool // b2
	KID     string
	Wrapped []byte
	Pairs   kms.Context // b6; nil for none

	// SealedMeta is b1 of a parsed envelope. Seal and TextLen ignore it: there b1 is set exactly when the attributes
	// hold sealed metadata.
	SealedMeta bool
}
