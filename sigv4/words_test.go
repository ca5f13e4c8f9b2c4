package sigv4

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// Access keys may hold slashes where the credential ends as it should; with more or fewer parts than five it is malformed, and
// with five the last one is wrong.
func TestPartsOfACredential(t *testing.T) {
	const malformed = `The authorization header is malformed; the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`
	for credential, want := range map[string]string{
		"access/32234/us-east-1/s3/extra/things":              malformed,
		"a/b/20130524/us-east-1/s3/aws4_request/":             malformed,
		"access/20130524/us-east-1/s3":                        malformed,
		"/20130524/us-east-1/s3/aws4_request":                 malformed,
		"access/20130524//s3/aws4_request":                    malformed,
		"access/20130524/us-east-1/s3/things":                 `The authorization header is malformed; incorrect terminal "things". This endpoint uses "aws4_request".`,
		"with/a/slash/20130524/us-east-1/s3/aws4_request":     "",
		"with/a/slash/20130524/us-east-1/s3/aws4_request/too": malformed,
	} {
		c := &claim{kind: Header, stamp: "20130524T000000Z"}
		err := c.setCredential(credential)
		if err == nil {
			err = c.checkScope()
		}
		switch {
		case want == "" && (err != nil || c.accessKey != "with/a/slash"):
			t.Errorf("%s: %q, %v", credential, c.accessKey, err)
		case want != "" && (err == nil || err.Message != want || err.Code != codeHeaderMalformed):
			t.Errorf("%s: %v", credential, err)
		}
	}
	c := &claim{kind: Presigned, asymmetric: true}
	if err := c.setCredential("with/slash/20130524/s3/aws4_request"); err != nil || c.accessKey != "with/slash" {
		t.Errorf("SigV4A: %q, %v", c.accessKey, err)
	}
}

// Without credentials a digest that is none is one that no body has; with credentials it is no payload mode.
func TestDigestsThatAreNone(t *testing.T) {
	for _, value := range []string{"incorrect_hash", strings.Repeat("z", 64), strings.Repeat("a", 63), `<x>&"`} {
		v, err := verifierAt(exampleTime, exampleCredential()).Verify(&Request{Method: "PUT", Path: "/b/k", Host: "h", Header: fields("x-amz-content-sha256:" + value)})
		if err != nil || v.Kind != Anonymous || v.Payload != PayloadHash {
			t.Fatalf("%q: %+v, %v", value, v, err)
		}
		for _, text := range []string{"", "hello"} {
			_, _, err := readBody(strings.NewReader(text), PayloadOptions{Verified: v, ContentLength: int64(len(text)), DecodedLength: -1}, 10)
			wantHashes(t, err, value, text)
		}
		wantHashes(t, v.CheckNothing(), value, "")
		r := signedRequest(t, nil)
		r.drop("x-amz-content-sha256")
		r.Header = append(r.Header, Field{"x-amz-content-sha256", value})
		_, err = verifierAt(exampleTime, exampleCredential()).Verify(r)
		if e := wantCode(t, err, "InvalidArgument"); e.Fields[1] != (Field{"ArgumentValue", value}) {
			t.Errorf("%v", e.Fields)
		}
	}
	for value, code := range map[string]string{streamingSigned: "InvalidRequest", streamingECDSA: "InvalidRequest", streamingECDSATrailer: "InvalidRequest", streamingSignedEvents: "NotImplemented"} {
		_, err := verifierAt(exampleTime, exampleCredential()).Verify(&Request{Method: "PUT", Path: "/b/k", Host: "h", Header: fields("x-amz-content-sha256:" + value)})
		wantCode(t, err, code)
	}
	for _, value := range []string{emptyHash, "UNSIGNED-PAYLOAD", ""} {
		v, err := verifierAt(exampleTime, exampleCredential()).Verify(&Request{Method: "GET", Path: "/b/k", Host: "h", Header: fields("x-amz-content-sha256:" + value)})
		if err != nil || v.CheckNothing() != nil {
			t.Errorf("%q: %v, %v", value, err, v.CheckNothing())
		}
	}
}

// wantHashes expects the refusal of a body that has another digest than its request says.
func wantHashes(t *testing.T, err error, claim, text string) {
	t.Helper()
	wantCode(t, err, "XAmzContentSHA256Mismatch")
	var e *Error
	errors.As(err, &e)
	want := []Field{{"ClientComputedContentSHA256", claim}, {"S3ComputedContentSHA256", fmt.Sprintf("%x", sha256.Sum256([]byte(text)))}}
	if fmt.Sprint(e.Fields) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", e.Fields, want)
	}
}

