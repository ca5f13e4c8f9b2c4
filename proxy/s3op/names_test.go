package s3op

import (
	"errors"
	"strings"
	"testing"

	"s3veil/proxy/s3err"
)

func TestReservedKeys(t *testing.T) {
	for _, key := range []string{
		".s3veil", ".s3veil/", ".s3veil/m/00", "/.s3veil/x", "//.s3veil/x", "./.s3veil", "././/.s3veil/u/1", "x/../.s3veil/m/1",
		"x/y/../../.s3veil", "../bkt/.s3veil/m/1", "a/../../bkt/.s3veil", ".S3Veil/m/1", ".s3veil/../a", ".s3veil//",
		"/./x/.././.s3veil",
	} {
		if !Reserved(key) {
			t.Errorf("%q is not reserved", key)
		}
	}
	for _, key := range []string{
		"", "/", "a", ".s3veilx", ".s3vei", "s3veil/m", "a/.s3veil/m", "a/..b/.s3veil", "..", "../a", "a/../b", ".s3veil.txt",
		"%2es3veil/m", "a..", "x/.../.s3veil",
	} {
		if Reserved(key) {
			t.Errorf("%q is reserved", key)
		}
	}
}

func TestIDsThatArePaths(t *testing.T) {
	for _, id := range []string{".", "..", "../x", "x/..", "x/../y", "a/./b", "./a", `..\x`, `a\..\b`, `a/..\b`, "a\x00", "a\nb", "\x7f"} {
		if CheckID(id) {
			t.Errorf("%q can be an id", id)
		}
	}
	for _, id := range []string{"", "null", "3HL4kqtJvjVBH40Nrjfkd", "a/b", "...", "a..b", "..a", "2~Zx_-.=+", "01JD0000000000000000000000", "ü"} {
		if !CheckID(id) {
			t.Errorf("%q cannot be an id", id)
		}
	}
	for _, target := range []string{"/bkt/k?versionId=../k", "/bkt/k?versionId=..%2Fk", "/bkt/k?versionId=1&versionId=..", "/bkt?versions&version-id-marker=.."} {
		if _, err := route("GET", target); !errors.Is(err, s3err.InvalidArgument) {
			t.Errorf("%s: %v", target, err)
		}
	}
}

