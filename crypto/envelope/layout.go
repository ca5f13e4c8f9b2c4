package envelope

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"s3veil/crypto/stream"
)

// The layout of FORMAT.md 5.3.
const (
	magic        = "S3V"
	major        = 0x01
	headLen      = 6 // bytes 0..5, which the additional data covers
	saltLen      = 32
	commitLen    = 32
	tagLen       = 16
	minBox       = 70 // TLV 01 and 02, and the tag
	maxKID       = 64
	maxWrapped   = 1024
	maxPairBytes = 512
	maxPairs     = 8
	maxRealm     = 255
)

// The flags of FORMAT.md 5.3.
const (
	flagMultipart  = 0x01 // b0
	flagSealedMeta = 0x02 // b1
	flagPadded     = 0x04 // b2
	flagManifest   = 0x08 // b3, equal to b0
	maskBinding    = 0x30
	shiftBinding   = 4
	flagPairs      = 0x40 // b6
	flagUnknown    = 0x80
)

const textPrefix = "1."

// rawURL is the base64url of FORMAT.md 1.2. decode64 is its only decoder: Go's skips line ends.
var rawURL = base64.RawURLEncoding.Strict()

// Sealed is a parsed envelope that has not been opened. It is immutable.
type Sealed struct {
	raw    []byte
	saltAt int
	h      Header
}

// The fields behind the variable ones, and what the additional data takes from the head.
func (s *Sealed) head() []byte   { return s.raw[:headLen] }
func (s *Sealed) salt() []byte   { return s.raw[s.saltAt:][:saltLen] }
func (s *Sealed) commit() []byte { return s.raw[s.saltAt+saltLen:][:commitLen] }
func (s *Sealed) box() []byte    { return s.raw[s.saltAt+saltLen+commitLen:] }

// Header returns the clear fields. The slices belong to the envelope.
func (s *Sealed) Header() Header { return s.h }

// Bytes returns the encoding. The slice belongs to the envelope.
func (s *Sealed) Bytes() []byte { return s.raw }

// Text returns the metadata value: "1." and base64url (FORMAT.md 5.1).
func (s *Sealed) Text() string {
	var room [1024]byte // enough for most, so that the string is the only allocation
	return string(rawURL.AppendEncode(append(room[:0], textPrefix...), s.raw))
}

// ParseText parses the value of the metadata entry (FORMAT.md 5.1). Errors wrap ErrMalformed or, for a major version
// other than 1, ErrUnsupported.
func ParseText(text string) (*Sealed, error) {
	rest, ok := strings.CutPrefix(text, textPrefix)
	if !ok {
		if isMajor(text) {
			return nil, fmt.Errorf("%w: major version in the text", ErrUnsupported)
		}
		return nil, fmt.Errorf("%w: no version prefix", ErrMalformed)
	}
	b, ok := decode64(rest)
	if !ok {
		return nil, fmt.Errorf("%w: not canonical base64url", ErrMalformed)
	}
	return parse(b)
}

// Parse parses the bytes of an envelope (FORMAT.md 5.3) and copies them. Every accepted input is reproduced by Bytes.
// Errors wrap ErrMalformed or ErrUnsupported.
func Parse(b []byte) (*Sealed, error) { return parse(slices.Clone(b)) }

// parse takes over b.
func parse(b []byte) (*Sealed, error) {
	if len(b) < headLen+1 || string(b[:3]) != magic {
		return nil, fmt.Errorf("%w: no magic", ErrMalformed)
	}
	s := &Sealed{raw: b}
	if err := s.parseHead(); err != nil {
		return nil, err
	}
	at := headLen
	kid, at, ok := take(b, at+1, int(b[at]))
	if !ok || !validKID(string(kid)) {
		return nil, fmt.Errorf("%w: kid", ErrMalformed)
	}
	s.h.KID = string(kid)
	s.h.Wrapped, at, ok = take16(b, at)
	if !ok || len(s.h.Wrapped) < 1 || len(s.h.Wrapped) > maxWrapped {
		return nil, fmt.Errorf("%w: length of the wrapped key", ErrMalformed)
	}
	if b[5]&flagPairs != 0 {
		var pairs []byte
		if pairs, at, ok = take16(b, at); !ok {
			return nil, fmt.Errorf("%w: length of the pairs", ErrMalformed)
		}
		var err error
		if s.h.Pairs, err = decodePairs(pairs); err != nil {
			return nil, err
		}
		if s.h.KID == CustomerKID {
			return nil, fmt.Errorf("%w: pairs under a customer key", ErrMalformed)
		}
	}
	if len(b)-at < saltLen+commitLen+minBox {
		return nil, fmt.Errorf("%w: box too short", ErrMalformed)
	}
	s.saltAt = at
	return s, nil
}

// parseHead checks bytes 3..5: version, suite, flags.
func (s *Sealed) parseHead() error {
	version, suite, flags := s.raw[3], stream.Suite(s.raw[4]), s.raw[5]
	switch {
	case version != major:
		return fmt.Errorf("%w: version %#02x", ErrUnsupported, version)
	case !knownSuite(suite):
		return fmt.Errorf("%w: suite %#02x", ErrUnsupported, byte(suite))
	case flags&flagUnknown != 0:
		return fmt.Errorf("%w: flags %#02x", ErrUnsupported, flags)
	case flags&maskBinding == maskBinding:
		return fmt.Errorf("%w: binding level", ErrMalformed)
	case (flags&flagMultipart != 0) != (flags&flagManifest != 0):
		return fmt.Errorf("%w: multipart and manifest flags differ", ErrMalformed)
	case flags&flagMultipart != 0 && flags&flagPadded != 0:
		return fmt.Errorf("%w: padded multipart object", ErrMalformed)
	}
	s.h.Suite = suite
	if flags&flagMultipart != 0 {
		s.h.Kind = Multipart
	}
	s.h.Binding = Binding(flags & maskBinding >> shiftBinding)
	s.h.Padded = flags&flagPadded != 0
	s.h.SealedMeta = flags&flagSealedMeta != 0
	return nil
}

