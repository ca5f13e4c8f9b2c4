package envelope_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
)

func TestParsePairs(t *testing.T) {
	nine := make([]string, 9)
	for i := range nine {
		nine[i] = fmt.Sprintf(`"k%d":""`, i)
	}
	for _, c := range []struct {
		name, in string
		want     kms.Context // nil with ok: no pairs
		ok       bool
	}{
		{"empty object", `{}`, nil, true},
		{"empty object with space", " {\n} ", nil, true},
		{"two pairs", `{"team":"red","a":"ü"}`, kms.Context{"team": "red", "a": "ü"}, true},
		{"escapes", `{"a\u0062":"\"\\\/\n\u00fc\ud83d\ude00"}`, kms.Context{"ab": "\"\\/\nü😀"}, true},
		{"escaped backslash before u", `{"a":"\\ud800"}`, kms.Context{"a": `\ud800`}, true},
		{"replacement character itself", `{"a":"\ufffd"}`, kms.Context{"a": "\ufffd"}, true},
		{"empty value", `{"a":""}`, kms.Context{"a": ""}, true},
		{"names differ in case", `{"a":"1","A":"2"}`, kms.Context{"a": "1", "A": "2"}, true},
		{"eight pairs", "{" + strings.Join(nine[:8], ",") + "}", kms.Context{"k0": "", "k1": "", "k2": "", "k3": "", "k4": "", "k5": "", "k6": "", "k7": ""}, true},
		{"512 bytes", `{"a":"` + strings.Repeat("x", 503) + `"}`, kms.Context{"a": strings.Repeat("x", 503)}, true},
		{"513 bytes", `{"a":"` + strings.Repeat("x", 504) + `"}`, nil, false},
		{"nine pairs", "{" + strings.Join(nine, ",") + "}", nil, false},
		{"nothing", ``, nil, false},
		{"null", `null`, nil, false},
		{"array", `[]`, nil, false},
		{"string", `"a"`, nil, false},
		{"number value", `{"a":1}`, nil, false},
		{"null value", `{"a":null}`, nil, false},
		{"nested", `{"a":{}}`, nil, false},
		{"list value", `{"a":["b"]}`, nil, false},
		{"repeated name", `{"a":"1","a":"1"}`, nil, false},
		{"repeated name, escaped", `{"a":"1","\u0061":"1"}`, nil, false},
		{"trailing comma", `{"a":"1",}`, nil, false},
		{"trailing text", `{"a":"1"}x`, nil, false},
		{"two objects", `{"a":"1"}{}`, nil, false},
		{"not closed", `{"a":"1"`, nil, false},
		{"no value", `{"a"}`, nil, false},
		{"empty name", `{"":"1"}`, nil, false},
		{"s3veil", `{"s3veil":"1"}`, nil, false},
		{"realm", `{"realm":"default"}`, nil, false},
		{"not UTF-8", "{\"a\":\"\xff\"}", nil, false},
		{"high surrogate alone", `{"a":"\ud800"}`, nil, false},
		{"high surrogate before text", `{"a":"\ud800\u0041"}`, nil, false},
		{"low surrogate alone", `{"a":"\udc00"}`, nil, false},
		{"swapped surrogates", `{"a":"\ude00\ud83d"}`, nil, false},
		{"surrogate in a name", `{"\uD800":"a"}`, nil, false},
	} {
		got, err := envelope.ParsePairs([]byte(c.in))
		if (err == nil) != c.ok || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
		if err != nil && !errors.Is(err, envelope.ErrPairs) {
			t.Errorf("%s: %v is not ErrPairs", c.name, err)
		}
	}
}

func TestPairsOfAnEnvelope(t *testing.T) {
	lp := func(s ...string) (out string) {
		for _, x := range s {
			out += string([]byte{0, 0, byte(len(x) >> 8), byte(len(x))}) + x
		}
		return out
	}
	for _, c := range []struct {
		name, pairs string
		want        kms.Context
	}{
		{"one", lp("a", "b"), kms.Context{"a": "b"}},
		{"two", lp("B", "", "a", "b"), kms.Context{"a": "b", "B": ""}},
		{"none", "", nil},
		{"unsorted", lp("b", "", "a", ""), nil},
		{"repeated", lp("a", "", "a", ""), nil},
		{"empty name", lp("", ""), nil},
		{"reserved name", lp("realm", "x"), nil},
		{"version name", lp("s3veil", "1"), nil},
		{"name without value", lp("a", "b", "c"), nil},
		{"cut length", lp("a", "b") + "\x00", nil},
		{"cut value", lp("a", "bcd")[:10], nil},
		{"length beyond the field", "\xff\xff\xff\xffa" + lp("b"), nil},
		{"not UTF-8 name", lp("\xff", "b"), nil},
		{"not UTF-8 value", lp("a", "\xc3"), nil},
		{"nine", lp("1", "", "2", "", "3", "", "4", "", "5", "", "6", "", "7", "", "8", "", "9", ""), nil},
		{"513 bytes", lp("a", strings.Repeat("x", 504)), nil},
	} {
		raw := "S3V\x01\x01\x40\x01k\x00\x01w" + string([]byte{byte(len(c.pairs) >> 8), byte(len(c.pairs))}) + c.pairs + strings.Repeat("z", 64+70)
		s, err := envelope.Parse([]byte(raw))
		if c.want == nil {
			if !errors.Is(err, envelope.ErrMalformed) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if got := s.Header().Pairs; !reflect.DeepEqual(got, c.want) || string(s.Bytes()) != raw {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
