// Package partnote is what a proxy remembers of the parts of an open upload (FORMAT.md 9.9): a sealed note per part in the
// name of an empty object, so that one listing gives those of a thousand parts. Bytes only: no HTTP, no logging, no clock.
//
// A note says which checksum the plaintext of a part has, and by the store's ETag which upload of that part number it
// belongs to. Whoever does not have the upload's key can leave notes away, and no more.
package partnote

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kdf"
	"s3veil/crypto/kms"
	"s3veil/crypto/size"
)

// The labels of FORMAT.md 3.1 that this package uses.
const (
	labelNote = "s3veil/1/partnote"
	labelAAD  = "s3veil/1/aad"
)

const (
	nonceLen  = 12
	tagLen    = 16
	digestLen = 16
	crc64nvme = 0x03 // FORMAT.md 5.4
	crc64Len  = 8
)

// ErrNote is the class of every name that is no authentic note of the upload.
var ErrNote = errors.New("partnote: invalid")

// random is the source of nonces; tests replace it.
var random io.Reader = rand.Reader

// Note is what is remembered of one upload of a part.
type Note struct {
	ETag Digest // of the store's ETag
	// Sum is the part's checksum as its client knows it: of the algorithm declared for the upload, or the one sent with the
	// part where none was declared. nil: none.
	Sum *envelope.Checksum
	// Default is the CRC64NVME of a part of an upload without a declared algorithm, 8 bytes; nil where Sum is that already or an
	// algorithm was declared.
	Default []byte
}

// Digest stands for an ETag in a note.
type Digest [digestLen]byte

// DigestOf returns the digest of a store's ETag without its quotes.
func DigestOf(etag string) Digest {
	sum := sha256.Sum256([]byte(etag))
	return Digest(sum[:digestLen])
}

// Equal reports whether two notes say the same.
func (n *Note) Equal(o *Note) bool { return string(n.encode()) == string(o.encode()) }

// encode returns the plaintext of a note.
func (n *Note) encode() []byte {
	out := append([]byte(nil), n.ETag[:]...)
	if n.Sum == nil {
		out = append(out, 0)
	} else {
		out = append(append(out, n.Sum.Algorithm), n.Sum.Value...)
	}
	return append(out, n.Default...)
}

// check refuses what a reader would refuse.
func (n *Note) check() error {
	if s := n.Sum; s != nil && (envelope.ChecksumLen(s.Algorithm) == 0 || len(s.Value) != envelope.ChecksumLen(s.Algorithm)) {
		return fmt.Errorf("%w: checksum", ErrNote)
	}
	if n.Default != nil && (len(n.Default) != crc64Len || n.Sum != nil && n.Sum.Algorithm == crc64nvme) {
		return fmt.Errorf("%w: default checksum", ErrNote)
	}
	return nil
}

func decode(b []byte) (*Note, error) {
	if len(b) < digestLen+1 {
		return nil, fmt.Errorf("%w: too short", ErrNote)
	}
	n := &Note{ETag: Digest(b[:digestLen])}
	algorithm, rest := b[digestLen], b[digestLen+1:]
	if algorithm != 0 {
		c := envelope.ChecksumLen(algorithm)
		if c == 0 || len(rest) < c {
			return nil, fmt.Errorf("%w: checksum", ErrNote)
		}
		n.Sum = &envelope.Checksum{Algorithm: algorithm, Value: rest[:c:c]}
		rest = rest[c:]
	}
	if len(rest) > 0 {
		n.Default = rest
	}
	return n, n.check()
}

// Key seals and opens the notes of one upload.
type Key struct {
	aead   cipher.AEAD
	prefix string
	aad    []byte // without the part number
}

// NewKey derives K_note (FORMAT.md 9.9). secret is the DEK, or TLV 09 where the upload has it; loc has the bound bucket name and the
// key, whatever the binding level.
func NewKey(secret *kms.Key32, upstreamID string, loc envelope.Location) *Key {
	id := sha256.Sum256([]byte(upstreamID))
	var key [kdf.Size]byte
	kdf.Key(&key, secret[:], id[:], labelNote)
	defer clear(key[:])
	block, err := aes.NewCipher(key[:])
	must(err)
	gcm, err := cipher.NewGCM(block)
	must(err)
	aad := []byte(labelAAD)
	for _, field := range []string{upstreamID, loc.Bucket, loc.Key} {
		aad = binary.BigEndian.AppendUint32(aad, uint32(len(field)))
		aad = append(aad, field...)
	}
	return &Key{aead: gcm, prefix: Prefix(upstreamID), aad: aad}
}

func (k *Key) additional(part int) []byte {
	return binary.BigEndian.AppendUint16(k.aad[:len(k.aad):len(k.aad)], uint16(part))
}

// Prefix returns what the names of all notes of an upload start with.
func Prefix(upstreamID string) string { return envelope.StateName(upstreamID) + "." }

// Before returns a key in front of all notes of part and of those behind it, and behind all others, for a listing.
func Before(upstreamID string, part int) string {
	return fmt.Sprintf("%s%05d", Prefix(upstreamID), part)
}

// Name seals a note of a part, 1–10,000, as the name of the empty object that carries it. A note that a reader would refuse panics.
func (k *Key) Name(part int, n *Note) string {
	must(n.check())
	sealed := make([]byte, nonceLen, nonceLen+digestLen+1+64+crc64Len+tagLen)
	_, err := io.ReadFull(random, sealed)
	must(err)
	sealed = k.aead.Seal(sealed, sealed[:nonceLen], n.encode(), k.additional(part))
	return fmt.Sprintf("%s%05d.%s", k.prefix, part, base64.RawURLEncoding.EncodeToString(sealed))
}

// Part returns the part number in a name of this upload, without opening it; ok is false for names of another shape.
func (k *Key) Part(name string) (part int, ok bool) {
	part, _, err := k.split(name)
	return part, err == nil
}

// Open parses and authenticates a name. Every failure is ErrNote.
func (k *Key) Open(name string) (part int, n *Note, err error) {
	part, sealed, err := k.split(name)
	if err != nil {
		return 0, nil, err
	}
	plain, err := k.aead.Open(nil, sealed[:nonceLen], sealed[nonceLen:], k.additional(part))
	if err != nil {
		return 0, nil, fmt.Errorf("%w: authentication failed", ErrNote)
	}
	n, err = decode(plain)
	return part, n, err
}

// split parses a name. Only the canonical encoding is accepted.
func (k *Key) split(name string) (part int, sealed []byte, err error) {
	rest, ok := strings.CutPrefix(name, k.prefix)
	number, text, dot := strings.Cut(rest, ".")
	if !ok || !dot || len(number) != 5 {
		return 0, nil, fmt.Errorf("%w: name", ErrNote)
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n < 1 || n > size.MaxParts {
		return 0, nil, fmt.Errorf("%w: part number", ErrNote)
	}
	sealed, err = base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") || len(sealed) < nonceLen+tagLen {
		return 0, nil, fmt.Errorf("%w: encoding", ErrNote)
	}
	return int(n), sealed, nil
}

// must panics for what no input can cause.
func must(err error) {
	if err != nil {
		panic("partnote: " + err.Error())
	}
}