func TestCopySources(t *testing.T) {
	for _, r := range []struct{ in, bucket, key, version string }{
		{"bkt/key", "bkt", "key", ""},
		{"/bkt/key", "bkt", "key", ""},
		{"bkt%2Fdir%2Fa+b", "bkt", "dir/a b", ""},
		{"%2Fbkt%2Fkey", "bkt", "key", ""},
		{"/bkt/a%2Bb%20c", "bkt", "a+b c", ""},
		{"/bkt/key?versionId=v%2F1", "bkt", "key", "v/1"},
		{"/bkt/key?versionId=null", "bkt", "key", "null"},
		{"/bkt/what%3FversionId=x", "bkt", "what?versionId=x", ""},
		{"/bkt/what?", "bkt", "what?", ""},
		{"/bkt//key/", "bkt", "/key/", ""},
		{"/bkt/x/../y", "bkt", "x/../y", ""},
		{"bkt%2Fkey?versionId=1", "bkt", "key", "1"},
	} {
		c, err := ParseCopySource(r.in)
		if err != nil || c != (CopySource{r.bucket, r.key, r.version}) {
			t.Errorf("%s: %+v %v", r.in, c, err)
			continue
		}
		if again, err := ParseCopySource(c.String()); err != nil || again != c {
			t.Errorf("%s: %s parses as %+v %v", r.in, c, again, err)
		}
	}
	for in, code := range map[string]string{
		"": "InvalidArgument", "bkt": "InvalidArgument", "/bkt/": "InvalidArgument", "bkt/%zz": "InvalidArgument",
		"/bkt/%ff": "InvalidArgument", "/bkt/a/../../x": "InvalidArgument", "x/y": "InvalidArgument", "/bkt/k?versionId=": "InvalidArgument",
		"/bkt/k?versionId=../../other/k": "InvalidArgument", "/bkt/k?versionId=..%2F..%2Fother%2Fk": "InvalidArgument",
		"arn:aws:s3:eu-west-1:1:accesspoint/ap/object/k": "NotImplemented",
		"arn%3Aaws%3As3":                    "NotImplemented",
		"/ap-hash-s3alias/key":              "NotImplemented",
		"/bkt/" + strings.Repeat("k", 1025): "KeyTooLongError",
	} {
		if _, err := ParseCopySource(in); s3err.From(err).Code != code {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestUnknownHeadersOfObjectWritesAreFound(t *testing.T) {
	known := []string{
		"host", "content-type", "x-amz-api-version", "x-amz-region-set", "x-amz-date", "x-amz-content-sha256", "x-amz-meta-a", "x-amz-acl", "x-amz-checksum-crc32",
		"x-amz-checksum-algorithm", "x-amz-server-side-encryption-customer-key-md5", "x-amz-object-lock-mode",
		"x-amz-grant-read", "x-amz-decoded-content-length", "x-amz-trailer", "x-amz-expected-bucket-owner", "amz-sdk-request",
		"x-amz-storage-class", "x-amz-security-token", "x-amzn-trace-id",
	}
	for _, op := range []Op{PutObject, UploadPart, CopyObject, CreateMultipartUpload, CompleteMultipartUpload, PostObject} {
		if name := UnknownAmzHeader(op, known); name != "" {
			t.Errorf("%s: %s is unknown", op, name)
		}
		for _, name := range []string{"x-amz-write-offset-bytes", "x-amz-checksum-sha384", "x-amz-new", "x-amz-rename-source"} {
			if got := UnknownAmzHeader(op, append(known, name)); got != name {
				t.Errorf("%s: %s passes", op, name)
			}
		}
	}
	if del := Table[DeleteObject]; UnknownAmzHeader(DeleteObject, []string{"x-amz-if-match-size"}) != "" || del.MayForward("x-amz-if-match-size") {
		t.Error("the size of a plaintext goes up as it is, or is refused")
	}
	if UnknownAmzHeader(DeleteObject, []string{"x-amz-if-match-color"}) == "" {
		t.Error("a condition of a delete is dropped")
	}
	if name := UnknownAmzHeader(GetObject, []string{"x-amz-new"}); name != "" {
		t.Errorf("%s refused on a read", name)
	}
}

func TestHeaderAllowLists(t *testing.T) {
	put, get := Table[PutObject], Table[GetObject]
	for _, name := range []string{"content-type", "x-amz-meta-a", "x-amz-object-lock-mode", "origin", "if-none-match", "x-amz-tagging"} {
		if !put.MayForward(name) {
			t.Errorf("PutObject does not forward %s", name)
		}
	}
	for _, name := range []string{
		"authorization", "content-md5", "x-amz-checksum-crc32", "x-amz-server-side-encryption", "x-amz-meta-s3veil", "cookie",
		"x-amz-server-side-encryption-customer-key", "x-amz-content-sha256", "host", "content-length", "x-amz-meta-s3veil-for",
		"x-amz-security-token", "connection", "transfer-encoding", "accept-encoding", "x-forwarded-for", "x-amz-copy-source",
	} {
		if put.MayForward(name) {
			t.Errorf("PutObject forwards %s", name)
		}
	}
	for _, name := range []string{"content-type", "x-amz-meta-a", "last-modified", "x-amz-version-id", "access-control-allow-origin"} {
		if !get.MayAnswer(name) {
			t.Errorf("GetObject does not answer %s", name)
		}
	}
	for _, name := range []string{
		"set-cookie", "location", "etag", "x-amz-checksum-crc64nvme", "x-amz-server-side-encryption", "content-range",
		"content-length", "x-amz-meta-s3veil", "refresh", "link", "x-amz-request-id", "date", "strict-transport-security",
	} {
		if get.MayAnswer(name) {
			t.Errorf("GetObject answers %s", name)
		}
	}
	var unknown Info
	if unknown.MayForward("origin") || unknown.MayAnswer("server") {
		t.Error("an operation outside the table lets headers through")
	}
}

func TestKeysThatAreTheBucket(t *testing.T) {
	for key, want := range map[string]bool{
		"/": true, "//": true, ".": true, "./": true, "/./": true, "a/..": true, "a/../": true, "a/b/../..": true, "a//../.": true,
		"a": false, "a/": false, "/a": false, "./a": false, "a/../b": false, "..a": false, ".a/": false, "...": false, " ": false,
	} {
		if IsBucket(key) != want {
			t.Errorf("%q: %v", key, !want)
		}
	}
}
