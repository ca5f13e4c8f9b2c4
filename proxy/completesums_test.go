package proxy

import (
	"encoding/base64"
	"errors"
	"testing"

	"s3veil/proxy/head"
	"s3veil/proxy/s3err"
	"s3veil/proxy/s3xml"
	"s3veil/sigv4"
	"s3veil/sigv4/checksum"
)

func TestPartSumsAreOfOneKindAndOfTheDeclaredOne(t *testing.T) {
	value := func(a checksum.Algorithm) s3xml.ChecksumText {
		return s3xml.ChecksumText{Name: "Checksum" + a.String(), Value: base64.StdEncoding.EncodeToString(make([]byte, a.Size()))}
	}
	list := func(parts ...[]s3xml.ChecksumText) []s3xml.CompletedPart {
		out := make([]s3xml.CompletedPart, len(parts))
		for i, sums := range parts {
			out[i] = s3xml.CompletedPart{Number: i + 1, Checksums: sums}
		}
		return out
	}
	crc, sha := []s3xml.ChecksumText{value(checksum.CRC32)}, []s3xml.ChecksumText{value(checksum.SHA1)}
	for name, c := range map[string]struct {
		list     []s3xml.CompletedPart
		declared checksum.Algorithm
		full     bool
		want     checksum.Algorithm
		code     string
	}{
		"none":                   {list(nil, nil), checksum.None, false, checksum.None, ""},
		"none of a full object":  {list(nil, nil), checksum.CRC32, true, checksum.None, ""},
		"none of a composite":    {list(nil, nil), checksum.SHA1, false, 0, "InvalidRequest"},
		"one missing":            {list(crc, nil), checksum.None, false, 0, "InvalidPart"},
		"one missing, composite": {list(nil, sha), checksum.SHA1, false, 0, "InvalidRequest"},
		"undeclared":             {list(crc, crc), checksum.None, false, checksum.CRC32, ""},
		"declared":               {list(sha, sha), checksum.SHA1, false, checksum.SHA1, ""},
		"not the declared":       {list(sha, sha), checksum.CRC32, true, 0, "BadDigest"},
		"mixed":                  {list(crc, sha), checksum.None, false, 0, "BadDigest"},
		"two in one part":        {list(append(crc[:1:1], sha...), crc), checksum.None, false, 0, "InvalidArgument"},
		"not base64":             {list([]s3xml.ChecksumText{{Name: "ChecksumCRC32", Value: "no"}}), checksum.None, false, 0, "InvalidArgument"},
		"unknown algorithm":      {list([]s3xml.ChecksumText{{Name: "ChecksumSHA384", Value: "AA=="}}), checksum.None, false, 0, "InvalidArgument"},
	} {
		alg, values, err := partSums(c.list, c.declared, c.full)
		if c.code != "" {
			if s3err.From(err).Code != c.code {
				t.Errorf("%s: %v, want %s", name, err, c.code)
			}
			continue
		}
		if err != nil || alg != c.want || (alg != checksum.None && len(values) != len(c.list)) {
			t.Errorf("%s: %v of %d parts, %v", name, alg, len(values), err)
		}
	}
}

func TestPromiseOfAComplete(t *testing.T) {
	for name, c := range map[string]struct {
		fields []sigv4.Field
		want   promise
		bad    bool
	}{
		"nothing":         {nil, promise{size: -1}, false},
		"size":            {[]sigv4.Field{{Name: "x-amz-mp-object-size", Value: "7"}}, promise{size: 7}, false},
		"negative size":   {[]sigv4.Field{{Name: "x-amz-mp-object-size", Value: "-1"}}, promise{}, true},
		"no size":         {[]sigv4.Field{{Name: "x-amz-mp-object-size", Value: "x"}}, promise{}, true},
		"type":            {[]sigv4.Field{{Name: "x-amz-checksum-type", Value: "composite"}}, promise{size: -1, kind: "COMPOSITE"}, false},
		"unknown type":    {[]sigv4.Field{{Name: "x-amz-checksum-type", Value: "other"}}, promise{}, true},
		"composite value": {[]sigv4.Field{{Name: "x-amz-checksum-crc32", Value: "AAAAAA==-3"}}, promise{size: -1, algorithm: checksum.CRC32, composite: true}, false},
		"of other parts":  {[]sigv4.Field{{Name: "x-amz-checksum-crc32", Value: "AAAAAA==-2"}}, promise{}, true},
		"two values": {[]sigv4.Field{{Name: "x-amz-checksum-crc32", Value: "AAAAAA=="}, {Name: "x-amz-checksum-crc32c", Value: "AAAAAA=="}},
			promise{}, true},
	} {
		x := &exchange{head: head.Head{Fields: c.fields}}
		got, err := x.promiseOf(3)
		if c.bad {
			if !errors.Is(err, s3err.InvalidRequest) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || got.size != c.want.size || got.algorithm != c.want.algorithm || got.composite != c.want.composite || got.kind != c.want.kind {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
