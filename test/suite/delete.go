package suite

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3veil/test/servers"
)

var deleteCases = []Case{
	{"DeleteObject_is_idempotent", deleteOne},
	{"DeleteObjects_reports_every_key", deleteMany},
	{"DeleteObjects_quiet", deleteQuiet},
	{"DeleteBucket_when_empty_only", deleteBucket},
	{"DeleteBucket_ends_open_uploads", deleteUploads},
}

func deleteOne(e *Env) {
	e.Put("k", []byte("x"))
	for range 2 {
		_, err := e.C.DeleteObject(e.Ctx, &s3.DeleteObjectInput{Bucket: &e.Bucket, Key: aws.String("k")})
		e.Ok(err)
		e.Absent("k")
	}
}

func deleteMany(e *Env) {
	e.fill("a", "b b", "c&c", "keep")
	ids := []types.ObjectIdentifier{{Key: aws.String("a")}, {Key: aws.String("b b")}, {Key: aws.String("c&c")},
		{Key: aws.String("missing")}}
	out, err := e.C.DeleteObjects(e.Ctx, &s3.DeleteObjectsInput{Bucket: &e.Bucket, Delete: &types.Delete{Objects: ids}})
	e.Ok(err)
	Equal(e, "deleted", len(out.Deleted), 4)
	Equal(e, "errors", len(out.Errors), 0)
	list, err := e.C.ListObjectsV2(e.Ctx, &s3.ListObjectsV2Input{Bucket: &e.Bucket})
	e.Ok(err)
	Equal(e, "left", names(list.Contents), "keep")
}

func deleteQuiet(e *Env) {
	e.fill("keep")
	quiet, err := e.C.DeleteObjects(e.Ctx, &s3.DeleteObjectsInput{Bucket: &e.Bucket,
		Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("keep")}}, Quiet: aws.Bool(true)}})
	e.Ok(err)
	Equal(e, "quiet", len(quiet.Deleted), 0)
	e.Absent("keep")
}

func deleteBucket(e *Env) {
	bucket := servers.NewBucket(e, e.C)
	e.Bucket = bucket
	e.multipart("k", Data(5<<20, 1), Data(10, 2))
	_, err := e.C.DeleteBucket(e.Ctx, &s3.DeleteBucketInput{Bucket: &bucket})
	e.Fails(err, 409, "BucketNotEmpty")
	_, err = e.C.DeleteObject(e.Ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: aws.String("k")})
	e.Ok(err)
	_, err = e.C.DeleteBucket(e.Ctx, &s3.DeleteBucketInput{Bucket: &bucket})
	e.Ok(err)
	_, err = e.C.HeadBucket(e.Ctx, &s3.HeadBucketInput{Bucket: &bucket})
	e.Fails(err, 404)
}

// deleteUploads: what is not an object yet does not keep its bucket, with and without objects before it.
func deleteUploads(e *Env) {
	for _, used := range []bool{false, true} {
		e.Bucket = servers.NewBucket(e, e.C)
		if used {
			e.multipart("gone", Data(5<<20, 1), Data(10, 2))
			_, err := e.C.DeleteObject(e.Ctx, &s3.DeleteObjectInput{Bucket: &e.Bucket, Key: aws.String("gone")})
			e.Ok(err)
		}
		id := e.create("k")
		_, err := e.C.UploadPart(e.Ctx, &s3.UploadPartInput{Bucket: &e.Bucket, Key: aws.String("k"), UploadId: &id,
			PartNumber: aws.Int32(1), Body: reader(Data(10, 1))})
		e.Ok(err)
		_, err = e.C.DeleteBucket(e.Ctx, &s3.DeleteBucketInput{Bucket: &e.Bucket})
		e.Ok(err)
		_, err = e.C.HeadBucket(e.Ctx, &s3.HeadBucketInput{Bucket: &e.Bucket})
		e.Fails(err, 404)
	}
}
