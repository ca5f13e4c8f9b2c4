package sigv4

import (
	"encoding/base64"
	"math"
	"strings"
	"testing"
	"time"
)

// signForm adds the fields of authentication to a form with a policy.
func signForm(policy string, form ...Field) []Field {
	encoded := base64.StdEncoding.EncodeToString([]byte(policy))
	key := derive(exampleSecret, "20130524", "us-east-1", "s3")
	var sig [64]byte
	key.sign(&sig, []byte(encoded))
	return append(form, Field{"policy", encoded}, Field{"x-amz-algorithm", "AWS4-HMAC-SHA256"},
		Field{"x-amz-credential", exampleKey + "/20130524/us-east-1/s3/aws4_request"}, Field{"x-amz-date", "20130524T000000Z"},
		Field{"x-amz-signature", string(sig[:])})
}

// authConditions cover what signForm adds.
const authConditions = `{"bucket": "b"}, {"x-amz-algorithm": "AWS4-HMAC-SHA256"}, ["starts-with", "$x-amz-credential", ""], {"X-Amz-Date": "20130524T000000Z"}`

func policyWith(conditions string) string {
	if conditions != "" {
		conditions = ", " + conditions
	}
	return `{"expiration": "2013-05-24T01:00:00.000Z", "conditions": [` + authConditions + conditions + `]}`
}

