package s3ec

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"s3veil/crypto/kms"
)

// vector is an object as a writer left it. Those of the real client came through a real store; those of the legacy
// algorithms, which no current client writes, were made from FORMAT.md A.2 with another language's library.
type vector struct {
	Writer      string
	Meta        map[string]string
	Instruction string
	Body, Plain []byte
	Legacy      bool
	KMS         *struct {
		Context map[string]string
		Key     []byte
	}
}

func vectors(t testing.TB) map[string]*vector {
	t.Helper()
	files, err := filepath.Glob("testdata/vectors/*.json")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d vectors, %v", len(files), err)
	}
	out := map[string]*vector{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		v := &vector{}
		if err := json.Unmarshal(b, v); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		out[filepath.Base(f)] = v
	}
	return out
}

// single is a KMS that knows one blob.
type single struct {
	kms.Provider
	v *vector
}

func (s single) Unwrap(_ context.Context, kek string, _ []byte, ec kms.Context) (kms.Key32, error) {
	if kek != "pinned" || s.v.KMS == nil || !maps.Equal(ec, s.v.KMS.Context) {
		return kms.Key32{}, kms.ErrBadCiphertext
	}
	return kms.Key32(s.v.KMS.Key), nil
}

func (v *vector) keys(t testing.TB) *Keys {
	t.Helper()
	b, err := os.ReadFile("testdata/rsa.pem")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(b)
	pair, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	var aes, other kms.Key32
	for i := range aes {
		aes[i], other[i] = byte(i), byte(i+1)
	}
	pairs := map[string]string{}
	if v.KMS != nil && v.KMS.Context["team"] != "" {
		pairs["team"] = v.KMS.Context["team"]
	}
	return &Keys{AES: []kms.Key32{other, aes}, RSA: []*rsa.PrivateKey{pair.(*rsa.PrivateKey)},
		KMS: []KMSKey{{single{v: v}, "wrong", pairs}, {single{v: v}, "pinned", pairs}}}
}

// header returns the parsed header, after the instruction file if there is one.
func (v *vector) header(legacy bool) (*Header, error) {
	meta := v.Meta
	if v.Instruction != "" {
		var err error
		if meta, err = Merge(meta, []byte(v.Instruction)); err != nil {
			return nil, err
		}
	}
	return Parse(meta, legacy)
}

// open reads the object the way a proxy does.
func (v *vector) open(t testing.TB, legacy bool) ([]byte, error) {
	h, err := v.header(legacy)
	if err != nil {
		return nil, err
	}
	data, err := v.keys(t).Open(t.Context(), h)
	if err != nil {
		return nil, err
	}
	key, err := ContentKey(h, data)
	if err != nil {
		return nil, err
	}
	if h.Cipher != CBC {
		d, err := NewDelayed(h, key, bytes.NewReader(v.Body), int64(len(v.Body)))
		if err != nil {
			return nil, err
		}
		if got, err := io.ReadAll(d); err == nil && !bytes.Equal(got, v.Plain) {
			t.Error("the delayed reader differs")
		}
	}
	return Open(h, key, bytes.Clone(v.Body))
}

func TestVectorsOpen(t *testing.T) {
	for name, v := range vectors(t) {
		got, err := v.open(t, v.Legacy)
		if err != nil || !bytes.Equal(got, v.Plain) {
			t.Errorf("%s: %v", name, err)
		}
		if h, err := v.header(v.Legacy); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if n, exact, err := PlainSize(h, int64(len(v.Body))); err != nil || n < int64(len(v.Plain)) ||
			exact && n != int64(len(v.Plain)) || n > int64(len(v.Plain))+15 {
			t.Errorf("%s: PlainSize %d, %v of %d: %v", name, n, exact, len(v.Plain), err)
		}
		if _, err := v.open(t, false); v.Legacy && !errors.Is(err, ErrLegacy) {
			t.Errorf("%s: %v, want ErrLegacy", name, err)
		}
	}
}

