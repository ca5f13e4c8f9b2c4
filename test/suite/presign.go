package suite

import (
	"bytes"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

var presignCases = []Case{
	{"Presigned_PUT_and_GET", presigned},
	{"Presigned_misuse_is_refused", presignedMisuse},
}

func presigned(e *Env) {
	p := s3.NewPresignClient(e.C)
	for _, n := range []int{0, 10, 100_000, 2 << 20} {
		body := Data(n, 1)
		put, err := p.PresignPutObject(e.Ctx, &s3.PutObjectInput{Bucket: &e.Bucket, Key: aws.String("a b+c"),
			ContentType: aws.String("text/plain")}, func(o *s3.PresignOptions) {
			o.ClientOptions = append(o.ClientOptions, func(o *s3.Options) {
				o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			})
		})
		e.Ok(err)
		req, err := http.NewRequest("PUT", put.URL, bytes.NewReader(body))
		e.Ok(err)
		req.Header.Set("Content-Type", "text/plain")
		if a := e.send(req); a.status != 200 {
			e.Fatalf("PUT: %d %s", a.status, a.body)
		}
		get, err := p.PresignGetObject(e.Ctx, &s3.GetObjectInput{Bucket: &e.Bucket, Key: aws.String("a b+c"),
			ResponseContentType: aws.String("text/override")})
		e.Ok(err)
		a := e.send(newRequest(e, "GET", get.URL))
		Equal(e, "status", a.status, 200)
		e.Same("body", a.body, body)
		Equal(e, "content type", a.header.Get("Content-Type"), "text/override")
	}
}

func newRequest(e *Env, method, url string) *http.Request {
	e.Helper()
	req, err := http.NewRequest(method, url, nil)
	e.Ok(err)
	return req
}

func presignedMisuse(e *Env) {
	e.Put("k", []byte("x"))
	get, err := s3.NewPresignClient(e.C).PresignGetObject(e.Ctx, &s3.GetObjectInput{Bucket: &e.Bucket, Key: aws.String("k")},
		func(o *s3.PresignOptions) { o.Expires = time.Minute })
	e.Ok(err)
	Equal(e, "as signed", e.send(newRequest(e, "GET", get.URL)).status, 200)
	for what, url := range map[string]string{
		"other key":       strings.Replace(get.URL, "/k?", "/other?", 1),
		"longer validity": strings.Replace(get.URL, "X-Amz-Expires=60", "X-Amz-Expires=600", 1),
		"added parameter": get.URL + "&response-content-type=text/html",
	} {
		a := e.send(newRequest(e, "GET", url))
		Equal(e, what, a.status, 403)
		Equal(e, what, a.code, "SignatureDoesNotMatch")
	}
	Equal(e, "other method", e.send(newRequest(e, "DELETE", get.URL)).status, 403)
	if a := e.send(newRequest(e, "GET", strings.Replace(get.URL, "X-Amz-Expires=60", "X-Amz-Expires=700000", 1))); a.status/100 != 4 {
		e.Errorf("validity beyond 7 days: %d", a.status)
	}
}
