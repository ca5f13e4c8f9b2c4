package suite

import (
	"bytes"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3veil/test/servers"
)

var presignCases = []Case{
	{"Presigned_PUT_and_GET", presigned},
	{"Presigned_misuse_is_refused", presignedMisuse},
	{"Presigned_PUT_with_the_checksum_of_no_body", presignedEmptySum},
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

// presignedEmptySum: the JavaScript SDK signs the checksum of an empty body into URLs for bodies that it does not know.
func presignedEmptySum(e *Env) {
	if !e.Target.Encrypted {
		return
	}
	body := Data(70_000, 1)
	req := newRequest(e, "PUT", e.Target.Endpoint()+"/"+e.Bucket+"/k?x-id=PutObject&x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32&X-Amz-Expires=600")
	u, _, err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).PresignHTTP(e.Ctx,
		aws.Credentials{AccessKeyID: e.Target.AccessKey, SecretAccessKey: e.Target.SecretKey}, req, "UNSIGNED-PAYLOAD", "s3", servers.Region, time.Now())
	e.Ok(err)
	put, err := http.NewRequest("PUT", u, bytes.NewReader(body))
	e.Ok(err)
	if a := e.send(put); a.status != 200 {
		e.Fatalf("PUT: %d %s", a.status, a.body)
	}
	got, _ := e.Get("k")
	e.Same("body", got, body)
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
