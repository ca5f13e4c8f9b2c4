package s3ec

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the format's OAEP is of SHA-1
	"errors"
	"fmt"
	"maps"

	"s3veil/crypto/kms"
)

// Keys are the keys of former users of the S3 Encryption Client. Every key that suits an object's wrapping is tried in
// order. It is safe for concurrent use.
type Keys struct {
	KMS []KMSKey
	AES []kms.Key32
	RSA []*rsa.PrivateKey
}

// KMSKey is a key of AWS KMS. Context holds the pairs that the writer was configured with; an object must carry exactly
// these beside the names reserved by the format, so that an object of another context cannot be passed off.
type KMSKey struct {
	Provider kms.Provider
	Key      string
	Context  map[string]string
}

// Open returns the data key of an object. Errors are ErrNoKey, ErrMalformed and those of a KMS that did not answer
// (kms.ErrThrottled, kms.ErrUnavailable).
func (k *Keys) Open(ctx context.Context, h *Header) (kms.Key32, error) {
	var (
		key   []byte
		err   error
		tried bool
	)
	try := func(open func() ([]byte, error)) bool {
		tried = true
		key, err = open()
		return err == nil || errors.Is(err, kms.ErrThrottled) || errors.Is(err, kms.ErrUnavailable) || ctx.Err() != nil
	}
	k.each(ctx, h, try)
	if err != nil {
		if errors.Is(err, kms.ErrThrottled) || errors.Is(err, kms.ErrUnavailable) || ctx.Err() != nil {
			return kms.Key32{}, err
		}
		return kms.Key32{}, fmt.Errorf("%w: %w", ErrNoKey, err)
	}
	if !tried {
		return kms.Key32{}, fmt.Errorf("%w: none is configured for its kind of wrapping", ErrNoKey)
	}
	defer clear(key)
	if len(key) != len(kms.Key32{}) {
		return kms.Key32{}, fmt.Errorf("%w: data key of %d bytes", ErrUnsupported, len(key))
	}
	return kms.Key32(key), nil
}

// each calls try with every way to open the data key until one returns true.
func (k *Keys) each(ctx context.Context, h *Header, try func(func() ([]byte, error)) bool) {
	switch h.Wrapping {
	case KMSContext, KMS:
		for i := range k.KMS {
			if try(func() ([]byte, error) { return k.KMS[i].open(ctx, h) }) {
				return
			}
		}
	case AESGCM, AESWrap, ECB:
		for i := range k.AES {
			if try(func() ([]byte, error) { return unwrapAES(k.AES[i], h) }) {
				return
			}
		}
	case RSAOAEP:
		for _, key := range k.RSA {
			if try(func() ([]byte, error) { return unwrapRSA(key, h) }) {
				return
			}
		}
	}
}

func (k *KMSKey) open(ctx context.Context, h *Header) ([]byte, error) {
	own := maps.Clone(h.Context)
	maps.DeleteFunc(own, func(name, _ string) bool { return name == boundAlgorithm || name == "kms_cmk_id" })
	if !maps.Equal(own, k.Context) && len(own)+len(k.Context) > 0 {
		return nil, errors.New("the object's encryption context is not the configured one")
	}
	key, err := k.Provider.Unwrap(ctx, k.Key, h.EDK, kms.Context(h.Context))
	if err != nil {
		return nil, err
	}
	defer key.Zero()
	return append([]byte(nil), key[:]...), nil
}

// algorithm is the name of the content's algorithm as wrappings bind it.
func (h *Header) algorithm() string {
	switch h.Cipher {
	case CBC:
		return cbcName
	case GCM:
		return gcmName
	default:
		return derivedID
	}
}

// unwrapAES opens EDKs of raw AES keys (FORMAT.md A.2). Only AES/GCM is authenticated and bound to the algorithm.
func unwrapAES(kek kms.Key32, h *Header) ([]byte, error) {
	block, err := aes.NewCipher(kek[:])
	if err != nil {
		return nil, err
	}
	switch h.Wrapping {
	case AESGCM:
		if len(h.EDK) != 12+32+tagLen {
			return nil, fmt.Errorf("%w: encrypted data key of %d bytes", ErrMalformed, len(h.EDK))
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		return aead.Open(nil, h.EDK[:12], h.EDK[12:], []byte(h.algorithm()))
	case AESWrap:
		return unwrap3394(block, h.EDK)
	default:
		return unwrapECB(block, h.EDK)
	}
}

// unwrapRSA opens length ‖ key ‖ algorithm and checks all three.
func unwrapRSA(key *rsa.PrivateKey, h *Header) ([]byte, error) {
	b, err := rsa.DecryptOAEP(sha1.New(), nil, key, h.EDK, nil)
	if err != nil {
		return nil, err
	}
	if len(b) < 33 || b[0] != 32 || string(b[33:]) != h.algorithm() {
		clear(b)
		return nil, fmt.Errorf("%w: the wrapped key is not for the algorithm of the content", ErrMalformed)
	}
	return b[1:33:33], nil
}
