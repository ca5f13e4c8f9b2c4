// Package setting encodes what s3veil itself remembers of a bucket (FORMAT.md 9.8). It is the plaintext of an object under
// the reserved prefix, which seals and binds it; here are bytes only.
package setting

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"

	"s3veil/crypto/envelope"
)

// Type is the encryption of new objects for which the request names none.
type Type byte

// The types of FORMAT.md 9.8.
const (
	AES256 Type = 0x01 // the key that the configuration names
	KMS    Type = 0x02 // a named key
)

// Encryption is a bucket's default encryption.
type Encryption struct {
	Type          Type
	KeyName       string // KMS only: as the client named it, 1–2,048 visible ASCII characters; empty for the configured key
	BucketKey     bool
	BlockCustomer bool // writes under customers' keys are refused
}

// The bounds of FORMAT.md 9.8.
const (
	MaxSize    = 4096
	maxKeyName = 2048
)

const prefix = ".s3veil/c/e/"

const (
	magic   = "S3VC"
	version = 0x01
)

// The attribute types of FORMAT.md 9.8.
const (
	typeKind          = 0x01
	typeKeyName       = 0x02
	typeBucketKey     = 0x03
	typeBlockCustomer = 0x04
	typeIgnorable     = 0x80 // and above
)

// Name is the key of the object that holds the default encryption of a bucket; bucket is the bound bucket name.
func Name(bucket string) string { return prefix + base64.RawURLEncoding.EncodeToString([]byte(bucket)) }

// Encode returns the plaintext. An Encryption that Decode would refuse panics.
func (e *Encryption) Encode() []byte {
	if err := e.check(); err != nil {
		panic("setting: " + err.Error())
	}
	out := append([]byte(magic), version)
	put := func(typ byte, value string) {
		out = append(out, typ)
		out = binary.BigEndian.AppendUint16(out, uint16(len(value)))
		out = append(out, value...)
	}
	put(typeKind, string([]byte{byte(e.Type)}))
	if e.KeyName != "" {
		put(typeKeyName, e.KeyName)
	}
	if e.BucketKey {
		put(typeBucketKey, "")
	}
	if e.BlockCustomer {
		put(typeBlockCustomer, "")
	}
	return out
}

// ValidKeyName reports whether a name of a key can be kept.
func ValidKeyName(name string) bool {
	outside := func(r rune) bool { return r < 0x21 || r > 0x7e }
	return name != "" && len(name) <= maxKeyName && !strings.ContainsFunc(name, outside)
}

func (e *Encryption) check() error {
	switch {
	case e.Type != AES256 && e.Type != KMS:
		return fmt.Errorf("%w: setting: encryption %02x", envelope.ErrUnsupported, byte(e.Type))
	case e.KeyName != "" && e.Type != KMS:
		return fmt.Errorf("%w: setting: key name without KMS", envelope.ErrMalformed)
	case e.KeyName != "" && !ValidKeyName(e.KeyName):
		return fmt.Errorf("%w: setting: key name", envelope.ErrMalformed)
	}
	return nil
}

// Decode parses a plaintext. Errors wrap envelope.ErrMalformed or envelope.ErrUnsupported.
func Decode(raw []byte) (*Encryption, error) {
	if len(raw) < len(magic)+1 || len(raw) > MaxSize || string(raw[:len(magic)]) != magic {
		return nil, fmt.Errorf("%w: setting: magic or size", envelope.ErrMalformed)
	}
	if raw[len(magic)] != version {
		return nil, fmt.Errorf("%w: setting: version %d", envelope.ErrUnsupported, raw[len(magic)])
	}
	e := &Encryption{}
	for last, rest := 0, raw[len(magic)+1:]; len(rest) > 0; {
		if len(rest) < 3 || int(binary.BigEndian.Uint16(rest[1:])) > len(rest)-3 {
			return nil, fmt.Errorf("%w: setting: attribute beyond the end", envelope.ErrMalformed)
		}
		typ, n := rest[0], int(binary.BigEndian.Uint16(rest[1:]))
		if int(typ) <= last {
			return nil, fmt.Errorf("%w: setting: order of attributes", envelope.ErrMalformed)
		}
		if err := e.set(typ, string(rest[3:3+n])); err != nil {
			return nil, err
		}
		last, rest = int(typ), rest[3+n:]
	}
	if e.Type == 0 {
		return nil, fmt.Errorf("%w: setting: no encryption", envelope.ErrMalformed)
	}
	return e, e.check()
}

// set takes one attribute.
func (e *Encryption) set(typ byte, value string) error {
	var fits bool
	switch {
	case typ == typeKind:
		if fits = len(value) == 1 && value[0] != 0; fits {
			e.Type = Type(value[0])
		}
	case typ == typeKeyName:
		e.KeyName, fits = value, value != ""
	case typ == typeBucketKey:
		e.BucketKey, fits = true, value == ""
	case typ == typeBlockCustomer:
		e.BlockCustomer, fits = true, value == ""
	case typ >= typeIgnorable:
		fits = true
	default:
		return fmt.Errorf("%w: setting: attribute %02x", envelope.ErrUnsupported, typ)
	}
	if !fits {
		return fmt.Errorf("%w: setting: length of attribute %02x", envelope.ErrMalformed, typ)
	}
	return nil
}