// What is wrong with a policy is said in S3's words. Conditions are shown as S3 shows them: fields in the policy's spelling, a
// space after each comma.
func TestPoliciesAreRefusedInTheWordsOfS3(t *testing.T) {
	const denied = "Invalid according to Policy: Policy Condition failed: "
	for what, c := range map[string]struct{ policy, message string }{
		"nothing":            {"", "Invalid Policy: Expecting '{' but found End-of-Input"},
		"no JSON":            {"{", "Invalid Policy: Invalid JSON."},
		"null":               {"null", "Invalid Policy: Policy missing expiration."},
		"no expiration":      {`{"conditions": []}`, "Invalid Policy: Policy missing expiration."},
		"expiration a truth": {`{"conditions": [], "expiration": true}`, "Invalid Policy: Invalid JSON."},
		"expiration a word":  {`{"conditions": [], "expiration": "soon"}`, "Invalid Policy: Invalid 'expiration' value: 'soon'"},
		"no conditions":      {`{"expiration": "2013-05-24T01:00:00Z"}`, "Invalid Policy: Policy missing conditions."},
		"null conditions":    {`{"expiration": "2013-05-24T01:00:00Z", "conditions": null}`, "Invalid Policy: Invalid 'conditions' value: must be a List."},
		"conditions a truth": {`{"expiration": "2013-05-24T01:00:00Z", "conditions": true}`, "Invalid Policy: Invalid 'conditions' value: must be a List."},
		"something else":     {`{"expiration": "2013-05-24T01:00:00Z", "conditions": [], "b": 1, "a": 2}`, `Invalid Policy: Unexpected: "a"`},
		"a truth":            {policyWith("true"), "Invalid Policy: Invalid condition test: must be a List or Object."},
		"a null":             {policyWith("null"), "Invalid Policy: Invalid condition test: must be a List or Object."},
		"an empty list":      {policyWith("[]"), "Invalid Policy: Invalid Condition: missing operation identifier."},
		"number for a word":  {policyWith(`[1, "$key", "a"]`), "Invalid Policy: Invalid JSON."},
		"another operator":   {policyWith(`["Ends-with", "$key", "a"]`), "Invalid Policy: Invalid Condition: unknown operation 'Ends-with'."},
		"too many":           {policyWith(`["eq", "$key", "a", "b"]`), "Invalid Policy: Invalid eq: wrong number of arguments."},
		"too few":            {policyWith(`["content-length-range", 1]`), "Invalid Policy: Invalid content-length-range: wrong number of arguments."},
		"field a truth":      {policyWith(`["eq", true, "a"]`), "Invalid Policy: Invalid JSON."},
		"value a truth":      {policyWith(`["eq", "$key", true]`), "Invalid Policy: Invalid JSON."},
		"range a word":       {policyWith(`["content-length-range", 1, "x"]`), "Invalid Policy: Invalid JSON."},
		"two properties":     {policyWith(`{"a": "b", "c": "d"}`), "Invalid Policy: Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."},
		"no property":        {policyWith(`{}`), "Invalid Policy: Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."},
		"property a number":  {policyWith(`{"key": 1}`), "Invalid Policy: Invalid Simple-Condition: value must be a string."},
		"no dollar":          {policyWith(`["eq","key","a"]`), denied + `["eq", "key", "a"]`},
		"dollar alone":       {policyWith(`["starts-with", "$", ""]`), denied + `["starts-with", "$", ""]`},
		"empty property":     {policyWith(`{"": ""}`), denied + `["eq", "$", ""]`},
		"its own spelling":   {policyWith(`["StArTs-WiTh",   "$X-Amz-Meta-A","b"]`), denied + `["starts-with", "$X-Amz-Meta-A", "b"]`},
		"simple, spelled":    {policyWith(`{"Content-Type": "a/b"}`), denied + `["eq", "$Content-Type", "a/b"]`},
	} {
		_, _, err := verifierAt(exampleTime, exampleCredential()).VerifyPost("b", signForm(c.policy))
		var e *Error
		if !errors.As(err, &e) || e.Message != c.message || (e.Code == codeAccessDenied) != strings.HasPrefix(c.message, denied) {
			t.Errorf("%s: %v\n%q, want %q", what, err, e.Message, c.message)
		}
	}
	if _, err := parsePolicy("no base64"); err == nil || err.Message != "Invalid Policy: invalid Base64 encoding." {
		t.Errorf("no base64: %v", err)
	}
}

// A form for another region names the credential that says so.
func TestFormsForAnotherRegion(t *testing.T) {
	form := signForm(policyWith(""))
	for i := range form {
		if form[i].Name == fieldCredential {
			form[i].Value = strings.Replace(form[i].Value, "us-east-1", "eu-west-1", 1)
		}
	}
	_, _, err := verifierAt(exampleTime, exampleCredential()).VerifyPost("b", form)
	e := wantCode(t, err, "InvalidArgument")
	want := []Field{{"ArgumentName", "X-Amz-Credential"}, {"ArgumentValue", exampleKey + "/20130524/eu-west-1/s3/aws4_request"}}
	if e.Message != "the region 'eu-west-1' is wrong; expecting 'us-east-1'" || e.Region != "us-east-1" || fmt.Sprint(e.Fields) != fmt.Sprint(want) {
		t.Errorf("%q, %v", e.Message, e.Fields)
	}
}
