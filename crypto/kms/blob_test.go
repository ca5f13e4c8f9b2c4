package kms_test

import (
	"bytes"
	"errors"
	"testing"

	"s3veil/crypto/kms"
	"s3veil/crypto/vector"
)

func TestBlobVectors(t *testing.T) {
	list, err := vector.Load("../testdata/vectors", "blob")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range list {
		ec := kms.Context{}
		for _, p := range v.Pairs("context") {
			ec[p[0]] = p[1]
		}
		wrapping := kms.Key32(v.Key("key"))
		key, err := kms.OpenBlob(&wrapping, kms.BlobLabel(v.Text("label")), v.Raw, ec)
		if v.Expect() != vector.Success {
			if !errors.Is(err, kms.ErrBadCiphertext) || key != (kms.Key32{}) {
				t.Errorf("%s: error %v", v.Name, err)
			}
			continue
		}
		if want := v.Key("ikek"); err != nil || !bytes.Equal(key[:], want[:]) {
			t.Errorf("%s: %v, or another key than expected", v.Name, err)
		}
	}
}

func TestBlobRoundTripsAndIsNeverTheSame(t *testing.T) {
	wrapping, key := kms.Key32{1}, kms.Key32{2}
	ec := kms.RealmContext("r", nil)
	a := kms.SealBlob(&wrapping, kms.LabelLocal, &key, ec)
	b := kms.SealBlob(&wrapping, kms.LabelLocal, &key, ec)
	if len(a) != kms.BlobSize || kms.BlobSize != 76 {
		t.Errorf("%d bytes", len(a))
	}
	if bytes.Equal(a[:28], b[:28]) || bytes.Equal(a[28:], b[28:]) {
		t.Error("two blobs share salt, nonce or ciphertext")
	}
	if got, err := kms.OpenBlob(&wrapping, kms.LabelLocal, a, ec); err != nil || got != key {
		t.Errorf("opening: %v", err)
	}
	for i := range a {
		a[i] ^= 1
		if _, err := kms.OpenBlob(&wrapping, kms.LabelLocal, a, ec); !errors.Is(err, kms.ErrBadCiphertext) {
			t.Errorf("byte %d flipped: %v", i, err)
		}
		a[i] ^= 1
	}
}
