package main

import (
	"context"
	"crypto/tls"
	"log/slog"

	"s3veil/crypto/kms"
	"s3veil/crypto/kms/pkcs11"
)

// PKCS11Key holds the keys of the provider `pkcs11`: hardware security modules.
type PKCS11Key struct {
	// File of the PKCS #11 library. `key` is the label of an AES key of 256 bits, `label#id` or `#id` with the
	// id (CKA_ID) in lower-case hexadecimal digits.
	Module Path `yaml:"module"`
	// Label of the token. Left out, and without a serial number: the only token there is.
	TokenLabel string `yaml:"token_label"`
	// Serial number of the token.
	TokenSerial string `yaml:"token_serial"`
	// PIN of the token's user.
	PIN Secret `yaml:"pin"`
	// `aes-gcm`, `aes-key-wrap-pad` or `aes-key-wrap`. Left out: the first of them that the token offers.
	Mechanism string `yaml:"mechanism"`
	// The token makes the nonces of AES-GCM and refuses those of others.
	TokenNonce bool `yaml:"token_nonce" default:"false"`
	// Most sessions with the token at a time.
	Sessions int `yaml:"sessions" default:"8"`
}

func checkPKCS11(l *loaded, p string, k *KMSKey) {
	if !pkcs11.Built {
		l.wrong(p+".provider", "%s", pkcs11.ErrNotBuilt)
		return
	}
	l.checkToken(p, k)
}

// checkToken checks the keys of an entry with a token.
func (l *loaded) checkToken(p string, k *KMSKey) {
	t := &k.PKCS11
	if t.Module == "" {
		l.wrong(p+".module", "missing")
	}
	if k.Key == "" {
		l.wrong(p+".key", "missing")
	}
	if t.PIN == "" {
		l.wrong(p+".pin", "missing: pin_file, or pin")
	}
	if t.Mechanism != "" {
		l.oneOf(p+".mechanism", t.Mechanism, pkcs11.GCM, pkcs11.KeyWrapPad, pkcs11.KeyWrap)
	}
	if t.TokenNonce && t.Mechanism != "" && t.Mechanism != pkcs11.GCM {
		l.wrong(p+".token_nonce", "%s has no nonce", t.Mechanism)
	}
	between(l, p+".sessions", t.Sessions, 1, 1024, "1 and 1024")
}

func openPKCS11(_ context.Context, k *KMSKey, _ *tls.Config, _ *slog.Logger) (kms.Provider, error) {
	t := &k.PKCS11
	pin := t.PIN // a changed file is another entry, hence another provider
	return pkcs11.Open(pkcs11.Options{
		Module:    string(t.Module),
		Token:     t.TokenLabel,
		Serial:    t.TokenSerial,
		PIN:       func() ([]byte, error) { return []byte(pin.reveal()), nil },
		Mechanism: t.Mechanism,
		ModuleIV:  t.TokenNonce,
		Sessions:  t.Sessions,
		Keys:      []string{k.Key},
	})
}
