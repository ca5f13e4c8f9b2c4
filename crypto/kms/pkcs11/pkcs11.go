// Package pkcs11 is the key provider for hardware security modules with a PKCS #11 library: SoftHSM, CloudHSM, Luna,
// YubiHSM and others. Intermediate keys are encrypted by an AES-256 key that stays in the token (FORMAT.md B.2).
//
// The library is C. The provider is therefore in a build of its own: `-tags pkcs11` and cgo. Without them Open says so.
package pkcs11

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// ErrNotBuilt is what Open returns in a build without the provider.
var ErrNotBuilt = errors.New("pkcs11: not in this build: it takes cgo and -tags pkcs11")

// Options say which token is used, and how.
type Options struct {
	Module string // file name of the token's PKCS #11 library
	// Token is the token's label, Serial its serial number; both may be given. Without either the library must show one
	// token only.
	Token, Serial string
	// PIN is asked for the user's PIN at every login, so that a changed one is found. The result is overwritten.
	PIN func() ([]byte, error)
	// Mechanism encrypts: GCM, KeyWrapPad or KeyWrap. Empty is the first of them that the token has. Blobs say which one made
	// them, so that a change leaves them readable.
	Mechanism string
	// ModuleIV lets the token make the nonces of GCM: it is given zeros and must write its own over them. Without it a random
	// nonce is proposed; a token that takes its own instead is noticed and served as well.
	ModuleIV bool
	Sessions int      // most of them at a time; 8 when zero
	Keys     []string // names that Health checks
}

// The mechanisms.
const (
	GCM        = "aes-gcm"          // CKM_AES_GCM, with the context as additional data
	KeyWrapPad = "aes-key-wrap-pad" // CKM_AES_KEY_WRAP_PAD (RFC 5649)
	KeyWrap    = "aes-key-wrap"     // CKM_AES_KEY_WRAP (RFC 3394)
)

// KeyName is the name of a key inside the provider: its label, its id (CKA_ID), or both; one must be given.
func KeyName(label string, id []byte) string {
	if len(id) == 0 {
		return label
	}
	return label + "#" + hex.EncodeToString(id)
}

// parseKeyName is the inverse of KeyName. A label may contain # if no lower-case hexadecimal digits alone follow the last
// one.
func parseKeyName(name string) (label string, id []byte) {
	if i := strings.LastIndexByte(name, '#'); i >= 0 && i+1 < len(name) {
		if id, err := hex.DecodeString(name[i+1:]); err == nil && strings.ToLower(name[i+1:]) == name[i+1:] {
			return name[:i], id
		}
	}
	return name, nil
}

// The first byte of a blob, and its length with it:
//
//	01 ‖ nonce(12) ‖ ciphertext(32) ‖ tag(16)       AES-GCM, additional data = canonical(context)
//	02 ‖ wrapped(40)                                AES key wrap with padding
//	03 ‖ wrapped(40)                                AES key wrap
const (
	formGCM        = 0x01
	formKeyWrapPad = 0x02
	formKeyWrap    = 0x03

	nonceLen   = 12
	tagLen     = 16
	keyLen     = 32
	wrappedLen = keyLen + 8
	gcmBlob    = 1 + nonceLen + keyLen + tagLen
	wrapBlob   = 1 + wrappedLen
)

// blob is a wrapped key taken apart.
type blob struct {
	form  byte
	nonce []byte // of GCM
	body  []byte
}

// parseBlob fails for everything that bytes cannot return.
func parseBlob(b []byte) (blob, error) {
	if len(b) == 0 {
		return blob{}, errors.New("empty")
	}
	switch form := b[0]; {
	case form == formGCM && len(b) == gcmBlob:
		return blob{form: form, nonce: b[1 : 1+nonceLen], body: b[1+nonceLen:]}, nil
	case (form == formKeyWrap || form == formKeyWrapPad) && len(b) == wrapBlob:
		return blob{form: form, body: b[1:]}, nil
	}
	return blob{}, fmt.Errorf("form %d with %d bytes", b[0], len(b))
}

// bytes is the blob as it is stored.
func (b blob) bytes() []byte {
	out := append(make([]byte, 0, gcmBlob), b.form)
	out = append(out, b.nonce...)
	return append(out, b.body...)
}
