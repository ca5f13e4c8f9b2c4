//go:build pkcs11 && cgo

package pkcs11

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	p11 "github.com/miekg/pkcs11"

	"s3veil/crypto/kms"
)

// forms are the mechanisms in the order of preference.
var forms = []struct {
	name      string
	form      byte
	mechanism uint
}{{GCM, formGCM, p11.CKM_AES_GCM}, {KeyWrapPad, formKeyWrapPad, p11.CKM_AES_KEY_WRAP_PAD}, {KeyWrap, formKeyWrap, p11.CKM_AES_KEY_WRAP}}

// number reads a CK_ULONG of the machine.
func number(b []byte) uint {
	switch {
	case len(b) == 8 && unsafe.Sizeof(uint(0)) == 8:
		return uint(binary.NativeEndian.Uint64(b))
	case len(b) == 4:
		return uint(binary.NativeEndian.Uint32(b))
	}
	return 0
}

// form is the form of new blobs, by the mechanisms of the token.
func (s *session) form() (byte, error) {
	t := s.t
	t.mu.Lock()
	known := t.wraps
	t.mu.Unlock()
	if known != 0 {
		return known, nil
	}
	list, err := s.GetMechanismList(s.slot)
	if err != nil {
		return 0, fmt.Errorf("mechanisms: %w", err)
	}
	for _, f := range forms {
		offered := slices.ContainsFunc(list, func(m *p11.Mechanism) bool { return m.Mechanism == f.mechanism })
		if offered && (t.opts.Mechanism == "" || t.opts.Mechanism == f.name) {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.wraps = f.form
			return f.form, nil
		}
	}
	return 0, fmt.Errorf("%w: the token does not offer %s", kms.ErrUnavailable,
		cmp.Or(t.opts.Mechanism, "any of "+GCM+", "+KeyWrapPad+", "+KeyWrap))
}

// wrap encrypts key under a key of the token.
func (s *session) wrap(kek string, key *kms.Key32, aad []byte) ([]byte, error) {
	h, err := s.key(kek)
	if err != nil {
		return nil, err
	}
	form, err := s.form()
	if err != nil {
		return nil, err
	}
	b := blob{form: form}
	if form == formGCM {
		b.nonce, b.body, err = s.sealGCM(h, key, aad)
	} else {
		b.body, err = s.wrapKey(form, h, key)
	}
	if err != nil {
		return nil, fmt.Errorf("wrap under %q: %w", kek, err)
	}
	return b.bytes(), nil
}

// errNonce: a token that was to make its own nonce left zeros. Two of them under one key would give both plaintexts away.
var errNonce = errors.New("the token has not made a nonce of its own")

func (s *session) sealGCM(h p11.ObjectHandle, key *kms.Key32, aad []byte) (nonce, body []byte, err error) {
	proposed := make([]byte, nonceLen)
	if !s.t.opts.ModuleIV {
		_, _ = rand.Read(proposed) // never fails: a missing generator ends the program
	}
	params := p11.NewGCMParams(proposed, aad, tagLen*8)
	defer params.Free()
	if err := s.EncryptInit(s.handle, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_GCM, params)}, h); err != nil {
		return nil, nil, err
	}
	if body, err = s.Encrypt(s.handle, key[:]); err != nil {
		return nil, nil, err
	}
	nonce = params.IV()
	if len(nonce) != nonceLen || [nonceLen]byte(nonce) == [nonceLen]byte{} {
		return nil, nil, fmt.Errorf("%w: %w", kms.ErrUnavailable, errNonce)
	}
	if len(body) != keyLen+tagLen {
		return nil, nil, fmt.Errorf("%w: the token's ciphertext has %d bytes", kms.ErrUnavailable, len(body))
	}
	return nonce, body, nil
}

