package suite

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

var conditionCases = []Case{
	{"PutObject_if_none_match_star", conditionCreate},
	{"PutObject_if_match", conditionUpdate},
	{"CompleteMultipartUpload_if_none_match_star", conditionComplete},
}

func (e *Env) putIf(body []byte, more func(*s3.PutObjectInput)) error {
	in := &s3.PutObjectInput{Bucket: &e.Bucket, Key: aws.String("k"), Body: reader(body)}
	more(in)
	_, err := e.C.PutObject(e.Ctx, in, e.noRefusalLost)
	return err
}

func conditionCreate(e *Env) {
	star := func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") }
	for _, n := range []int{100, 2 << 20} {
		first := Data(n, 1)
		_, err := e.C.DeleteObject(e.Ctx, &s3.DeleteObjectInput{Bucket: &e.Bucket, Key: aws.String("k")})
		e.Ok(err)
		e.Ok(e.putIf(first, star))
		e.Fails(e.putIf(Data(n, 2), star), 412, "PreconditionFailed")
		got, _ := e.Get("k")
		e.Same("first body stays", got, first)
	}
}

func conditionUpdate(e *Env) {
	tag := e.Put("k", Data(100, 1)).ETag
	wrong := func(in *s3.PutObjectInput) { in.IfMatch = aws.String(`"00000000000000000000000000000000"`) }
	e.Fails(e.putIf(Data(100, 2), wrong), 412, "PreconditionFailed")
	e.Ok(e.putIf(Data(100, 3), func(in *s3.PutObjectInput) { in.IfMatch = tag }))
	got, _ := e.Get("k")
	e.Same("updated", got, Data(100, 3))
	e.Fails(e.putIf(Data(100, 4), func(in *s3.PutObjectInput) { in.IfMatch = tag }), 412, "PreconditionFailed")
}

func conditionComplete(e *Env) {
	e.Put("k", Data(10, 1))
	id := e.create("k")
	p := e.part("k", id, 1, Data(1000, 2))
	_, err := e.C.CompleteMultipartUpload(e.Ctx, &s3.CompleteMultipartUploadInput{Bucket: &e.Bucket, Key: aws.String("k"),
		UploadId: &id, IfNoneMatch: aws.String("*"),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{p}}}, noRetry)
	e.Fails(err, 412, "PreconditionFailed")
	got, _ := e.Get("k")
	e.Same("old body stays", got, Data(10, 1))
}
