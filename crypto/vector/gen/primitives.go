package main

import (
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"

	"s3veil/crypto/vector"
)

// seq returns n bytes that count up from first.
func seq(first, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(first + i)
	}
	return b
}

// pattern returns n bytes that do not repeat.
func pattern(n int, seed string) []byte {
	out := make([]byte, 0, n+32)
	for i := uint32(0); len(out) < n; i++ {
		out = append(out, sum(binary.BigEndian.AppendUint32([]byte(seed), i))...)
	}
	return out[:n]
}

func sum(b []byte) []byte { s := sha256.Sum256(b); return s[:] }

func mac(key, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(data)
	return h.Sum(nil)
}

// extract and expand are HKDF-SHA256 for 32 bytes of output (RFC 5869).
func extract(salt, ikm []byte) []byte {
	if len(salt) == 0 {
		salt = make([]byte, 32)
	}
	return mac(salt, ikm)
}

func expand(prk []byte, info string) []byte { return mac(prk, append([]byte(info), 1)) }

func hkdf(ikm, salt []byte, info string) []byte { return expand(extract(salt, ikm), info) }

func gcm(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return aead
}

func lp(parts ...string) string {
	var b []byte
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return string(b)
}

func be16(n int) string   { return string(binary.BigEndian.AppendUint16(nil, uint16(n))) }
func be32(n int) string   { return string(binary.BigEndian.AppendUint32(nil, uint32(n))) }
func be64(n int64) string { return string(binary.BigEndian.AppendUint64(nil, uint64(n))) }

// tlv is an attribute of an envelope, mtlv one of a manifest.
func tlv(typ int, value string) string  { return string([]byte{byte(typ)}) + be16(len(value)) + value }
func mtlv(typ int, value string) string { return string([]byte{byte(typ)}) + be32(len(value)) + value }

// pair is a name and a value.
type pair struct{ name, value string }

// canonical is canonical(context) of FORMAT.md 4.3.
func canonical(pairs ...pair) string {
	slices.SortFunc(pairs, func(a, b pair) int { return cmp.Compare(a.name, b.name) })
	out := ""
	for _, p := range pairs {
		out += lp(p.name, p.value)
	}
	return out
}

// realmContext is the canonical context of a realm and client pairs.
func realmContext(realm string, pairs ...pair) string {
	return canonical(append([]pair{{"s3veil", "1"}, {"realm", realm}}, pairs...)...)
}

// bind is IKEK' of FORMAT.md 4.3.
func bind(ikek []byte, context string) []byte { return hkdf(ikek, nil, "s3veil/1/ikek"+context) }

// blob wraps an IKEK as in B.3 with fixed random values.
func blob(key []byte, label string, ikek []byte, context string) []byte {
	s, v := seq(0x80, 16), seq(0x90, 12)
	out := append(slices.Clone(s), v...)
	return gcm(hkdf(key, s, label+context)).Seal(out, v, ikek, nil)
}

// flip returns b with one bit of byte i changed; a negative i counts from the end.
func flip(b []byte, i int) []byte {
	out := slices.Clone(b)
	if i < 0 {
		i += len(b)
	}
	out[i] ^= 1
	return out
}

// The fields of headers.
func text(name, value string) vector.Field { return vector.Field{Name: name, Value: value} }
func num(name string, n int) vector.Field  { return text(name, strconv.Itoa(n)) }
func hexa[T string | []byte](name string, b T) vector.Field {
	return text(name, hex.EncodeToString([]byte(b)))
}
func words(name, first, second string) vector.Field {
	return text(name, vector.Word(first)+" "+vector.Word(second))
}
