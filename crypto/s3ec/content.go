package s3ec

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha512"
	"crypto/subtle"
	"fmt"

	"s3veil/crypto/kms"
)

// MaxObject is the longest plaintext of one GCM, in bytes (SP 800-38D 5.2.1.1).
const MaxObject = 1<<36 - 32

// suiteInfo is the algorithm suite as it enters key derivation and the additional data of V3: 0x73 in two bytes.
const suiteInfo = "\x00\x73"

// ContentKey returns the key that encrypts the content, from the data key of Keys.Open. V3 derives it and compares the
// commitment in constant time, else ErrCommitment (FORMAT.md A.2 step 3).
func ContentKey(h *Header, data kms.Key32) (kms.Key32, error) {
	if h.Cipher != GCMDerived {
		return data, nil
	}
	prk, err := hkdf.Extract(sha512.New, data[:], h.MessageID)
	if err != nil {
		return kms.Key32{}, fmt.Errorf("%w: %w", ErrCommitment, err)
	}
	defer clear(prk)
	got, err := hkdf.Expand(sha512.New, prk, suiteInfo+"COMMITKEY", committed)
	if err != nil || subtle.ConstantTimeCompare(got, h.Commitment) != 1 {
		return kms.Key32{}, ErrCommitment
	}
	key, err := hkdf.Expand(sha512.New, prk, suiteInfo+"DERIVEKEY", len(kms.Key32{}))
	if err != nil {
		return kms.Key32{}, fmt.Errorf("%w: %w", ErrCommitment, err)
	}
	defer clear(key)
	return kms.Key32(key), nil
}

// Open decrypts a whole body in place under the key of ContentKey and returns its plaintext. Errors are ErrContent.
func Open(h *Header, key kms.Key32, body []byte) ([]byte, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	if h.Cipher == CBC {
		return openCBC(block, h, body)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	var aad []byte
	if h.Cipher == GCMDerived {
		aad = []byte(suiteInfo)
	}
	plain, err := aead.Open(body[:0], h.IV, body, aad)
	if err != nil || h.PlainLen >= 0 && int64(len(plain)) != h.PlainLen {
		clear(body)
		return nil, ErrContent
	}
	return plain, nil
}

// PlainSize returns the plaintext length of a body of stored bytes. exact is false for AES-CBC whose writer did not
// declare it: then up to 16 bytes of the result are padding. A length that cannot be is ErrContent.
func PlainSize(h *Header, stored int64) (n int64, exact bool, err error) {
	if h.Cipher != CBC {
		if n = stored - tagLen; n < 0 || n > MaxObject || h.PlainLen >= 0 && n != h.PlainLen {
			return 0, false, fmt.Errorf("%w: length", ErrContent)
		}
		return n, true, nil
	}
	if stored <= 0 || stored%aes.BlockSize != 0 || h.PlainLen >= 0 && stored-h.PlainLen != aes.BlockSize-h.PlainLen%aes.BlockSize {
		return 0, false, fmt.Errorf("%w: length", ErrContent)
	}
	if h.PlainLen >= 0 {
		return h.PlainLen, true, nil
	}
	return stored - 1, false, nil
}

// TailSize returns the plaintext length of an AES-CBC body of stored bytes whose writer did not declare it. tail is the
// last two blocks of the body, or the whole of a body of one block.
func TailSize(h *Header, key kms.Key32, stored int64, tail []byte) (int64, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return 0, err
	}
	iv := h.IV
	switch {
	case len(tail) == 2*aes.BlockSize:
		iv, tail = tail[:aes.BlockSize], tail[aes.BlockSize:]
	case len(tail) != aes.BlockSize || stored != aes.BlockSize:
		return 0, fmt.Errorf("%w: length", ErrContent)
	}
	last := make([]byte, aes.BlockSize)
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(last, tail)
	n, ok := unpad(last)
	if !ok {
		return 0, fmt.Errorf("%w: padding", ErrContent)
	}
	return stored - aes.BlockSize + int64(n), nil
}
