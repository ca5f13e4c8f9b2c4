//go:build pkcs11 && cgo

package pkcs11

import (
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"

	"s3veil/crypto/kms"
)

// The classes of what a library answers. What stands in none of them is unavailability: it may pass.
var (
	// lost are the ends of a session, a login or a handle: everything is opened anew and the call repeated once.
	lost = []p11.Error{p11.CKR_SESSION_HANDLE_INVALID, p11.CKR_SESSION_CLOSED, p11.CKR_TOKEN_NOT_PRESENT, p11.CKR_TOKEN_NOT_RECOGNIZED,
		p11.CKR_SLOT_ID_INVALID, p11.CKR_DEVICE_REMOVED, p11.CKR_DEVICE_ERROR, p11.CKR_USER_NOT_LOGGED_IN,
		p11.CKR_OBJECT_HANDLE_INVALID, p11.CKR_KEY_HANDLE_INVALID, p11.CKR_WRAPPING_KEY_HANDLE_INVALID,
		p11.CKR_UNWRAPPING_KEY_HANDLE_INVALID, p11.CKR_CRYPTOKI_NOT_INITIALIZED, p11.CKR_OPERATION_ACTIVE}
	// forged are the definite words on a ciphertext.
	forged = []p11.Error{p11.CKR_ENCRYPTED_DATA_INVALID, p11.CKR_ENCRYPTED_DATA_LEN_RANGE, p11.CKR_WRAPPED_KEY_INVALID,
		p11.CKR_WRAPPED_KEY_LEN_RANGE, 0x42 /* CKR_AEAD_DECRYPT_FAILED of version 3.0 */, p11.CKR_SIGNATURE_INVALID, p11.CKR_DATA_INVALID, p11.CKR_DATA_LEN_RANGE}
	denied = []p11.Error{p11.CKR_PIN_INCORRECT, p11.CKR_PIN_INVALID, p11.CKR_PIN_LEN_RANGE, p11.CKR_PIN_EXPIRED, p11.CKR_PIN_LOCKED,
		p11.CKR_USER_PIN_NOT_INITIALIZED, p11.CKR_USER_TYPE_INVALID, p11.CKR_USER_ANOTHER_ALREADY_LOGGED_IN, p11.CKR_FUNCTION_REJECTED,
		p11.CKR_KEY_UNEXTRACTABLE, p11.CKR_ATTRIBUTE_SENSITIVE}
	disabled = []p11.Error{p11.CKR_KEY_FUNCTION_NOT_PERMITTED, p11.CKR_KEY_NOT_WRAPPABLE}
	crowded  = []p11.Error{p11.CKR_SESSION_COUNT, p11.CKR_DEVICE_MEMORY, p11.CKR_HOST_MEMORY}
)

// is reports whether err is an answer of the library that stands in list.
func is(err error, list []p11.Error) bool {
	var e p11.Error
	if !errors.As(err, &e) {
		return false
	}
	for _, other := range list {
		if e == other {
			return true
		}
	}
	return false
}

// classified gives an error of the library its class (FORMAT.md B.1). Errors that have one keep it.
func classified(err error) error {
	var e p11.Error
	if errors.Is(err, errToken) {
		return fmt.Errorf("%w: %w", kms.ErrUnavailable, err)
	}
	if !errors.As(err, &e) {
		return err
	}
	class := kms.ErrUnavailable
	switch {
	case is(err, denied):
		class = kms.ErrAccessDenied
	case is(err, disabled):
		class = kms.ErrKeyDisabled
	case is(err, crowded):
		class = kms.ErrThrottled
	}
	return fmt.Errorf("%w: %w", class, err)
}
