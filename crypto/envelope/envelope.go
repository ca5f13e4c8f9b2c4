// Package envelope is the sealed description of an object that travels in one metadata entry, and its sibling, the
// upload token (FORMAT.md 5, 6, 9.1). Bytes only: no HTTP, no logging, no clock.
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

// The error classes of FORMAT.md 12 that this package can tell. Concrete errors wrap one of them.
var (
	ErrMalformed   = errors.New("envelope: malformed")
	ErrUnsupported = errors.New("envelope: unsupported")
	ErrCommitment  = errors.New("envelope: commitment differs")
	ErrEnvelope    = errors.New("envelope: does not open")
	ErrMetadata    = errors.New("envelope: metadata MAC differs")
	ErrToken       = errors.New("envelope: invalid upload token")
)

// Binding is the binding level of FORMAT.md 5.5.
type Binding byte

// The binding levels.
const (
	BindKey Binding = iota
	BindBucket
	BindNone
)

// Location names an object: realm, bound bucket name, key as percent-decoded once. The binding level decides which of
// them enter the additional data.
type Location struct{ Realm, Bucket, Key string }

// ObjectID is the random identity of an envelope.
type ObjectID [16]byte

// Checksum is an algorithm byte of FORMAT.md 5.4 with its value.
type Checksum struct {
	Algorithm byte
	Value     []byte
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
	Length     int64     // TLV 03; meaningful for SinglePut only
	MetaMAC    [32]byte  // TLV 04; not for Token
	Created    int64     // TLV 05, Unix seconds; not for Token
	ContentMD5 *[16]byte // TLV 06
	Checksum   *Checksum // TLV 07
	SealedMeta []byte    // TLV 08, with flag b1
	Asked      *byte     // TLV 80
	Declared   *[2]byte  // TLV 81: algorithm, type (0 composite, 1 full object)
	Extra      []TLV     // unknown 82–FF, ascending
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
}

// Sealed is a parsed envelope that has not been opened.
type Sealed struct{ _ int }

// ParseText parses the value of the metadata entry: "1." and base64url (FORMAT.md 5.1).
func ParseText(text string) (*Sealed, error) { panic("stub") }

// Parse parses the bytes of an envelope. Every accepted input is reproduced by Bytes.
func Parse(b []byte) (*Sealed, error) { panic("stub") }

// Header returns the clear fields. The slices belong to the envelope.
func (s *Sealed) Header() Header { panic("stub") }

// Bytes returns the encoding, Text the metadata value.
func (s *Sealed) Bytes() []byte { panic("stub") }

// Text returns the metadata value.
func (s *Sealed) Text() string { panic("stub") }

// Open checks the commitment, opens the box and parses the attributes as those of kind (FORMAT.md 5.7 steps 6–8).
// bound is IKEK' (kms.Bind).
func (s *Sealed) Open(bound *kms.Key32, loc Location, kind Kind) (*Attributes, error) { panic("stub") }

// Seal draws a salt and seals attributes under IKEK'. h.Kind says which attributes are written.
func Seal(h Header, bound *kms.Key32, loc Location, a *Attributes) (*Sealed, error) { panic("stub") }

// Rewrapped returns a copy of the envelope with another kid and wrapped IKEK (FORMAT.md 5.5, 10).
func (s *Sealed) Rewrapped(kid string, wrapped []byte) (*Sealed, error) { panic("stub") }

// TextLen returns the characters of the metadata value for an envelope of h and a, before it is sealed (FORMAT.md 5.8).
func TextLen(h Header, a *Attributes) int { panic("stub") }

// ParsePairs parses the JSON of x-amz-server-side-encryption-context (already base64-decoded) under the rules of
// FORMAT.md 5.3; an empty object is nil.
func ParsePairs(jsonText []byte) (kms.Context, error) { panic("stub") }

// Field is one header that the metadata MAC covers, named in lower case, x-amz-meta- prefix included.
type Field struct{ Name, Value string }

// MetadataMAC computes TLV 04 over the canonical forms of fields (FORMAT.md 6.1). It ignores fields that are not
// covered and s3veil's own entries, so a caller may pass all headers of an answer.
func MetadataMAC(dek *kms.Key32, fields []Field) [32]byte { panic("stub") }

// SealToken encodes the upload token of FORMAT.md 9.1. env was sealed with Kind Token.
func SealToken(upstreamID string, env *Sealed, dek *kms.Key32, loc Location) string { panic("stub") }

// UploadToken is a parsed token that has not been opened: enough for Abort and ListParts.
type UploadToken struct {
	UpstreamID string
	Envelope   *Sealed
	_          int
}

// ParseToken parses a token; every failure is ErrToken.
func ParseToken(text string) (*UploadToken, error) { panic("stub") }

// Open opens the envelope and checks the MAC. Failures are ErrToken.
func (t *UploadToken) Open(bound *kms.Key32, loc Location) (*Attributes, error) { panic("stub") }