// temporary describes a key object that lives as long as the session and gives its value out.
func temporary(more ...*p11.Attribute) []*p11.Attribute {
	return append([]*p11.Attribute{p11.NewAttribute(p11.CKA_CLASS, p11.CKO_SECRET_KEY), p11.NewAttribute(p11.CKA_KEY_TYPE, p11.CKK_GENERIC_SECRET),
		p11.NewAttribute(p11.CKA_TOKEN, false), p11.NewAttribute(p11.CKA_PRIVATE, false), p11.NewAttribute(p11.CKA_SENSITIVE, false),
		p11.NewAttribute(p11.CKA_EXTRACTABLE, true)}, more...)
}

// wrapKey takes the detour over an object in the token: key wrap is not offered for data.
func (s *session) wrapKey(form byte, h p11.ObjectHandle, key *kms.Key32) ([]byte, error) {
	object, err := s.CreateObject(s.handle, temporary(p11.NewAttribute(p11.CKA_VALUE, key[:])))
	if err != nil {
		return nil, fmt.Errorf("create a session key: %w", err)
	}
	body, err := s.WrapKey(s.handle, wrapping(form), h, object)
	if err = errors.Join(err, s.DestroyObject(s.handle, object)); err != nil {
		return nil, err
	}
	if len(body) != wrappedLen {
		return nil, fmt.Errorf("%w: the token's ciphertext has %d bytes", kms.ErrUnavailable, len(body))
	}
	return body, nil
}

func wrapping(form byte) []*p11.Mechanism {
	if form == formKeyWrap {
		return []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_KEY_WRAP, nil)}
	}
	return []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_KEY_WRAP_PAD, nil)}
}

// unwrap decrypts a blob.
func (s *session) unwrap(kek string, b blob, aad []byte) (*kms.Key32, error) {
	h, err := s.key(kek)
	if err != nil {
		return nil, err
	}
	var plain []byte
	if b.form == formGCM {
		plain, err = s.openGCM(h, b, aad)
	} else {
		plain, err = s.unwrapKey(h, b)
	}
	defer clear(plain)
	if err != nil {
		return nil, fmt.Errorf("unwrap under %q: %w", kek, err)
	}
	if len(plain) != keyLen {
		return nil, fmt.Errorf("%w: pkcs11: a key of %d bytes under %q", kms.ErrBadCiphertext, len(plain), kek)
	}
	key := kms.Key32(plain)
	return &key, nil
}

func (s *session) openGCM(h p11.ObjectHandle, b blob, aad []byte) ([]byte, error) {
	params := p11.NewGCMParams(b.nonce, aad, tagLen*8)
	defer params.Free()
	if err := s.DecryptInit(s.handle, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_GCM, params)}, h); err != nil {
		return nil, err
	}
	plain, err := s.Decrypt(s.handle, b.body)
	return plain, opened(err)
}

func (s *session) unwrapKey(h p11.ObjectHandle, b blob) ([]byte, error) {
	object, err := s.UnwrapKey(s.handle, wrapping(b.form), h, b.body, temporary())
	if err != nil {
		return nil, opened(err)
	}
	attrs, err := s.GetAttributeValue(s.handle, object, []*p11.Attribute{p11.NewAttribute(p11.CKA_VALUE, nil)})
	if err = errors.Join(err, s.DestroyObject(s.handle, object)); err != nil {
		return nil, err
	}
	return attrs[0].Value, nil
}

// errVague is an answer to a decryption that can mean a forged ciphertext as well as a token in trouble.
var errVague = errors.New("decryption failed")

// opened gives an error of a decryption its class, or none where the library does not say enough.
func opened(err error) error {
	switch {
	case err == nil:
		return nil
	case is(err, forged):
		return fmt.Errorf("%w: %w", kms.ErrBadCiphertext, err)
	case is(err, []p11.Error{p11.CKR_GENERAL_ERROR, p11.CKR_FUNCTION_FAILED, p11.CKR_ARGUMENTS_BAD}):
		return fmt.Errorf("%w: %w", errVague, err)
	}
	return err
}
