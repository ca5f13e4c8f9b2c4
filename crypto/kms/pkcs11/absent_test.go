//go:build !(pkcs11 && cgo)

package pkcs11_test

import (
	"errors"
	"strings"
	"testing"

	"s3veil/crypto/kms/pkcs11"
)

func TestBuildsWithoutTheTagSaySo(t *testing.T) {
	_, err := pkcs11.Open(pkcs11.Options{Module: "x"})
	if !errors.Is(err, pkcs11.ErrNotBuilt) || !strings.Contains(err.Error(), "-tags pkcs11") || pkcs11.Built {
		t.Errorf("%v", err)
	}
}
