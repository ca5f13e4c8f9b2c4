package s3ec

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
)

var errUnwrap = errors.New("the wrapped key does not open")

// unwrap3394 is the key unwrapping of RFC 3394 2.2.2.
func unwrap3394(block cipher.Block, in []byte) ([]byte, error) {
	n := len(in)/8 - 1
	if len(in)%8 != 0 || n < 2 || n > 4 {
		return nil, fmt.Errorf("%w: encrypted data key of %d bytes", ErrMalformed, len(in))
	}
	var b [aes.BlockSize]byte
	copy(b[:8], in)
	r := append([]byte(nil), in[8:]...)
	for t := 6 * n; t > 0; t-- {
		i := (t - 1) % n
		binary.BigEndian.PutUint64(b[:8], binary.BigEndian.Uint64(b[:8])^uint64(t))
		copy(b[8:], r[8*i:8*i+8])
		block.Decrypt(b[:], b[:])
		copy(r[8*i:], b[8:])
	}
	if subtle.ConstantTimeCompare(b[:8], []byte{0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6}) != 1 {
		clear(r)
		return nil, errUnwrap
	}
	return r, nil
}

// unwrapECB opens a key that version 1 encrypted with AES/ECB/PKCS#5.
func unwrapECB(block cipher.Block, in []byte) ([]byte, error) {
	if len(in) == 0 || len(in)%aes.BlockSize != 0 {
		return nil, fmt.Errorf("%w: encrypted data key of %d bytes", ErrMalformed, len(in))
	}
	out := make([]byte, len(in))
	for i := 0; i < len(in); i += aes.BlockSize {
		block.Decrypt(out[i:], in[i:i+aes.BlockSize])
	}
	n, ok := unpad(out)
	if !ok {
		clear(out)
		return nil, errUnwrap
	}
	return out[:n:n], nil
}

// openCBC decrypts in place and returns the plaintext. AES-CBC content is not authenticated: the padding is the only
// check there is.
func openCBC(block cipher.Block, h *Header, body []byte) ([]byte, error) {
	if len(body) == 0 || len(body)%aes.BlockSize != 0 {
		return nil, fmt.Errorf("%w: %d bytes of AES-CBC", ErrContent, len(body))
	}
	cipher.NewCBCDecrypter(block, h.IV).CryptBlocks(body, body)
	n, ok := unpad(body)
	if !ok || h.PlainLen >= 0 && int64(n) != h.PlainLen {
		clear(body)
		return nil, fmt.Errorf("%w: padding", ErrContent)
	}
	return body[:n:n], nil
}

// unpad returns the length without PKCS#5 padding.
func unpad(b []byte) (int, bool) {
	pad := int(b[len(b)-1])
	if pad < 1 || pad > aes.BlockSize || pad > len(b) {
		return 0, false
	}
	for _, c := range b[len(b)-pad:] {
		if int(c) != pad {
			return 0, false
		}
	}
	return len(b) - pad, true
}
