package s3ec

import (
	"errors"
	"maps"
	"strings"
	"testing"
)

// TestSpoofedAndMixedMetadata: a store, or a client that may write metadata, must not get another reading of an object.
func TestSpoofedAndMixedMetadata(t *testing.T) {
	all := vectors(t)
	v2, v3, kms3 := all["v2-aes-meta-100.json"].Meta, all["v3-aes-meta-100.json"].Meta, all["v3-kms-meta-100.json"].Meta
	v1 := all["v1-ecb-cbc-silent-100.json"].Meta
	for name, c := range map[string]struct {
		base, more map[string]string
		without    string
		want       error
	}{
		"V2 and V1 keys":                 {v2, map[string]string{"x-amz-key": v1["x-amz-key"]}, "", ErrAmbiguous},
		"V2 and V3 keys":                 {v2, map[string]string{"x-amz-3": v3["x-amz-3"]}, "", ErrAmbiguous},
		"V3 and V1 keys":                 {v3, map[string]string{"x-amz-key": v1["x-amz-key"]}, "", ErrAmbiguous},
		"V2 with a commitment":           {v2, map[string]string{"x-amz-d": v3["x-amz-d"]}, "", ErrAmbiguous},
		"V2 with V3's algorithm":         {v2, map[string]string{"x-amz-c": "115"}, "", ErrAmbiguous},
		"V3 with V2's algorithm":         {v3, map[string]string{"x-amz-cek-alg": gcmName}, "", ErrAmbiguous},
		"V3 with an IV":                  {v3, map[string]string{"x-amz-iv": v2["x-amz-iv"]}, "", ErrAmbiguous},
		"V3 without its message id":      {v3, nil, "x-amz-i", ErrMalformed},
		"V3 without its commitment":      {v3, nil, "x-amz-d", ErrMalformed},
		"V3 without its key":             {v3, nil, "x-amz-3", ErrMalformed},
		"V3 of another suite":            {v3, map[string]string{"x-amz-c": "114"}, "", ErrUnsupported},
		"V3 counter mode":                {v3, map[string]string{"x-amz-c": "116"}, "", ErrUnsupported},
		"V3 unknown wrapping":            {v3, map[string]string{"x-amz-w": "03"}, "", ErrUnsupported},
		"V3 both descriptions":           {kms3, map[string]string{"x-amz-m": "{}"}, "", ErrMalformed},
		"V3 context names V2":            {kms3, map[string]string{"x-amz-t": `{"aws:x-amz-cek-alg":"AES/GCM/NoPadding"}`}, "", ErrMalformed},
		"V3 context without algorithm":   {kms3, map[string]string{"x-amz-t": `{"team":"blue"}`}, "", ErrMalformed},
		"context is not JSON":            {kms3, map[string]string{"x-amz-t": "team=blue"}, "", ErrMalformed},
		"context with a number":          {kms3, map[string]string{"x-amz-t": `{"aws:x-amz-cek-alg":115}`}, "", ErrMalformed},
		"context with a name twice":      {kms3, map[string]string{"x-amz-t": `{"a":"1","a":"2","aws:x-amz-cek-alg":"115"}`}, "", ErrMalformed},
		"context with a tail":            {kms3, map[string]string{"x-amz-t": `{"aws:x-amz-cek-alg":"115"}{}`}, "", ErrMalformed},
		"context too long":               {kms3, map[string]string{"x-amz-t": `{"a":"` + strings.Repeat("x", maxContext) + `"}`}, "", ErrMalformed},
		"V2 short tag":                   {v2, map[string]string{"x-amz-tag-len": "96"}, "", ErrUnsupported},
		"V2 no tag":                      {v2, nil, "x-amz-tag-len", ErrUnsupported},
		"V2 unknown cipher":              {v2, map[string]string{"x-amz-cek-alg": "AES/CTR/NoPadding"}, "", ErrUnsupported},
		"V2 downgraded to CBC":           {v2, map[string]string{"x-amz-cek-alg": cbcName}, "", ErrLegacy},
		"V2 unknown wrapping":            {v2, map[string]string{"x-amz-wrap-alg": "RSA/ECB/PKCS1Padding"}, "", ErrUnsupported},
		"V2 legacy wrapping":             {v2, map[string]string{"x-amz-wrap-alg": "AESWrap"}, "", ErrLegacy},
		"IV of 16 bytes":                 {v2, map[string]string{"x-amz-iv": v1["x-amz-iv"]}, "", ErrMalformed},
		"IV is not base64":               {v2, map[string]string{"x-amz-iv": "!"}, "", ErrMalformed},
		"key is empty":                   {v2, map[string]string{"x-amz-key-v2": ""}, "", ErrMalformed},
		"length is negative":             {v2, map[string]string{"x-amz-unencrypted-content-length": "-1"}, "", ErrMalformed},
		"length is not a number":         {v2, map[string]string{"x-amz-unencrypted-content-length": "many"}, "", ErrMalformed},
		"V1 with RSA":                    {v1, map[string]string{"x-amz-key": all["v2-rsa-meta-100.json"].Meta["x-amz-key-v2"]}, "", ErrUnsupported},
		"V1 not switched on":             {v1, nil, "", ErrLegacy},
		"no signal":                      {map[string]string{"color": "blue"}, nil, "", ErrMalformed},
		"signal's neighbours alone":      {map[string]string{"x-amz-iv": v2["x-amz-iv"], "x-amz-cek-alg": gcmName}, nil, "", ErrMalformed},
		"commitment, another spelling":   {v3, map[string]string{"x-amz-d": respelled(v3["x-amz-d"])}, "", ErrMalformed},
		"message id of the wrong length": {v3, map[string]string{"x-amz-i": v2["x-amz-iv"]}, "", ErrMalformed},
	} {
		meta := maps.Clone(c.base)
		maps.Copy(meta, c.more)
		delete(meta, c.without)
		if _, err := Parse(meta, false); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// respelled is base64 of the same bytes with other spare bits, which a lenient decoder takes.
func respelled(text string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	last := len(strings.TrimRight(text, "=")) - 1
	return text[:last] + string(alphabet[strings.IndexByte(alphabet, text[last])+1]) + text[last+1:]
}

// The KMS has bound the wrapped key to the algorithm of the content, and the content may not be opened with another one.
func TestContextNamesTheAlgorithmOfTheContent(t *testing.T) {
	v := vectors(t)["v2-kms-meta-100.json"]
	for _, c := range []struct{ cipher, iv string }{{cbcName, "AAECAwQFBgcICQoLDA0ODw=="}, {gcmName, v.Meta["x-amz-iv"]}} {
		meta := maps.Clone(v.Meta)
		meta["x-amz-cek-alg"], meta["x-amz-iv"] = c.cipher, c.iv
		if _, err := Parse(meta, true); (c.cipher == gcmName) != (err == nil) || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", c.cipher, err)
		}
	}
}

func TestInstructionFiles(t *testing.T) {
	all := vectors(t)
	v2, v3 := all["v2-aes-file-100.json"], all["v3-aes-file-100.json"]
	if !Split(v3.Meta) || Split(all["v3-aes-meta-100.json"].Meta) || Split(v2.Meta) {
		t.Error("Split is for V3 whose key lies elsewhere")
	}
	for name, c := range map[string]struct {
		meta map[string]string
		file string
		want error
	}{
		"V3 file with a commitment":       {map[string]string{"x-amz-d": "x", "x-amz-i": "x"}, `{"x-amz-c":"115"}`, ErrMalformed},
		"V3 file repeats the object":      {v3.Meta, `{"x-amz-D":"x"}`, ErrAmbiguous},
		"V2 file for a V3 object":         {v3.Meta, v2.Instruction, ErrMalformed},
		"V2 file for an object with V2":   {all["v2-aes-meta-100.json"].Meta, v2.Instruction, ErrAmbiguous},
		"not JSON":                        {v3.Meta, "x-amz-3", ErrMalformed},
		"empty":                           {v3.Meta, "", ErrMalformed},
		"list":                            {v3.Meta, "[]", ErrMalformed},
		"too long":                        {v3.Meta, strings.Repeat(" ", MaxInstruction+1), ErrMalformed},
		"other file of the same wrapping": {v3.Meta, all["v3-aes-file-1.json"].Instruction, nil},
	} {
		meta, err := Merge(c.meta, []byte(c.file))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if c.want == nil {
			swapped := *v3
			swapped.Meta, swapped.Instruction = meta, ""
			if _, err := swapped.open(t, false); !errors.Is(err, ErrCommitment) {
				t.Errorf("%s: %v, want ErrCommitment", name, err)
			}
		}
	}
}

func TestContextsOutsideASCII(t *testing.T) {
	for _, s := range []string{`{"team":"rød"}`, `=?UTF-8?Q?{"team":"r=C3=83=C2=B8d"}?=`, `=?UTF-8?B?eyJ0ZWFtIjoicsODwrhkIn0=?=`} {
		got, err := parseContext(s)
		if err != nil || got["team"] != "rød" {
			t.Errorf("%s: %q, %v", s, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, v := range vectors(f) {
		args := make([]string, 0, 8)
		for _, name := range append(append([]string{}, names12...), names3...) {
			args = append(args, v.Meta[name])
		}
		f.Add(strings.Join(args, "\x00"), v.Instruction)
	}
	f.Fuzz(func(t *testing.T, text, file string) {
		meta := map[string]string{}
		parts := strings.Split(text, "\x00")
		for i, name := range append(append([]string{}, names12...), names3...) {
			if i < len(parts) && parts[i] != "" {
				meta[name] = parts[i]
			}
		}
		if merged, err := Merge(meta, []byte(file)); err == nil {
			meta = merged
		}
		h, err := Parse(meta, true)
		if err != nil {
			if h != nil {
				t.Errorf("a header with %v", err)
			}
			return
		}
		if v, err := Detect(meta); err != nil || v != h.Version {
			t.Errorf("Detect says %v, %v of a header of version %v", v, err, h.Version)
		}
		if len(h.EDK) == 0 || len(h.IV) == 0 || h.Cipher == GCMDerived && (len(h.Commitment) != 28 || len(h.MessageID) != 28) {
			t.Errorf("incomplete header %+v", h)
		}
	})
}
