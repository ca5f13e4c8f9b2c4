package kms_test

import (
	"bytes"
	"testing"

	"s3veil/crypto/kms"
	"s3veil/crypto/vector"
)

func TestBindVectors(t *testing.T) {
	list, err := vector.Load("../testdata/vectors", "ikek")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range list {
		ec := kms.Context{}
		for _, p := range v.Pairs("context") {
			ec[p[0]] = p[1]
		}
		if got := kms.Bind(v.Key("ikek"), ec); v.Expect() != vector.Success || !bytes.Equal(got[:], v.Raw) {
			t.Errorf("%s: %x, want %x", v.Name, got[:], v.Raw)
		}
	}
}