// appendClear appends everything before the salt. h was checked by checkHeader.
func appendClear(dst []byte, h *Header, sealedMeta bool) []byte {
	flags := byte(h.Binding) << shiftBinding
	if h.Kind != SinglePut {
		flags |= flagMultipart | flagManifest
	}
	if sealedMeta {
		flags |= flagSealedMeta
	}
	if h.Padded {
		flags |= flagPadded
	}
	if len(h.Pairs) > 0 {
		flags |= flagPairs
	}
	dst = append(dst, magic...)
	dst = append(dst, major, byte(h.Suite), flags, byte(len(h.KID)))
	dst = append(dst, h.KID...)
	dst = append16(dst, h.Wrapped)
	if len(h.Pairs) > 0 {
		dst = append16(dst, h.Pairs.Canonical())
	}
	return dst
}

// checkHeader reports what no envelope can carry. Errors wrap ErrMalformed or ErrUnsupported.
func checkHeader(h *Header) error {
	switch {
	case !knownSuite(h.Suite):
		return fmt.Errorf("%w: suite %#02x", ErrUnsupported, byte(h.Suite))
	case h.Kind > Token || h.Binding > BindNone:
		return fmt.Errorf("%w: kind or binding level", ErrMalformed)
	case h.Padded && h.Kind != SinglePut:
		return fmt.Errorf("%w: padded multipart object", ErrMalformed)
	case !validKID(h.KID):
		return fmt.Errorf("%w: kid", ErrMalformed)
	case len(h.Wrapped) < 1 || len(h.Wrapped) > maxWrapped:
		return fmt.Errorf("%w: length of the wrapped key", ErrMalformed)
	case len(h.Pairs) > 0 && h.KID == CustomerKID:
		return fmt.Errorf("%w: pairs under a customer key", ErrMalformed)
	}
	if len(h.Pairs) > 0 {
		return checkPairs(h.Pairs)
	}
	return nil
}

// Rewrapped returns a copy of the envelope with another kid and wrapped IKEK; everything else, salt and box included,
// stays (FORMAT.md 5.5, 10). The wrapped key must be the same IKEK under the same context. Errors wrap ErrMalformed.
func (s *Sealed) Rewrapped(kid string, wrapped []byte) (*Sealed, error) {
	h := s.h
	h.KID, h.Wrapped = kid, wrapped
	if err := checkHeader(&h); err != nil {
		return nil, err
	}
	raw := appendClear(make([]byte, 0, clearLen(&h)+len(s.raw)-s.saltAt), &h, h.SealedMeta)
	return parse(append(raw, s.raw[s.saltAt:]...))
}

// clearLen returns the bytes before the salt.
func clearLen(h *Header) int {
	n := headLen + 1 + len(h.KID) + 2 + len(h.Wrapped)
	if len(h.Pairs) > 0 {
		n += 2 + pairsLen(h.Pairs)
	}
	return n
}

// TextLen returns the characters of the metadata value for an envelope of h and a, before it is sealed
// (FORMAT.md 5.8). With h.Kind Token it is the length of the envelope as an object would carry it, not of a token.
func TextLen(h Header, a *Attributes) int {
	n := clearLen(&h) + saltLen + commitLen + attributesLen(h.Kind, a) + tagLen
	return len(textPrefix) + rawURL.EncodedLen(n)
}

func knownSuite(s stream.Suite) bool { return s == stream.AES256GCM || s == stream.ChaCha20Poly1305 }

// validKID checks the alphabet and length of FORMAT.md 3.3.
func validKID(kid string) bool {
	if kid == CustomerKID {
		return true
	}
	if len(kid) < 1 || len(kid) > maxKID {
		return false
	}
	for i := range len(kid) {
		c := kid[i]
		if !('A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

// isMajor reports whether text starts like the entry of another major version: a decimal number and a dot.
func isMajor(text string) bool {
	digits, _, found := strings.Cut(text, ".")
	return found && digits != "" && digits[0] != '0' && strings.Trim(digits, "0123456789") == ""
}

// decode64 decodes base64url and refuses everything that encoding would not give back.
func decode64(text string) ([]byte, bool) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, false
	}
	b, err := rawURL.DecodeString(text)
	return b, err == nil
}

// take returns b[at:at+n] and the offset behind it.
func take(b []byte, at, n int) ([]byte, int, bool) {
	if at > len(b) || n > len(b)-at {
		return nil, at, false
	}
	return b[at : at+n : at+n], at + n, true
}

// take16 takes a field that follows its BE16 length.
func take16(b []byte, at int) ([]byte, int, bool) {
	length, at, ok := take(b, at, 2)
	if !ok {
		return nil, at, false
	}
	return take(b, at, int(binary.BigEndian.Uint16(length)))
}

func append16(dst, field []byte) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(field))), field...)
}

func appendLP[T string | []byte](dst []byte, field T) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(field))), field...)
}

// takeLP takes a field that follows its BE32 length.
func takeLP(b []byte, at int) ([]byte, int, bool) {
	length, at, ok := take(b, at, 4)
	if !ok {
		return nil, at, false
	}
	n := binary.BigEndian.Uint32(length)
	if uint64(n) > uint64(len(b)-at) {
		return nil, at, false
	}
	return take(b, at, int(n))
}