// TestVectorsRefuseEveryChange flips every bit of what a store could change. CBC content is the known exception.
func TestVectorsRefuseEveryChange(t *testing.T) {
	for name, v := range vectors(t) {
		if v.Legacy || v.Instruction != "" || len(v.Plain) != 100 {
			continue
		}
		for field, value := range v.Meta {
			if field == "x-amz-matdesc" && v.Meta["x-amz-wrap-alg"] != "kms+context" {
				continue // a description of a raw key is not authenticated, and not used
			}
			if v.KMS != nil && (field == "x-amz-3" || field == "x-amz-key-v2") {
				continue // the KMS's own business; single knows one blob
			}
			for i := range value {
				changed := *v
				changed.Meta = maps.Clone(v.Meta)
				b := []byte(value)
				b[i] ^= 1
				changed.Meta[field] = string(b)
				if got, err := changed.open(t, false); err == nil {
					t.Errorf("%s: %s changed at %d opens to %d bytes", name, field, i, len(got))
				}
			}
			changed := *v
			changed.Meta = maps.Clone(v.Meta)
			delete(changed.Meta, field)
			if _, err := changed.open(t, false); err == nil {
				t.Errorf("%s: opens without %s", name, field)
			}
		}
		for i := range v.Body {
			changed := *v
			changed.Body = bytes.Clone(v.Body)
			changed.Body[i] ^= 0x10
			if _, err := changed.open(t, false); !errors.Is(err, ErrContent) {
				t.Errorf("%s: body changed at %d: %v", name, i, err)
			}
			changed.Body = v.Body[:i]
			if _, err := changed.open(t, false); !errors.Is(err, ErrContent) {
				t.Errorf("%s: body cut at %d: %v", name, i, err)
			}
		}
	}
}

// A store that renames the wrapping would have the content of an authenticated object opened as AES-CBC, which answers
// whether its padding is right (CVE-2020-8911).
func TestWrappingIsNotDowngraded(t *testing.T) {
	original := vectors(t)["v2-kms-meta-100.json"]
	for _, alg := range []string{cbcName, gcmName} {
		v := vector{Meta: maps.Clone(original.Meta)}
		v.Meta["x-amz-wrap-alg"], v.Meta["x-amz-cek-alg"] = "kms", alg
		if alg == cbcName {
			v.Meta["x-amz-iv"] = "AAECAwQFBgcICQoLDA0ODw=="
			delete(v.Meta, "x-amz-tag-len")
		}
		if _, err := v.header(true); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", alg, err)
		}
	}
}

func TestContextMustBeTheConfiguredOne(t *testing.T) {
	v := vectors(t)["v3-kms-meta-100.json"]
	h, err := v.header(false)
	if err != nil {
		t.Fatal(err)
	}
	for name, pairs := range map[string]map[string]string{
		"none": nil, "another value": {"team": "red"}, "one more": {"team": "blue", "x": "y"},
	} {
		keys := &Keys{KMS: []KMSKey{{single{v: v}, "pinned", pairs}}}
		if _, err := keys.Open(t.Context(), h); !errors.Is(err, ErrNoKey) {
			t.Errorf("%s: %v, want ErrNoKey", name, err)
		}
	}
	if _, err := (&Keys{}).Open(t.Context(), h); !errors.Is(err, ErrNoKey) {
		t.Errorf("no keys: %v, want ErrNoKey", err)
	}
}

func TestKMSTroubleIsNotAMissingKey(t *testing.T) {
	v := vectors(t)["v2-kms-meta-100.json"]
	h, err := v.header(false)
	if err != nil {
		t.Fatal(err)
	}
	for _, trouble := range []error{kms.ErrUnavailable, kms.ErrThrottled} {
		keys := &Keys{KMS: []KMSKey{{failing{err: trouble}, "k", map[string]string{"team": "blue"}}}}
		if _, err := keys.Open(t.Context(), h); !errors.Is(err, trouble) || errors.Is(err, ErrNoKey) {
			t.Errorf("%v, want %v alone", err, trouble)
		}
	}
}

type failing struct {
	kms.Provider
	err error
}

func (f failing) Unwrap(context.Context, string, []byte, kms.Context) (kms.Key32, error) {
	return kms.Key32{}, f.err
}

