package suite

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/servers"
)

var errorCases = []Case{
	{"Auth_wrong_secret", authSecret},
	{"Auth_unknown_access_key", authUnknown},
	{"Auth_skewed_clock", authSkew},
	{"Auth_none", authNone},
	{"Error_bodies_name_code_and_request_id", errorBody},
}

func authSecret(e *Env) {
	r := e.request("GET", "/"+e.Bucket, nil)
	r.secret = "not the secret"
	e.refused(r, 403, "SignatureDoesNotMatch")
}

func authUnknown(e *Env) {
	c := servers.NewClient(e.Target.Endpoint(), "nobody", "secret", func(o *s3.Options) { o.HTTPClient = e.Target.HTTPClient() })
	_, err := c.ListBuckets(e.Ctx, &s3.ListBucketsInput{}, noRetry)
	e.Fails(err, 403, "InvalidAccessKeyId")
}

func authSkew(e *Env) {
	for _, d := range []time.Duration{-20 * time.Minute, 20 * time.Minute} {
		r := e.request("GET", "/"+e.Bucket, nil)
		r.at = time.Now().Add(d)
		e.refused(r, 403, "RequestTimeTooSkewed")
	}
}

func authNone(e *Env) {
	e.Put("k", []byte("x"))
	a := e.send(newRequest(e, "GET", e.Target.Endpoint()+"/"+e.Bucket+"/k"))
	Equal(e, "status", a.status, 403)
	Equal(e, "code", a.code, "AccessDenied")
}

func errorBody(e *Env) {
	a := e.do(e.request("GET", "/"+e.Bucket+"/missing", nil))
	Equal(e, "status", a.status, 404)
	Equal(e, "code", a.code, "NoSuchKey")
	if a.header.Get("X-Amz-Request-Id") == "" && e.Target.Encrypted {
		e.Error("no x-amz-request-id")
	}
	_, err := e.C.DeleteBucket(e.Ctx, &s3.DeleteBucketInput{Bucket: aws.String("no-such-bucket-here")})
	e.Fails(err, 404, "NoSuchBucket")
}
