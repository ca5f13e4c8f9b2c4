package sigv4

import (
	"bytes"
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/minio/minio-go/v7/pkg/signer"

	"s3veil/sigv4/checksum"
)

// capture is a request as a client would put it on the wire.
type capture struct {
	request *Request
	length  int64
	body    []byte
}

// captureHTTP takes a client's request apart.
func captureHTTP(r *http.Request) (*capture, error) {
	c := &capture{length: r.ContentLength, request: &Request{Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Host: r.Host}}
	if c.request.Host == "" {
		c.request.Host = r.URL.Host
	}
	c.request.Header = append(c.request.Header, Field{"host", c.request.Host})
	for name, values := range r.Header {
		for _, value := range values {
			if !strings.EqualFold(name, "content-length") {
				c.request.Header = append(c.request.Header, Field{strings.ToLower(name), value})
			}
		}
	}
	if r.Body == nil || r.Body == http.NoBody {
		return c, nil
	}
	var err error
	c.body, err = io.ReadAll(r.Body)
	if r.ContentLength >= 0 {
		c.request.Header = append(c.request.Header, Field{"content-length", strconv.FormatInt(r.ContentLength, 10)})
	}
	return c, err
}

// accept verifies a captured request at its own time, and its body, which must be data.
func (c *capture) accept(t *testing.T, kind Kind, data []byte) *Verified {
	t.Helper()
	now := time.Now()
	if stamp, ok := c.request.header("x-amz-date"); ok {
		now, _ = time.Parse(stampLayout, stamp)
	}
	v, err := verifierAt(now, exampleCredential()).Verify(c.request)
	if err != nil {
		t.Fatalf("%+v: %v", c.request, err)
	}
	o := PayloadOptions{Verified: v, ContentLength: c.length, DecodedLength: -1}
	for _, f := range c.request.Header {
		if a, ok := checksum.FromHeader(f.Name); ok {
			value, err := a.Decode(f.Value)
			if err != nil {
				t.Fatal(err)
			}
			o.Sums = append(o.Sums, Sum{a, value})
		}
		switch f.Name {
		case "x-amz-trailer":
			o.Trailer = []string{strings.ToLower(f.Value)}
		case "x-amz-decoded-content-length":
			o.DecodedLength, _ = strconv.ParseInt(f.Value, 10, 64)
		}
	}
	got, _, err := readBody(newSplitReader(c.body, 1), o, 1<<20)
	if err != nil || v.Kind != kind || data != nil && !bytes.Equal(got, data) {
		t.Fatalf("%+v: %d bytes, %v", v, len(got), err)
	}
	return v
}

// wire is an HTTP client that records requests and refuses to answer.
type wire struct{ last *capture }

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	var err error
	if w.last, err = captureHTTP(r); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: 400, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

func sdkClient(w *wire, endpoint string) *s3.Client {
	return s3.New(s3.Options{BaseEndpoint: &endpoint, Region: "us-east-1", UsePathStyle: true, HTTPClient: w,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: exampleKey, SecretAccessKey: exampleSecret}, nil
		}),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported})
}

func TestRequestsOfTheGoSDK(t *testing.T) {
	data, ctx := testData(200_000), context.Background()
	bucket, key := aws.String("bucket"), aws.String("a//b/../ü +%2F&?=;'()*!~.txt")
	for _, endpoint := range []string{"http://s3.example.com:9000", "https://s3.example.com"} {
		w := new(wire)
		client := sdkClient(w, endpoint)
		for name, call := range map[string]func() error{
			"PutObject": func() error {
				_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: bytes.NewReader(data),
					Metadata: map[string]string{"a": "  two   words "}, ContentType: aws.String("text/plain")})
				return err
			},
			"PutObject with SHA-256": func() error {
				_, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: key, Body: bytes.NewReader(data), ChecksumAlgorithm: types.ChecksumAlgorithmSha256})
				return err
			},
			"UploadPart": func() error {
				_, err := client.UploadPart(ctx, &s3.UploadPartInput{Bucket: bucket, Key: key, PartNumber: aws.Int32(1), UploadId: aws.String("x/+ y="),
					Body: bytes.NewReader(data), ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme})
				return err
			},
			"GetObject": func() error {
				_, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key, Range: aws.String("bytes=0-9")})
				return err
			},
			"ListObjectsV2": func() error {
				_, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bucket, Prefix: key, Delimiter: aws.String("/")})
				return err
			},
			"CopyObject": func() error {
				_, err := client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: bucket, Key: key, CopySource: aws.String("b/k")})
				return err
			},
			"DeleteObjects": func() error {
				_, err := client.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: key}}}})
				return err
			},
		} {
			w.last = nil
			_ = call() // the answer is an error on purpose
			if w.last == nil {
				t.Fatalf("%s: nothing was sent", name)
			}
			var want []byte
			if strings.HasPrefix(name, "PutObject") || name == "UploadPart" {
				want = data
			}
			w.last.accept(t, Header, want)
		}
	}
}

