package envelope_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"s3veil/crypto/envelope"
)

func TestCanonicalFields(t *testing.T) {
	type f = []envelope.Field
	for _, c := range []struct {
		name string
		in   f
		want map[string]string
	}{
		{"nothing", nil, map[string]string{}},
		{"not covered", f{{"etag", "x"}, {"content-length", "1"}, {"x-amz-tagging", "a"}, {"x-amz-meta", "a"}, {"content_type", "x"}}, map[string]string{}},
		{"own entries", f{{"x-amz-meta-s3veil", "1.a"}, {"x-amz-meta-s3veil-for", "a"}, {"X-Amz-Meta-S3veilx", "a"}}, map[string]string{}},
		{"foreign names are metadata", f{{"x-amz-meta-x-amz-iv", "a"}}, map[string]string{"x-amz-meta-x-amz-iv": "a"}},
		{"all system headers", f{{"cache-control", "1"}, {"content-disposition", "2"}, {"content-encoding", "3"}, {"content-language", "4"}, {"content-type", "5"},
			{"expires", "Sun, 06 Nov 1994 08:49:37 GMT"}},
			map[string]string{"cache-control": "1", "content-disposition": "2", "content-encoding": "3", "content-language": "4", "content-type": "5",
				"expires": "Sun, 06 Nov 1994 08:49:37 GMT"}},
		{"case of names", f{{"Content-Type", "Text/Plain"}, {"X-Amz-Meta-AbC", "DeF"}}, map[string]string{"content-type": "Text/Plain", "x-amz-meta-abc": "DeF"}},
		{"underscore", f{{"x-amz-meta-a_b", "1"}}, map[string]string{"x-amz-meta-a-b": "1"}},
		{"names that become equal", f{{"x-amz-meta-a_b", "2"}, {"x-amz-meta-a-b", "3"}, {"x-amz-meta-A-b_", "1"}}, map[string]string{"x-amz-meta-a-b": "2,3", "x-amz-meta-a-b-": "1"}},
		{"names that become equal, values unsorted", f{{"x-amz-meta-a-b", "2"}, {"x-amz-meta-a_b", "1"}}, map[string]string{"x-amz-meta-a-b": "1,2"}},
		{"repeated header keeps its order", f{{"x-amz-meta-a", "2"}, {"x-amz-meta-a", "1"}}, map[string]string{"x-amz-meta-a": "2,1"}},
		{"white space", f{{"x-amz-meta-a", " \t1 2\t "}}, map[string]string{"x-amz-meta-a": "1 2"}},
		{"empty value", f{{"x-amz-meta-a", ""}, {"content-language", " "}}, map[string]string{"x-amz-meta-a": "", "content-language": ""}},
		{"aws-chunked alone", f{{"content-encoding", "aws-chunked"}}, map[string]string{}},
		{"aws-chunked in a list", f{{"content-encoding", "gzip , aws-chunked,br"}}, map[string]string{"content-encoding": "gzip,br"}},
		{"empty item of a list", f{{"content-encoding", "gzip,"}}, map[string]string{"content-encoding": "gzip"}},
		{"empty list", f{{"content-encoding", ""}}, map[string]string{}},
		{"expires in another form", f{{"expires", "Sunday, 06-Nov-94 08:49:37 GMT"}}, map[string]string{}},
		{"expires as a number", f{{"expires", "0"}}, map[string]string{}},
		{"expires in another zone", f{{"expires", "Sun, 06 Nov 1994 08:49:37 UTC"}}, map[string]string{}},
		{"expires with one digit", f{{"expires", "Sun, 6 Nov 1994 08:49:37 GMT"}}, map[string]string{}},
		{"expires on the wrong weekday", f{{"expires", "Mon, 06 Nov 1994 08:49:37 GMT"}}, map[string]string{}},
		{"expires on no day", f{{"expires", "Mon, 31 Feb 2022 08:49:37 GMT"}}, map[string]string{}},
		{"encoded word", f{{"x-amz-meta-a", "=?UTF-8?Q?gr=C3=BCn?="}}, map[string]string{"x-amz-meta-a": "grün"}},
	} {
		if got := envelope.CanonicalFields(c.in); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestDecodeWords(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                             "plain",
		"=?UTF-8?Q?a_b?=":                   "a b",
		"=?utf-8?q?=c3=BC?=":                "ü",
		"=?UTF-8?B?w7w=?=":                  "ü",
		"=?uTf-8?b?w7w=?=":                  "ü",
		"=?UTF-8?Q?a?= =?UTF-8?Q?b?=":       "ab",
		"=?UTF-8?Q?a?= \t =?UTF-8?B?Yg==?=": "ab",
		"=?UTF-8?Q?a?==?UTF-8?Q?b?=":        "ab",
		"=?UTF-8?Q?a?= x =?UTF-8?Q?b?=":     "a x b",
		"x =?UTF-8?Q?a?= y":                 "x a y",
		"=?UTF-8?Q??=":                      "",
		"=?UTF-8?Q?=3F?=":                   "?",
		"=?ISO-8859-1?Q?=FC?=":              "=?ISO-8859-1?Q?=FC?=",
		"=?UTF-8?X?a?=":                     "=?UTF-8?X?a?=",
		"=?UTF-8?Q?=FF?=":                   "=?UTF-8?Q?=FF?=",
		"=?UTF-8?Q?=G0?=":                   "=?UTF-8?Q?=G0?=",
		"=?UTF-8?Q?=0?=":                    "=?UTF-8?Q?=0?=",
		"=?UTF-8?Q?=?=":                     "=?UTF-8?Q?=?=",
		"=?UTF-8?B?w7w?=":                   "=?UTF-8?B?w7w?=",
		"=?UTF-8?B?/w==?=":                  "=?UTF-8?B?/w==?=",
		"=?UTF-8?Q?a b?=":                   "=?UTF-8?Q?a b?=",
		"=?UTF-8?Q?a?= =?UTF-8?Q?=FF?=":     "a =?UTF-8?Q?=FF?=",
		"=?UTF-8?Q?ü?=":                     "=?UTF-8?Q?ü?=",
		"=?UTF-8?Q?a":                       "=?UTF-8?Q?a",
	} {
		if got := envelope.DecodeWords(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestMetadataMACDependsOnEverythingCovered(t *testing.T) {
	_, _, _, a := env1()
	base := []envelope.Field{{"content-type", "text/plain"}, {"x-amz-meta-a", "1"}}
	a.MetaMAC = envelope.MetadataMAC(&a.DEK, base)
	same := map[string][]envelope.Field{
		"other order":        {base[1], base[0]},
		"headers around":     {base[0], {"etag", `"x"`}, base[1], {"x-amz-meta-s3veil", "1.x"}},
		"empty content list": {base[0], base[1], {"content-encoding", "aws-chunked"}},
	}
	for name, fields := range same {
		if err := envelope.CheckMetadata(a, fields); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	differ := map[string][]envelope.Field{
		"none":            nil,
		"dropped":         base[:1],
		"added":           {base[0], base[1], {"x-amz-meta-b", ""}},
		"value":           {base[0], {"x-amz-meta-a", "2"}},
		"type":            {{"content-type", "text/html"}, base[1]},
		"name":            {base[0], {"x-amz-meta-b", "1"}},
		"moved character": {base[0], {"x-amz-meta-a1", ""}},
	}
	for name, fields := range differ {
		if err := envelope.CheckMetadata(a, fields); !errors.Is(err, envelope.ErrMetadata) {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := a.DEK
	other[0] ^= 1
	if envelope.MetadataMAC(&other, base) == a.MetaMAC {
		t.Error("the MAC does not depend on the key")
	}
}

func TestSystemFields(t *testing.T) {
	in := []envelope.Field{{"X-Amz-Meta-A", "1"}, {"content-type", "x"}, {"x-amz-meta-b", "2"}}
	if got := envelope.SystemFields(in); len(got) != 1 || got[0].Name != "content-type" {
		t.Errorf("got %v", got)
	}
	if in[0].Name != "X-Amz-Meta-A" {
		t.Error("the caller's slice was changed")
	}
}

func TestSealedMeta(t *testing.T) {
	b, err := envelope.EncodeSealedMeta([]envelope.Field{{"B", "2"}, {"a", "1"}, {"b", "3"}, {"", "x"}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := envelope.DecodeSealedMeta(b)
	if want := []envelope.Field{{"", "x"}, {"a", "1"}, {"b", "2,3"}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if b, err := envelope.EncodeSealedMeta(nil); err != nil || b == nil || len(b) != 0 {
		t.Errorf("no entries: %v, %v", b, err)
	}
	if _, err := envelope.EncodeSealedMeta([]envelope.Field{{"a", strings.Repeat("x", 2040)}}); !errors.Is(err, envelope.ErrMalformed) {
		t.Errorf("2,049 bytes: %v", err)
	}
	if _, err := envelope.EncodeSealedMeta([]envelope.Field{{"a", strings.Repeat("x", 2039)}}); err != nil {
		t.Errorf("2,048 bytes: %v", err)
	}
	lp := func(s string) string { return string([]byte{0, 0, 0, byte(len(s))}) + s }
	for name, in := range map[string]string{
		"unsorted": lp("b") + lp("") + lp("a") + lp(""),
		"repeated": lp("a") + lp("") + lp("a") + lp(""),
		"cut":      lp("a") + lp("b")[:4],
		"no value": lp("a"),
		"too long": lp("a") + "\x00\x00\x07\xf8" + strings.Repeat("x", 2040),
		"overflow": "\xff\xff\xff\xff",
	} {
		if _, err := envelope.DecodeSealedMeta([]byte(in)); !errors.Is(err, envelope.ErrEnvelope) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