// The wrapped key names the algorithm that it is for, and a key of any other length is none.
func TestWrappedKeysAreForTheirContent(t *testing.T) {
	v := vectors(t)["v2-rsa-meta-100.json"]
	keys := v.keys(t)
	h, err := v.header(false)
	if err != nil {
		t.Fatal(err)
	}
	data := filled(32, 5)
	for name, c := range map[string]struct {
		plain []byte
		good  bool
	}{
		"its own":           {slices.Concat([]byte{32}, data, []byte(gcmName)), true},
		"another algorithm": {slices.Concat([]byte{32}, data, []byte(cbcName)), false},
		"no algorithm":      {slices.Concat([]byte{32}, data), false},
		"another length":    {slices.Concat([]byte{16}, data[:16], []byte(gcmName)), false},
		"a wrong length":    {slices.Concat([]byte{31}, data, []byte(gcmName)), false},
	} {
		if h.EDK, err = rsa.EncryptOAEP(sha1.New(), rand.Reader, &keys.RSA[0].PublicKey, c.plain, nil); err != nil {
			t.Fatal(err)
		}
		got, err := keys.Open(t.Context(), h)
		if c.good && (err != nil || !bytes.Equal(got[:], data)) || !c.good && !errors.Is(err, ErrNoKey) {
			t.Errorf("%s: %v", name, err)
		}
	}

	block, err := aes.NewCipher(keys.AES[0][:])
	if err != nil {
		t.Fatal(err)
	}
	edk := slices.Concat(data[:16], bytes.Repeat([]byte{16}, 16)) // a key of 16 bytes and its padding
	for i := 0; i < len(edk); i += 16 {
		block.Encrypt(edk[i:], edk[i:])
	}
	if _, err := keys.Open(t.Context(), &Header{Version: V1, Cipher: CBC, Wrapping: ECB, EDK: edk}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a key of 16 bytes: %v", err)
	}
}

func TestLengthsThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		h      Header
		stored int64
		good   bool
	}{
		"GCM":                    {Header{Cipher: GCM, PlainLen: -1}, 116, true},
		"GCM, as declared":       {Header{Cipher: GCM, PlainLen: 100}, 116, true},
		"GCM, not as declared":   {Header{Cipher: GCM, PlainLen: 99}, 116, false},
		"GCM, no tag":            {Header{Cipher: GCM, PlainLen: -1}, 15, false},
		"GCM, the longest":       {Header{Cipher: GCMDerived, PlainLen: -1}, MaxObject + 16, true},
		"GCM, more than one can": {Header{Cipher: GCMDerived, PlainLen: -1}, MaxObject + 17, false},
		"CBC":                    {Header{Cipher: CBC, PlainLen: -1}, 112, true},
		"CBC, as declared":       {Header{Cipher: CBC, PlainLen: 100}, 112, true},
		"CBC, whole blocks":      {Header{Cipher: CBC, PlainLen: 112}, 112, false},
		"CBC, not as declared":   {Header{Cipher: CBC, PlainLen: 90}, 112, false},
		"CBC, half a block":      {Header{Cipher: CBC, PlainLen: -1}, 104, false},
		"CBC, nothing":           {Header{Cipher: CBC, PlainLen: -1}, 0, false},
	} {
		if _, _, err := PlainSize(&c.h, c.stored); c.good != (err == nil) || err != nil && !errors.Is(err, ErrContent) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What the writer declared is the length, also where the padding says another one, and padding is of one kind of bytes.
func TestLengthsAndPaddingOfCBC(t *testing.T) {
	key := kms.Key32(filled(32, 1))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		t.Fatal(err)
	}
	open := func(declared int64, end ...byte) ([]byte, error) {
		padded := append(filled(112-len(end), 2), end...)
		body := make([]byte, len(padded))
		cipher.NewCBCEncrypter(block, filled(16, 3)).CryptBlocks(body, padded)
		return Open(&Header{Cipher: CBC, IV: filled(16, 3), PlainLen: declared}, key, body)
	}
	for declared, good := range map[int64]bool{-1: true, 109: true, 108: false, 110: false} {
		if got, err := open(declared, 3, 3, 3); good && (err != nil || len(got) != 109) || !good && !errors.Is(err, ErrContent) {
			t.Errorf("declared as %d: %d bytes, %v", declared, len(got), err)
		}
	}
	for _, end := range [][]byte{{3, 2, 3}, {2, 3, 3}, {0}, {17}, {255}} {
		if got, err := open(-1, end...); !errors.Is(err, ErrContent) {
			t.Errorf("padding that ends in %v: %d bytes, %v", end, len(got), err)
		}
	}
}
