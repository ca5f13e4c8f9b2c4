package kms_test

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"s3veil/crypto/kms"
)

func TestRealmContext(t *testing.T) {
	pairs := kms.Context{"team": "red", "realm": "other", "s3veil": "9"}
	got := kms.RealmContext("default", pairs)
	want := kms.Context{"s3veil": "1", "realm": "default", "team": "red"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if pairs["realm"] != "other" {
		t.Error("the caller's pairs were changed")
	}
	if got := kms.RealmContext("r", nil); len(got) != 2 {
		t.Errorf("without pairs: %v", got)
	}
}

func TestCanonical(t *testing.T) {
	for _, c := range []struct {
		name string
		ec   kms.Context
		want string
	}{
		{"empty", nil, ""},
		{"one", kms.Context{"a": ""}, "00000001" + "61" + "00000000"},
		{"bytewise order", kms.Context{"b": "1", "B": "2", "ü": "3"},
			"00000001" + "42" + "00000001" + "32" + "00000001" + "62" + "00000001" + "31" + "00000002" + "c3bc" + "00000001" + "33"},
		{"a prefix sorts first", kms.Context{"aa": "", "a": ""}, "00000001" + "61" + "00000000" + "00000002" + "6161" + "00000000"},
	} {
		if got := hex.EncodeToString(c.ec.Canonical()); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

// The expected values of IKEK-1 and IKEK-2 (FORMAT.md 14.2) were computed by an independent program.
func TestBindKnownAnswers(t *testing.T) {
	var ikek kms.Key32
	for i := range ikek {
		ikek[i] = byte(0x20 + i)
	}
	for _, c := range []struct {
		name string
		ec   kms.Context
		want string
	}{
		{"IKEK-1", kms.RealmContext("default", nil), "0134d3f26be54720a64888755191f5d7b66b3b132793e3d69d7e08f1e3b92da9"},
		{"IKEK-2", kms.RealmContext("default", kms.Context{"team": "red", "a": "ü"}), "f5f3d6cced329c0dc46d7c97af47ea95823d2b0ac9dd547453eda63cd85fae71"},
	} {
		got := kms.Bind(ikek, c.ec)
		if hex.EncodeToString(got[:]) != c.want {
			t.Errorf("%s: got %x, want %s", c.name, got[:], c.want)
		}
	}
	if ikek[0] != 0x20 {
		t.Error("Bind changed the caller's key")
	}
}

func TestBindSeparatesContexts(t *testing.T) {
	var ikek kms.Key32
	seen := map[kms.Key32]string{}
	for _, ec := range []kms.Context{
		nil,
		kms.RealmContext("a", nil),
		kms.RealmContext("b", nil),
		kms.RealmContext("a", kms.Context{"x": "1"}),
		kms.RealmContext("a", kms.Context{"x": "1", "y": ""}),
		{"s3veil": "1realm", "": "a"},
	} {
		k := kms.Bind(ikek, ec)
		if other, ok := seen[k]; ok {
			t.Errorf("%v and %s give one key", ec, other)
		}
		seen[k] = fmt.Sprint(ec)
	}
}

func TestKeyDoesNotPrintItself(t *testing.T) {
	var key kms.Key32
	copy(key[:], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef")
	type holder struct {
		K kms.Key32
		P *kms.Key32
	}
	h := holder{key, &key}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "% x", "%08b", "%o", "%c", "%U"} {
		fmt.Fprintf(&out, verb+"\n", key)
		fmt.Fprintf(&out, verb+"\n", &key)
		fmt.Fprintf(&out, verb+"\n", h.K)
		fmt.Fprintf(&out, verb+"\n", []kms.Key32{key})
		fmt.Fprintf(&out, verb+"\n", struct{ K kms.Key32 }{key})
	}
	for _, v := range []any{key, &key, h, map[string]kms.Key32{"k": key}} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "key", key, "p", &key, "h", h.K)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "key", key, "p", &key, "h", h)
	text := out.String()
	for _, leak := range []string{"ABCD", "4142", "41 42", "65 66", "6566", "65, 66", "41,0x42", "0x41, 0x42", "01000001", "QUJD", "101 102"} {
		if strings.Contains(text, leak) {
			t.Errorf("the output contains %q", leak)
		}
	}
	if n := strings.Count(text, "[key]"); n < 60 {
		t.Errorf("only %d placeholders: %s", n, text)
	}
	var buf bytes.Buffer
	if err := gob.NewEncoder(&buf).Encode(holder{K: key}); err == nil {
		t.Error("gob encoded a key")
	}
	if key.String() != key.GoString() {
		t.Error("String and GoString differ")
	}
}

func TestZeroOverwrites(t *testing.T) {
	key := kms.Key32{1, 2, 3, 31: 9}
	key.Zero()
	if key != (kms.Key32{}) {
		t.Error("the key is still there")
	}
}
