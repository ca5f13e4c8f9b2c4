package transit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"s3veil/crypto/kms"
)

// blobForm is the one text form of a blob that is accepted: vault:vN:BASE64, in OpenBao too. The servers take others for the
// same blob (v0, v+1 and v01 for v1, line breaks in the base64), which would make envelopes malleable.
var blobForm = regexp.MustCompile(`^vault:v([1-9][0-9]{0,8}):([A-Za-z0-9+/]+={0,2})$`)

// sealedKey is what 32 bytes become at least: nonce(12) ‖ key(32) ‖ tag(16).
const sealedKey = 12 + 32 + 16

// parseBlob returns the key version of a blob. The error is kms.ErrBadCiphertext.
func parseBlob(wrapped []byte) (version int, err error) {
	m := blobForm.FindSubmatch(wrapped)
	if m == nil {
		return 0, fmt.Errorf("%w: not a transit ciphertext", kms.ErrBadCiphertext)
	}
	sealed, err := base64.StdEncoding.Strict().DecodeString(string(m[2]))
	if err != nil || len(sealed) < sealedKey {
		return 0, fmt.Errorf("%w: not the transit ciphertext of a key", kms.ErrBadCiphertext)
	}
	version, err = strconv.Atoi(string(m[1]))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", kms.ErrBadCiphertext, err)
	}
	return version, nil
}

func isBlobError(err error) bool { return errors.Is(err, kms.ErrBadCiphertext) }
