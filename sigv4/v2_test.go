package sigv4

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

func mayUseV2() Credential {
	c := exampleCredential()
	c.SigV2 = true
	return c
}

func dateV2(t *testing.T, text string) time.Time {
	t.Helper()
	at, ok := parseDateV2(text)
	if !ok {
		t.Fatalf("%q is no date", text)
	}
	return at
}

// TestPublishedExamplesOfVersion2 holds the verifier against the examples of "Signing and Authenticating REST Requests".
func TestPublishedExamplesOfVersion2(t *testing.T) {
	for name, c := range map[string]struct {
		method, path, query, bucket, date, signature string
		header                                       []string
	}{
		"GET": {"GET", "/photos/puppy.jpg", "", "johnsmith", "Tue, 27 Mar 2007 19:36:42 +0000", "bWq2s1WEIj+Ydj0vQ697zp+IXMU=", nil},
		"PUT": {"PUT", "/photos/puppy.jpg", "", "johnsmith", "Tue, 27 Mar 2007 21:15:45 +0000", "MyyxeRY7whkBe+bq8fHCL/2kKUg=",
			[]string{"content-type:image/jpeg"}},
		"list": {"GET", "/", "prefix=photos&max-keys=50&marker=puppy", "johnsmith", "Tue, 27 Mar 2007 19:42:41 +0000",
			"htDYFYduRNen8P9ZfE/s9SuKy0U=", nil},
		"acl": {"GET", "/", "acl", "johnsmith", "Tue, 27 Mar 2007 19:44:46 +0000", "c2WLPFtWHVgbEmeEG93a4cG37dM=", nil},
		"upload": {"PUT", "/db-backup.dat.gz", "", "static.johnsmith.net", "Tue, 27 Mar 2007 21:06:08 +0000", "ilyl83RwaSoYIEdixDQcA4OnAnc=",
			[]string{"x-amz-acl:public-read", "content-type:application/x-download", "content-md5:4gJE4saaMU4BqNR0kLY+lw==",
				"x-amz-meta-reviewedby:joe@johnsmith.net", "x-amz-meta-reviewedby:jane@johnsmith.net", "x-amz-meta-filechecksum:0x02661779",
				"x-amz-meta-checksumalgorithm:crc32"}},
		"buckets": {"GET", "/", "", "", "Wed, 28 Mar 2007 01:29:59 +0000", "qGdzdERIC03wnaRNKh6OqZehG9s=", nil},
		"unicode": {"GET", "/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re", "", "", "Wed, 28 Mar 2007 01:49:49 +0000",
			"DNEZGsoieTZ92F3bUfSPQcbGmlM=", nil},
	} {
		r := &Request{Method: c.method, Path: c.path, Query: c.query, HostBucket: c.bucket, Host: "s3.amazonaws.com",
			Header: fields(append([]string{"date:" + c.date, "authorization:AWS " + exampleKey + ":" + c.signature}, c.header...)...)}
		got, err := verifierAt(dateV2(t, c.date).Add(time.Minute), mayUseV2()).Verify(r)
		if err != nil || got.Kind != Header || got.AccessKey != exampleKey || got.Payload != PayloadAbsent {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	r := &Request{Method: "GET", Path: "/photos/puppy.jpg", HostBucket: "johnsmith",
		Query: "AWSAccessKeyId=" + exampleKey + "&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620"}
	got, err := verifierAt(time.Unix(1175139000, 0), mayUseV2()).Verify(r)
	if err != nil || got.Kind != Presigned {
		t.Errorf("presigned: %+v, %v", got, err)
	}
}

// A signature covers one Content-Type: whoever holds a URL for images cannot add another type in front or behind.
func TestVersion2BindsTheContentType(t *testing.T) {
	const expires = "1175139620"
	r := func(types ...string) *Request {
		var header []string
		for _, kind := range types {
			header = append(header, "content-type:"+kind)
		}
		return &Request{Method: "PUT", Path: "/b/k", Host: "h", Header: fields(header...), Query: "AWSAccessKeyId=" + exampleKey +
			"&Signature=" + url.QueryEscape(signV2("PUT\n\nimage/png\n"+expires+"\n/b/k")) + "&Expires=" + expires}
	}
	v := verifierAt(time.Unix(1175139000, 0), mayUseV2())
	if _, err := v.Verify(r("image/png")); err != nil {
		t.Errorf("the type that was signed: %v", err)
	}
	for _, types := range [][]string{{"text/html", "image/png"}, {"image/png", "text/html"}, {"image/png", "image/png"}, {"text/html"}, {}} {
		if _, err := v.Verify(r(types...)); err == nil {
			t.Errorf("%q is accepted", types)
		}
	}
}

// signV2 is an independent signer: a string to sign and its signature.
func signV2(text string) string {
	h := hmac.New(sha1.New, []byte(exampleSecret))
	h.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func TestCodesOfVersion2(t *testing.T) {
	const date = "Tue, 27 Mar 2007 19:36:42 GMT"
	now := dateV2(t, date)
	signed := func(text string, header ...string) *Request {
		return &Request{Method: "GET", Path: "/b/k", Host: "h", Header: fields(append(header, "authorization:AWS "+exampleKey+":"+signV2(text))...)}
	}
	base := "GET\n\n\n" + date + "\n/b/k"
	for name, c := range map[string]struct {
		r    *Request
		cred Credential
		now  time.Time
		code string
	}{
		"good":                    {signed(base, "date:"+date), mayUseV2(), now, ""},
		"not switched on":         {signed(base, "date:"+date), exampleCredential(), now, "InvalidRequest"},
		"late":                    {signed(base, "date:"+date), mayUseV2(), now.Add(16 * time.Minute), "RequestTimeTooSkewed"},
		"early":                   {signed(base, "date:"+date), mayUseV2(), now.Add(-16 * time.Minute), "RequestTimeTooSkewed"},
		"no date":                 {signed("GET\n\n\n\n/b/k"), mayUseV2(), now, "AccessDenied"},
		"x-amz-date in its place": {signed("GET\n\n\n\nx-amz-date:"+date+"\n/b/k", "date:Mon, 26 Mar 2007 00:00:00 GMT", "x-amz-date:"+date), mayUseV2(), now, ""},
		"header added":            {signed(base, "date:"+date, "x-amz-acl:public-read"), mayUseV2(), now, "SignatureDoesNotMatch"},
		"content type added":      {signed(base, "date:"+date, "content-type:text/html"), mayUseV2(), now, "SignatureDoesNotMatch"},
		"token nobody has":        {signed("GET\n\n\n"+date+"\nx-amz-security-token:t\n/b/k", "date:"+date, "x-amz-security-token:t"), mayUseV2(), now, "InvalidToken"},
		"streaming mode": {signed("GET\n\n\n"+date+"\nx-amz-content-sha256:"+streamingSigned+"\n/b/k", "date:"+date,
			"x-amz-content-sha256:"+streamingSigned), mayUseV2(), now, "InvalidArgument"},
		"no colon": {&Request{Method: "GET", Path: "/b/k", Header: fields("date:"+date, "authorization:AWS x")}, mayUseV2(), now, "InvalidRequest"},
	} {
		got, err := verifierAt(c.now, c.cred).Verify(c.r)
		if c.code == "" {
			if err != nil || got.AccessKey != exampleKey {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
			continue
		}
		t.Run(name, func(t *testing.T) { wantCode(t, err, c.code) })
	}
	for name, q := range map[string]struct{ query, code string }{
		"signed parameter added":      {"acl", "SignatureDoesNotMatch"},
		"unsigned operation added":    {"encryption", "InvalidRequest"},
		"unsigned operation, escaped": {"%65ncryption", "InvalidRequest"},
		"attributes":                  {"attributes", "InvalidRequest"},
		"other case":                  {"ACL", "InvalidRequest"},
		"page of a listing":           {"prefix=x&list-type=2", ""},
	} {
		r := signed(base, "date:"+date)
		r.Query = q.query
		_, err := verifierAt(now, mayUseV2()).Verify(r)
		if q.code == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		} else if q.code != "" {
			t.Run(name, func(t *testing.T) { wantCode(t, err, q.code) })
		}
	}
}

func TestPresignedVersion2(t *testing.T) {
	until := time.Unix(1_700_000_000, 0)
	query := func(text string, more string) string {
		return "AWSAccessKeyId=" + exampleKey + "&Expires=" + strconv.FormatInt(until.Unix(), 10) + "&Signature=" +
			url.QueryEscape(signV2(text)) + more
	}
	text := "GET\n\n\n1700000000\n/b/k"
	for name, c := range map[string]struct {
		query string
		now   time.Time
		code  string
	}{
		"good":                    {query(text, ""), until, ""},
		"expired":                 {query(text, ""), until.Add(time.Second), "AccessDenied"},
		"longer":                  {strings.Replace(query(text, ""), "1700000000", "1700000001", 1), until, "SignatureDoesNotMatch"},
		"override, signed":        {query(text+"?response-content-type=text/plain; x=é", "&response-content-type="+url.QueryEscape("text/plain; x=é")), until, ""},
		"override, added":         {query(text, "&response-content-type=text/html"), until, "SignatureDoesNotMatch"},
		"version and ACL":         {query(text+"?acl&versionId=v1", "&versionId=v1&acl"), until, ""},
		"x-amz parameter":         {query("GET\n\n\n1700000000\nx-amz-request-payer:requester\n/b/k", "&x-amz-request-payer=requester"), until, ""},
		"x-amz parameter added":   {query(text, "&x-amz-acl=public-read"), until, "SignatureDoesNotMatch"},
		"two parameters in one":   {query(text+"?partNumber=1&uploadId=u", "&partNumber=1%26uploadId%3Du"), until, "InvalidRequest"},
		"bare parameter in one":   {query(text+"?partNumber=1&versionId", "&partNumber=1%26versionId"), until, "InvalidRequest"},
		"override with ampersand": {query(text+"?response-content-disposition=a&b=c", "&response-content-disposition=a%26b%3Dc"), until, ""},
		"no expiry":               {strings.Replace(query(text, ""), "Expires", "Other", 1), until, "AccessDenied"},
		"two keys":                {query(text, "&AWSAccessKeyId=x"), until, "InvalidArgument"},
		"negative expiry":         {strings.Replace(query(text, ""), "1700000000", "-1", 1), until, "AccessDenied"},
	} {
		_, err := verifierAt(c.now, mayUseV2()).Verify(&Request{Method: "GET", Path: "/b/k", Host: "h", Query: c.query})
		if c.code == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		} else if c.code != "" {
			t.Run(name, func(t *testing.T) { wantCode(t, err, c.code) })
		}
	}
}

func TestFormsOfVersion2(t *testing.T) {
	policy := base64.StdEncoding.EncodeToString([]byte(`{"expiration":"2030-01-01T00:00:00Z","conditions":[{"bucket":"b"},["starts-with","$key",""]]}`))
	form := func(signature string) []Field {
		return []Field{{"key", "k"}, {"policy", policy}, {"awsaccesskeyid", exampleKey}, {"signature", signature}}
	}
	v := verifierAt(exampleTime, mayUseV2())
	got, p, err := v.VerifyPost("b", form(signV2(policy)))
	if err != nil || got.Kind != Post || got.AccessKey != exampleKey || p == nil {
		t.Fatalf("%+v, %v", got, err)
	}
	_, _, err = v.VerifyPost("b", form(signV2(policy+"x")))
	wantCode(t, err, "SignatureDoesNotMatch")
	_, _, err = v.VerifyPost("b", append(form(signV2(policy)), Field{"x-amz-algorithm", algorithm}))
	wantCode(t, err, "InvalidArgument")
	_, _, err = v.VerifyPost("other", form(signV2(policy)))
	wantCode(t, err, "AccessDenied")
	_, _, err = v.VerifyPost("b", append(form(signV2(policy)), Field{"acl", "public-read"}))
	wantCode(t, err, "AccessDenied")
	_, _, err = verifierAt(exampleTime, exampleCredential()).VerifyPost("b", form(signV2(policy)))
	wantCode(t, err, "InvalidRequest")
}