func TestPresignedRequestsOfTheGoSDK(t *testing.T) {
	client, ctx := s3.NewPresignClient(sdkClient(new(wire), "https://s3.example.com")), context.Background()
	get, err := client.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("b"), Key: aws.String("ü /k"), ResponseContentType: aws.String("a/b")})
	if err != nil {
		t.Fatal(err)
	}
	put, err := client.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("b"), Key: aws.String("k"), ContentType: aws.String("a/b")})
	if err != nil {
		t.Fatal(err)
	}
	for method, signed := range map[string]struct {
		url    string
		header http.Header
	}{"GET": {get.URL, get.SignedHeader}, "PUT": {put.URL, put.SignedHeader}} {
		var body io.Reader
		if method == "PUT" {
			body = strings.NewReader("hello")
		}
		r, err := http.NewRequest(method, signed.url, body)
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range signed.header {
			if name != "Host" && name != "Content-Length" {
				r.Header[name] = values
			}
		}
		c, err := captureHTTP(r)
		if err != nil {
			t.Fatal(err)
		}
		c.accept(t, Presigned, nil)
	}
}

// hasher is the form in which minio-go wants SHA-256.
type hasher struct{ hash.Hash }

func (hasher) Close() {}

func TestRequestsOfMinioGo(t *testing.T) {
	for _, size := range []int{1, 65536, 200_000} {
		data := testData(size)
		sum := checksum.Encode(hashOf(checksum.CRC32C, data))
		request := func() *http.Request {
			r, err := http.NewRequest("PUT", "http://s3.example.com:9000/bucket/a//k%20%2B", bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		trailer := http.Header{"X-Amz-Checksum-Crc32c": {sum}}
		streaming := func(trailer http.Header) *http.Request {
			r := request()
			r.Trailer = trailer
			return signer.StreamingSignV4(r, exampleKey, exampleSecret, "", "us-east-1", int64(size), exampleTime, hasher{sha256.New()})
		}
		unsigned := request()
		unsigned.Header.Set("X-Amz-Content-Sha256", streamingUnsigned)
		plain := request()
		plain.Header.Set("X-Amz-Content-Sha256", unsignedPayload)
		for mode, r := range map[PayloadMode]*http.Request{
			PayloadSignedChunks:          streaming(nil),
			PayloadSignedChunksTrailer:   streaming(trailer.Clone()),
			PayloadUnsignedChunksTrailer: signer.SignV4Trailer(*unsigned, exampleKey, exampleSecret, "", "us-east-1", trailer.Clone()),
			PayloadUnsigned:              signer.SignV4(*plain, exampleKey, exampleSecret, "", "us-east-1"),
		} {
			c, err := captureHTTP(r)
			if err != nil {
				t.Fatal(err)
			}
			if v := c.accept(t, Header, data); v.Payload != mode {
				t.Errorf("%d bytes: mode %d, want %d", size, v.Payload, mode)
			}
		}
	}
	presigned, err := http.NewRequest("GET", "http://s3.example.com:9000/bucket/k%20?versionId=a+b&response-content-type=x%2Fy", nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := captureHTTP(signer.PreSignV4(*presigned, exampleKey, exampleSecret, "", "us-east-1", 60))
	if err != nil {
		t.Fatal(err)
	}
	c.accept(t, Presigned, nil)
}
