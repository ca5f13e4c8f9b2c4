package sigv4

import (
	"strings"
	"testing"
)

// The texts are those of S3: client libraries and their tests know some of them by heart.
func TestErrorsSpeakTheWordsOfS3(t *testing.T) {
	auth := func(old, replacement string) func(*Request) {
		return func(r *Request) { r.replace("authorization", old, replacement) }
	}
	const malformed = "The authorization header is malformed; "
	for name, c := range map[string]struct {
		change  func(*Request)
		message string
		field   Field
	}{
		"one word":     {func(r *Request) { r.Header[len(r.Header)-1].Value = "none" }, "Authorization header is invalid -- one and only one ' ' (space) required.", Field{"ArgumentValue", "none"}},
		"other scheme": {auth("AWS4-HMAC-SHA256", "Bearer"), "Unsupported Authorization Type", Field{"ArgumentValue", "Bearer"}},
		"version 2":    {func(r *Request) { r.Header[len(r.Header)-1].Value = "AWS " + exampleKey + ":x" }, "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.", Field{}},
		"no equals":    {auth("SignedHeaders=", "SignedHeaders-"), malformed + `the authorization component "SignedHeaders-`, Field{}},
		"no signature": {auth("Signature=", "Signed="), malformed + "missing Signature.", Field{}},
		"terminator":   {auth("/aws4_request", "/aws5_request"), malformed + `incorrect terminal "aws5_request". This endpoint uses "aws4_request".`, Field{}},
		"service":      {auth("/s3/", "/ec2/"), malformed + `incorrect service "ec2". This endpoint belongs to "s3".`, Field{}},
		"region":       {auth("/us-east-1/", "/eu-west-1/"), malformed + "the region 'eu-west-1' is wrong; expecting 'us-east-1'", Field{}},
		"date's form":  {auth("/20130524/", "/2013-05-24/"), malformed + `incorrect date format "2013-05-24". This date in the credential must be in the format "yyyyMMdd".`, Field{}},
		"other date":   {auth("/20130524/", "/20130523/"), malformed + "Invalid credential date. Date is not the same as X-Amz-Date.", Field{}},
		"no such key":  {auth("Credential=AKIA", "Credential=BKIA"), "", Field{"AWSAccessKeyId", "BKIAIOSFODNN7EXAMPLE"}},
		"signature":    {auth("Signature=", "Signature=0"), "", Field{"AWSAccessKeyId", "AKIAIOSFODNN7EXAMPLE"}},
		"no date":      {func(r *Request) { r.drop("x-amz-date") }, "AWS authentication requires a valid Date or x-amz-date header.", Field{}},
		"unsigned":     {func(r *Request) { r.Header = append(r.Header, Field{"x-amz-acl", "private"}) }, "There were headers present in the request which were not signed", Field{"HeadersNotSigned", "x-amz-acl"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := signedRequest(t, nil)
			c.change(r)
			_, err := verifierAt(exampleTime, exampleCredential()).Verify(r)
			e, ok := err.(*Error)
			if !ok || !strings.HasPrefix(e.Message, c.message) {
				t.Fatalf("%+v", err)
			}
			found := c.field == Field{}
			for _, f := range e.Fields {
				found = found || f == c.field
			}
			if !found {
				t.Errorf("fields %v lack %v", e.Fields, c.field)
			}
		})
	}
}
