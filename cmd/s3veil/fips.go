package main

import (
	"crypto/fips140"
	"errors"
)

// fipsMode says which cryptographic module runs and whether in FIPS 140-3 mode. The suites of the object format choose their
// nonces themselves, so the mode is never called approved (FORMAT.md 3.2).
func fipsMode() string {
	switch {
	case !fips140.Enabled():
		return "off"
	case fips140.Version() == "latest":
		return "on (Go cryptographic module of this Go release, not validated)"
	}
	return "on (Go cryptographic module " + fips140.Version() + ")"
}

// errEnforced is why nothing works under fips140=only: the first object would end the process.
var errEnforced = errors.New("GODEBUG=fips140=only forbids AES-GCM with nonces that the caller chooses, and no suite of the " +
	"object format does without (crypto/FORMAT.md 3.2): run with fips140=on, which FIPS builds have by default")

// refuseEnforced keeps every command that could need a key from starting under fips140=only.
func refuseEnforced() error {
	if fips140.Enforced() {
		return errEnforced
	}
	return nil
}

// checkFIPS refuses what would use cryptography from outside the module in FIPS 140-3 mode. MD5, SHA-1 and CRC remain as
// checksums that S3 prescribes; they protect nothing against an enemy.
func (l *loaded) checkFIPS(on bool) {
	if !on {
		return
	}
	const suite = "suite 2 (ChaCha20-Poly1305) is not part of the FIPS module that this process runs with; suite 1 (AES-256-GCM) is"
	if l.Format.Write == 2 {
		l.wrong("format.write", suite)
	}
	for i, s := range l.Format.Read {
		if s == 2 {
			l.wrong(index("format.read", i), suite)
		}
	}
	for i := range l.Clients {
		if l.Clients[i].SigV2 {
			l.wrong(index("clients", i)+".sigv2", "version 2 signatures are HMAC-SHA-1, which is not part of the FIPS module that this process runs with")
		}
	}
}
