package s3ec

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"s3veil/crypto/kms"
)

func filled(n int, seed uint64) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), 1}).Read(b)
	return b
}

// seal is the writer's side: one GCM over everything.
func seal(t *testing.T, c Cipher, key kms.Key32, plain []byte) (*Header, []byte) {
	t.Helper()
	block, err := aes.NewCipher(key[:])
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	h := &Header{Cipher: c, IV: fixedIV(), PlainLen: -1}
	var aad []byte
	if c == GCMDerived {
		aad = []byte(suiteInfo)
	} else {
		h.IV = filled(12, 9)
	}
	return h, aead.Seal(nil, h.IV, plain, aad)
}

func TestDelayedReaderEqualsOneGCM(t *testing.T) {
	key := kms.Key32(filled(32, 1))
	for _, c := range []Cipher{GCM, GCMDerived} {
		for _, n := range []int{0, 1, 15, 16, 17, DelayedBuffer - 1, DelayedBuffer, DelayedBuffer + 1, 2*DelayedBuffer + 16, 3*DelayedBuffer + 5} {
			plain := filled(n, 2)
			h, body := seal(t, c, key, plain)
			d, err := NewDelayed(h, key, iotest.HalfReader(bytes.NewReader(body)), int64(len(body)))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(d); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("cipher %#x, %d bytes: %v", c, n, err)
			}
			if got, err := Open(h, key, bytes.Clone(body)); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("cipher %#x, %d bytes, whole: %v", c, n, err)
			}
		}
	}
}

func TestDelayedReaderRefusesChanges(t *testing.T) {
	key := kms.Key32(filled(32, 1))
	h, body := seal(t, GCMDerived, key, filled(2*DelayedBuffer+100, 3))
	for name, change := range map[string]func([]byte) []byte{
		"first byte": func(b []byte) []byte { b[0] ^= 1; return b },
		"last byte":  func(b []byte) []byte { b[len(b)-1-tagLen] ^= 0x80; return b },
		"tag":        func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"short":      func(b []byte) []byte { return b[:len(b)-1] },
		"half":       func(b []byte) []byte { return b[:len(b)/2] },
		"long":       func(b []byte) []byte { return append(b, 0) },
	} {
		changed := change(bytes.Clone(body))
		d, err := NewDelayed(h, key, bytes.NewReader(changed), int64(len(body)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(d); !errors.Is(err, ErrContent) {
			t.Errorf("%s: %v, want ErrContent", name, err)
		}
		if len(changed) == len(body) {
			if _, err := Open(h, key, changed); !errors.Is(err, ErrContent) {
				t.Errorf("%s, whole: %v, want ErrContent", name, err)
			}
		}
	}
	broken := errors.New("connection lost")
	d, err := NewDelayed(h, key, io.MultiReader(bytes.NewReader(body[:100]), iotest.ErrReader(broken)), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(d); !errors.Is(err, broken) {
		t.Errorf("%v, want the body's own error", err)
	}
}

func BenchmarkDelayed(b *testing.B) {
	key := kms.Key32(filled(32, 1))
	body := filled(8<<20+tagLen, 4)
	h := &Header{Cipher: GCM, IV: filled(12, 9), PlainLen: -1}
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		d, err := NewDelayed(h, key, bytes.NewReader(body), int64(len(body)))
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, d)
	}
}
