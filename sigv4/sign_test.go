package sigv4

import (
	"slices"
	"strings"
	"testing"
)

func TestSigningAgainReplacesWhatTheFirstSigningAdded(t *testing.T) {
	signer := new(Signer)
	first := Credential{AccessKey: exampleKey, Secret: exampleSecret, SessionToken: "token"}
	r := &Request{Method: "PUT", Path: "/b/k", Host: "h", Header: fields("content-length:5")}
	if _, err := signer.Sign(r, first, "us-east-1", "s3", unsignedPayload, exampleTime); err != nil {
		t.Fatal(err)
	}
	if _, err := verifierAt(exampleTime, first).Verify(r); err != nil {
		t.Fatal(err)
	}
	later := exampleTime.AddDate(0, 0, 1)
	if _, err := signer.Sign(r, exampleCredential(), "us-east-1", "s3", emptyHash, later); err != nil {
		t.Fatal(err)
	}
	if _, err := verifierAt(later, exampleCredential()).Verify(r); err != nil {
		t.Error(err)
	}
	names := make(map[string]int)
	for _, f := range r.Header {
		names[f.Name]++
	}
	for name, n := range names {
		if n != 1 || name == "x-amz-security-token" {
			t.Errorf("%d × %s", n, name)
		}
	}
}

func TestHeadersThatProxiesChangeAreNotSigned(t *testing.T) {
	r := &Request{Method: "PUT", Path: "/b/k", Host: "h", Header: fields("user-agent:x", "accept-encoding:identity", "expect:100-continue",
		"transfer-encoding:chunked", "connection:close", "x-amz-acl:private", "content-type:a/b", "if-match:\"x\"")}
	if _, err := new(Signer).Sign(r, exampleCredential(), "us-east-1", "s3", unsignedPayload, exampleTime); err != nil {
		t.Fatal(err)
	}
	authorization, _ := r.header("authorization")
	_, rest, _ := strings.Cut(authorization, "SignedHeaders=")
	list, _, _ := strings.Cut(rest, ",")
	want := []string{"content-type", "host", "if-match", "x-amz-acl", "x-amz-content-sha256", "x-amz-date"}
	if got := strings.Split(list, ";"); !slices.Equal(got, want) {
		t.Errorf("signed: %q", got)
	}
}

func TestSigningRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		request Request
		cred    Credential
	}{
		"no secret":        {Request{Method: "GET", Path: "/", Host: "h"}, Credential{AccessKey: "a"}},
		"no access key":    {Request{Method: "GET", Path: "/", Host: "h"}, Credential{Secret: "s"}},
		"no path":          {Request{Method: "GET", Host: "h"}, exampleCredential()},
		"bad escape":       {Request{Method: "GET", Path: "/%", Host: "h"}, exampleCredential()},
		"bad query escape": {Request{Method: "GET", Path: "/", Query: "a=%", Host: "h"}, exampleCredential()},
		"no host":          {Request{Method: "GET", Path: "/"}, exampleCredential()},
	} {
		if _, err := new(Signer).Sign(&c.request, c.cred, "us-east-1", "s3", unsignedPayload, exampleTime); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
}

func TestSigningHardlyAllocates(t *testing.T) {
	signer := new(Signer)
	r := &Request{Method: "PUT", Path: "/b/k", Query: "partNumber=1&uploadId=x", Host: "h", Header: fields("content-length:5", "x-amz-meta-a:1")}
	if allocs := testing.AllocsPerRun(200, func() {
		if _, err := signer.Sign(r, exampleCredential(), "us-east-1", "s3", unsignedPayload, exampleTime); err != nil {
			t.Fatal(err)
		}
	}); allocs > 6 && !poolsLeak {
		t.Errorf("%v allocations", allocs)
	}
}

func TestSignedLenIsTheLengthOfTheFraming(t *testing.T) {
	for _, n := range []int{0, 1, 15, 16, 17, 4095, 4096, 4097, 70_000} {
		for _, size := range []int{1, 16, 4096, 65536} {
			if n/size > 5000 {
				continue
			}
			if got, want := SignedLen(int64(n), int64(size)), len(encodeBody(t, PayloadSignedChunks, testData(n), size).wire); got != int64(want) {
				t.Errorf("%d bytes in chunks of %d: %d, want %d", n, size, got, want)
			}
		}
	}
}

func TestCanonicalPaths(t *testing.T) {
	for raw, want := range map[string]string{
		"/":                  "/",
		"//":                 "//",
		"/a/./b/../c":        "/a/./b/../c",
		"/a//b/":             "/a//b/",
		"/%41%7e%2D":         "/A~-",
		"/%c3%a9":            "/%C3%A9",
		"/é":                 "/%C3%A9",
		"/a+b c":             "/a%2Bb%20c",
		"/a%2Bb%20c":         "/a%2Bb%20c",
		"/a%2Fb":             "/a%2Fb",
		"/a%252Fb":           "/a%252Fb",
		"/!'()*$&,:;=@":      "/%21%27%28%29%2A%24%26%2C%3A%3B%3D%40",
		"/%00%ff":            "/%00%FF",
		"/trailing%20space ": "/trailing%20space%20",
	} {
		if got, err := appendPath(nil, raw); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v, want %q", raw, got, err, want)
		}
	}
	for _, raw := range []string{"", "a", "*", "/%", "/%4", "/%zz", "/a%4g"} {
		if got, err := appendPath(nil, raw); err == nil {
			t.Errorf("%q: %q", raw, got)
		}
	}
}

func TestCanonicalQueries(t *testing.T) {
	for raw, want := range map[string]string{
		"":                             "",
		"&&":                           "",
		"acl":                          "acl=",
		"acl=":                         "acl=",
		"=a":                           "=a",
		"b=2&a=1":                      "a=1&b=2",
		"a=2&a=1":                      "a=1&a=2",
		"k=a-b&k=a/b":                  "k=a%2Fb&k=a-b",
		"a=1&%C3%A9=2":                 "%C3%A9=2&a=1",
		"a-=1&a=2":                     "a=2&a-=1",
		"prefix=a+b%20c%2B":            "prefix=a%20b%20c%2B",
		"prefix=small/&delimiter=/":    "delimiter=%2F&prefix=small%2F",
		"a=b=c":                        "a=b%3Dc",
		"a;b=1":                        "a%3Bb=1",
		"X-Amz-Signature=x&a=1":        "a=1",
		"a=%2525":                      "a=%2525",
		"x-id=PutObject&partNumber=01": "partNumber=01&x-id=PutObject",
	} {
		q := new(query)
		if err := q.parse(raw); err != nil {
			t.Errorf("%q: %v", raw, err)
		} else if got := string(q.appendCanonical(nil)); got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
}
