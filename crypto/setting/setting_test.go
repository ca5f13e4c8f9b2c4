package setting

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"s3veil/crypto/envelope"
	"s3veil/crypto/vector"
)

const vectorRoot = "../testdata/vectors"

// fromVector is the setting that a vector describes.
func fromVector(v *vector.Vector) Encryption {
	e := Encryption{Type: Type(v.Int("type")), BucketKey: v.Int("bucket-key") == 1, BlockCustomer: v.Int("block-customer") == 1}
	if v.Has("key-name") {
		e.KeyName = string(v.Bytes("key-name"))
	}
	return e
}

func TestVectors(t *testing.T) {
	list, err := vector.Load(vectorRoot, "setting")
	if err != nil || len(list) == 0 {
		t.Fatalf("%d vectors, %v", len(list), err)
	}
	for _, v := range list {
		got, err := Decode(v.Raw)
		switch v.Expect() {
		case vector.Success:
			if err != nil || *got != fromVector(v) {
				t.Errorf("%s: %+v, %v", v.Name, got, err)
				continue
			}
			if again := got.Encode(); !v.Has("ignorable") && !bytes.Equal(again, v.Raw) {
				t.Errorf("%s: encoded again: %x", v.Name, again)
			}
		case "malformed":
			if !errors.Is(err, envelope.ErrMalformed) {
				t.Errorf("%s: %v", v.Name, err)
			}
		case "unsupported":
			if !errors.Is(err, envelope.ErrUnsupported) {
				t.Errorf("%s: %v", v.Name, err)
			}
		default:
			t.Errorf("%s: no such class %s", v.Name, v.Expect())
		}
	}
}

func TestNameIsBoundToTheBucket(t *testing.T) {
	if got := Name("bkt"); got != ".s3veil/c/e/Ymt0" {
		t.Error(got)
	}
	if Name("a") == Name("b") || strings.ContainsAny(strings.TrimPrefix(Name("ä/?%"), prefix), "/?%+=") {
		t.Error("names collide or need escaping")
	}
}

func TestWhatCannotBeReadIsNotWritten(t *testing.T) {
	for _, e := range []Encryption{{}, {Type: 3}, {Type: AES256, KeyName: "k"}, {Type: KMS, KeyName: "a b"}, {Type: KMS, KeyName: strings.Repeat("k", 2049)}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v was encoded", e)
				}
			}()
			e.Encode()
		}()
	}
}

func FuzzDecode(f *testing.F) {
	list, err := vector.Load(vectorRoot, "setting")
	if err != nil || len(list) == 0 {
		f.Fatal(err)
	}
	for _, v := range list {
		f.Add(v.Raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := Decode(raw)
		if err != nil {
			if !errors.Is(err, envelope.ErrMalformed) && !errors.Is(err, envelope.ErrUnsupported) {
				t.Fatal(err)
			}
			return
		}
		again, err := Decode(e.Encode())
		if err != nil || *again != *e {
			t.Fatalf("%+v, %v", again, err)
		}
		if n := len(e.Encode()); n > len(raw) || n == len(raw) && !bytes.Equal(e.Encode(), raw) {
			t.Fatal("a second encoding of one value")
		}
	})
}
