//go:build pkcs11 && cgo

package pkcs11

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	p11 "github.com/miekg/pkcs11"

	"s3veil/crypto/kms"
)

func TestCallsThatHangAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		key, dropped := &kms.Key32{1}, make(chan struct{})
		out, err := background(ctx, func() (*kms.Key32, error) {
			time.Sleep(time.Minute)
			return key, nil
		}, func(k *kms.Key32) {
			k.Zero()
			close(dropped)
		})
		if !errors.Is(err, context.DeadlineExceeded) || out != nil {
			t.Errorf("%v, %v", out, err)
		}
		if <-dropped; *key != (kms.Key32{}) {
			t.Error("what came of it in the end is kept")
		}
		if out, err := background(t.Context(), func() (int, error) { return 7, nil }, func(int) { t.Error("dropped") }); out != 7 || err != nil {
			t.Errorf("%d, %v", out, err)
		}
	})
}

func TestErrorClasses(t *testing.T) {
	for code, want := range map[p11.Error]error{
		p11.CKR_PIN_INCORRECT:              kms.ErrAccessDenied,
		p11.CKR_PIN_LOCKED:                 kms.ErrAccessDenied,
		p11.CKR_KEY_FUNCTION_NOT_PERMITTED: kms.ErrKeyDisabled,
		p11.CKR_SESSION_COUNT:              kms.ErrThrottled,
		p11.CKR_DEVICE_ERROR:               kms.ErrUnavailable,
		p11.CKR_TOKEN_NOT_PRESENT:          kms.ErrUnavailable,
		p11.CKR_GENERAL_ERROR:              kms.ErrUnavailable,
		p11.CKR_VENDOR_DEFINED:             kms.ErrUnavailable,
	} {
		if err := fail(code); !errors.Is(err, want) || !errors.Is(err, code) {
			t.Errorf("%v becomes %v", code, err)
		}
	}
	for code, want := range map[p11.Error]error{
		p11.CKR_ENCRYPTED_DATA_INVALID: kms.ErrBadCiphertext,
		p11.CKR_WRAPPED_KEY_INVALID:    kms.ErrBadCiphertext,
		p11.CKR_GENERAL_ERROR:          errVague,
		p11.CKR_FUNCTION_FAILED:        errVague,
		p11.CKR_DEVICE_REMOVED:         p11.Error(p11.CKR_DEVICE_REMOVED),
	} {
		if err := opened(code); !errors.Is(err, want) {
			t.Errorf("%v of a decryption becomes %v", code, err)
		}
	}
	if fail(nil) != nil || opened(nil) != nil {
		t.Error("success has become an error")
	}
}