// The policy and signature of "Example: Browser-Based Upload using HTTP POST" in the S3 API reference.
func TestReferencePost(t *testing.T) {
	policy := strings.Join([]string{
		`{ "expiration": "2015-12-30T12:00:00.000Z",`,
		`  "conditions": [`,
		`    {"bucket": "sigv4examplebucket"},`,
		`    ["starts-with", "$key", "user/user1/"],`,
		`    {"acl": "public-read"},`,
		`    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},`,
		`    ["starts-with", "$Content-Type", "image/"],`,
		`    {"x-amz-meta-uuid": "14365123651274"},`,
		`    {"x-amz-server-side-encryption": "AES256"},`,
		`    ["starts-with", "$x-amz-meta-tag", ""],`,
		``,
		`    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},`,
		`    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},`,
		`    {"x-amz-date": "20151229T000000Z" }`,
		`  ]`,
		`}`}, "\r\n")
	form := []Field{
		{"key", "user/user1/photo.png"}, {"acl", "public-read"},
		{"success_action_redirect", "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},
		{"content-type", "image/jpeg"}, {"x-amz-meta-uuid", "14365123651274"}, {"x-amz-server-side-encryption", "AES256"},
		{"x-amz-credential", "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},
		{"x-amz-algorithm", "AWS4-HMAC-SHA256"}, {"x-amz-date", "20151229T000000Z"}, {"x-amz-meta-tag", ""},
		{"policy", base64.StdEncoding.EncodeToString([]byte(policy))},
		{"x-amz-signature", "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"},
	}
	v := verifierAt(time.Date(2015, 12, 29, 12, 0, 0, 0, time.UTC), exampleCredential())
	got, p, err := v.VerifyPost("sigv4examplebucket", form)
	if err != nil {
		t.Fatal(err)
	}
	if got.Kind != Post || got.AccessKey != exampleKey || p == nil {
		t.Errorf("%+v", got)
	}
}

func TestPostConditions(t *testing.T) {
	key := Field{"key", "user/a.png"}
	onKey := `["starts-with", "$key", "user/"]`
	for name, c := range map[string]struct {
		conditions string
		form       []Field
		code       string
	}{
		"starts-with":                   {onKey, []Field{key}, ""},
		"starts-with fails":             {`["starts-with", "$key", "other/"]`, []Field{key}, "AccessDenied"},
		"starts-with empty is anything": {`["starts-with", "$key", ""]`, []Field{key}, ""},
		"starts-with absent field":      {onKey + `, ["starts-with", "$acl", "p"]`, []Field{key}, "AccessDenied"},
		"eq":                            {`["eq", "$key", "user/a.png"]`, []Field{key}, ""},
		"eq fails":                      {`["eq", "$key", "user/"]`, []Field{key}, "AccessDenied"},
		"eq absent field":               {onKey + `, ["eq", "$acl", ""]`, []Field{key}, "AccessDenied"},
		"object":                        {`{"key": "user/a.png"}`, []Field{key}, ""},
		"object fails":                  {`{"key": "user/b.png"}`, []Field{key}, "AccessDenied"},
		"values have case":              {`{"key": "User/a.png"}`, []Field{key}, "AccessDenied"},
		"names and operators have none": {`["StArTs-WiTh", "$KeY", "user/"], {"bUcKeT": "b"}`, []Field{key}, ""},
		"field without condition":       {onKey, []Field{key, {"acl", "private"}}, "AccessDenied"},
		"ignored fields":                {onKey, []Field{key, {"x-ignore-this", "1"}, {"file", "data"}}, ""},
		"bucket":                        {onKey + `, {"bucket": "b"}`, []Field{key}, ""},
		"bucket in the form":            {onKey + `, {"bucket": "b"}`, []Field{key, {"bucket", "b"}}, ""},
		"other bucket":                  {onKey + `, {"bucket": "c"}`, []Field{key}, "AccessDenied"},
		"other bucket in the form":      {onKey + `, {"bucket": "c"}`, []Field{key, {"bucket", "c"}}, "AccessDenied"},
		"content types are a list":      {onKey + `, ["starts-with", "$Content-Type", "image/"]`, []Field{key, {"content-type", "image/png, image/gif,image/x"}}, ""},
		"one content type fails":        {onKey + `, ["starts-with", "$Content-Type", "image/"]`, []Field{key, {"content-type", "image/png,text/html"}}, "AccessDenied"},
		"repeated field":                {onKey, []Field{key, key}, "InvalidArgument"},
		"signature version 2":           {onKey, []Field{key, {"awsaccesskeyid", exampleKey}, {"signature", "x"}}, "InvalidArgument"},
		"half of version 2":             {onKey, []Field{key, {"awsaccesskeyid", exampleKey}}, "InvalidArgument"},
		"token nobody configured":       {onKey + `, ["starts-with", "$x-amz-security-token", ""]`, []Field{key, {"x-amz-security-token", "t"}}, "InvalidToken"},
		"two properties":                {`{"key": "user/a.png", "acl": "x"}`, []Field{key}, "InvalidPolicyDocument"},
		"number as value":               {`{"key": 1}`, []Field{key}, "InvalidPolicyDocument"},
		"field without $":               {`["eq", "key", "user/a.png"]`, []Field{key}, "AccessDenied"},
		"unknown operator":              {`["ends-with", "$key", "png"]`, []Field{key}, "InvalidPolicyDocument"},
		"operator of another type":      {`[1, "$key", "png"]`, []Field{key}, "InvalidPolicyDocument"},
		"two elements":                  {`["eq", "$key"]`, []Field{key}, "InvalidPolicyDocument"},
		"range of one number":           {`["content-length-range", 1]`, []Field{key}, "InvalidPolicyDocument"},
		"range of words":                {`["content-length-range", "a", "b"]`, []Field{key}, "InvalidPolicyDocument"},
		"negative range":                {`["content-length-range", -1, 5]`, []Field{key}, "InvalidPolicyDocument"},
		"null condition":                {`null`, []Field{key}, "InvalidPolicyDocument"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := verifierAt(exampleTime, exampleCredential()).VerifyPost("b", signForm(policyWith(c.conditions), c.form...))
			if c.code == "" && err != nil {
				t.Fatal(err)
			}
			if c.code != "" {
				wantCode(t, err, c.code)
			}
		})
	}
}

func TestPostPolicyDocuments(t *testing.T) {
	for name, c := range map[string]struct{ policy, code string }{
		"expired":                  {strings.Replace(policyWith(""), "T01:00", "T00:00", 1), "AccessDenied"},
		"no expiration":            {`{"conditions": []}`, "InvalidPolicyDocument"},
		"date without zone":        {strings.Replace(policyWith(""), ".000Z", "", 1), "InvalidPolicyDocument"},
		"no conditions":            {`{"expiration": "2013-05-24T01:00:00Z"}`, "InvalidPolicyDocument"},
		"null conditions":          {`{"expiration": "2013-05-24T01:00:00Z", "conditions": null}`, "InvalidPolicyDocument"},
		"conditions have case":     {strings.Replace(policyWith(""), "conditions", "CONDITIONS", 1), "InvalidPolicyDocument"},
		"expiration has case":      {strings.Replace(policyWith(""), "expiration", "Expiration", 1), "InvalidPolicyDocument"},
		"unknown member":           {strings.Replace(policyWith(""), "{", `{"version": "1", `, 1), "InvalidPolicyDocument"},
		"not JSON":                 {`{"expiration"`, "InvalidPolicyDocument"},
		"not an object":            {`[]`, "InvalidPolicyDocument"},
		"more behind the document": {policyWith("") + "{}", "InvalidPolicyDocument"},
		"empty":                    {"", "InvalidPolicyDocument"},
		"no bucket":                {strings.Replace(policyWith(""), `{"bucket": "b"}, `, "", 1), "AccessDenied"},
		"nothing covers the form":  {`{"expiration": "2013-05-24T01:00:00Z", "conditions": []}`, "AccessDenied"},
	} {
		_, _, err := verifierAt(exampleTime, exampleCredential()).VerifyPost("b", signForm(c.policy))
		t.Log(name)
		wantCode(t, err, c.code)
	}
}

func TestPostLengthRange(t *testing.T) {
	policyOf := func(conditions string) *Policy {
		_, p, err := verifierAt(exampleTime, exampleCredential()).VerifyPost("b", signForm(policyWith(conditions)))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := policyOf(`["content-length-range", 5, "10"]`)
	for n, code := range map[int64]string{0: "EntityTooSmall", 4: "EntityTooSmall", 5: "", 10: "", 11: "EntityTooLarge"} {
		if err := p.CheckLength(n); code == "" && err != nil {
			t.Errorf("%d: %v", n, err)
		} else if code != "" {
			wantCode(t, err, code)
		}
	}
	if least, most := policyOf(`["content-length-range", 0, 10], ["content-length-range", 5, 20]`).LengthRange(); least != 5 || most != 10 {
		t.Errorf("%d to %d", least, most)
	}
	if least, most := policyOf("").LengthRange(); least != 0 || most != math.MaxInt64 {
		t.Errorf("%d to %d", least, most)
	}
}

// Every field of authentication is needed, and none may change.
func TestPostAuthenticationFields(t *testing.T) {
	good := signForm(policyWith(""))
	v := verifierAt(exampleTime, exampleCredential())
	if _, _, err := v.VerifyPost("b", good); err != nil {
		t.Fatal(err)
	}
	for i, f := range good {
		without := append(append([]Field{}, good[:i]...), good[i+1:]...)
		_, _, err := v.VerifyPost("b", without)
		wantCode(t, err, "InvalidArgument")
		for j := range f.Value {
			for _, flip := range []byte{1, 0x20} {
				value := []byte(f.Value)
				value[j] ^= flip
				changed := append([]Field{}, good...)
				changed[i].Value = string(value)
				if _, _, err := v.VerifyPost("b", changed); err == nil {
					t.Fatalf("%s: byte %d changed to %q was accepted", f.Name, j, value[j])
				}
			}
		}
	}
	anonymous, p, err := v.VerifyPost("b", fields("key:a", "acl:private"))
	if err != nil || anonymous.Kind != Anonymous || p != nil {
		t.Errorf("form without credentials: %+v, %v, %v", anonymous, p, err)
	}
	foreign := append([]Field{}, good...)
	foreign[2].Value = strings.Replace(foreign[2].Value, "us-east-1", "eu-west-1", 1)
	_, _, err = v.VerifyPost("b", foreign)
	if e := wantCode(t, err, "InvalidArgument"); e.Region != "us-east-1" {
		t.Errorf("region %q", e.Region)
	}
	foreign[1].Value = "AWS4-ECDSA-P256-SHA256"
	_, _, err = v.VerifyPost("b", foreign)
	wantCode(t, err, "NotImplemented")
}
