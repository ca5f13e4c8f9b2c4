package suite

import (
	"bytes"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

var versionCases = []Case{
	{"Versions_are_read_listed_copied_and_deleted", versions},
	{"Versions_of_multipart_objects", versionsMultipart},
}

func (e *Env) enableVersions() {
	e.Helper()
	_, err := e.C.PutBucketVersioning(e.Ctx, &s3.PutBucketVersioningInput{Bucket: &e.Bucket,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
	e.Ok(err)
}

func versions(e *Env) {
	e.enableVersions()
	bodies := [][]byte{Data(100, 1), Data(70_000, 2), Data(1<<20+1, 3)}
	var ids, tags []string
	for _, b := range bodies {
		put := e.Put("k", b)
		ids, tags = append(ids, str(put.VersionId)), append(tags, str(put.ETag))
	}
	for i, id := range ids {
		if id == "" {
			e.Fatal("no version id")
		}
		got, get := e.Get("k", func(in *s3.GetObjectInput) { in.VersionId = &id })
		e.Same("version", got, bodies[i])
		Equal(e, "version id", str(get.VersionId), id)
	}
	list, err := e.C.ListObjectVersions(e.Ctx, &s3.ListObjectVersionsInput{Bucket: &e.Bucket})
	e.Ok(err)
	Equal(e, "versions", len(list.Versions), 3)
	for i, v := range list.Versions { // newest first
		Equal(e, "size", num(v.Size), int64(len(bodies[2-i])))
		Equal(e, "id", str(v.VersionId), ids[2-i])
		Equal(e, "ETag", str(v.ETag), tags[2-i])
	}
	e.copyTo("old", "k?versionId="+ids[0])
	got, _ := e.Get("old")
	e.Same("copy of the first version", got, bodies[0])
	del, err := e.C.DeleteObject(e.Ctx, &s3.DeleteObjectInput{Bucket: &e.Bucket, Key: aws.String("k")})
	e.Ok(err)
	Equal(e, "delete marker", aws.ToBool(del.DeleteMarker), true)
	e.Fails(e.GetErr("k"), 404, "NoSuchKey")
	_, err = e.C.DeleteObject(e.Ctx, &s3.DeleteObjectInput{Bucket: &e.Bucket, Key: aws.String("k"), VersionId: del.VersionId})
	e.Ok(err)
	got, _ = e.Get("k")
	e.Same("newest again", got, bodies[2])
}

func versionsMultipart(e *Env) {
	e.enableVersions()
	one, two := [][]byte{Data(5<<20, 1), Data(10, 2)}, [][]byte{Data(5<<20+9, 3), Data(20, 4)}
	e.multipart("k", one...)
	first := str(e.Head("k").VersionId)
	e.multipart("k", two...)
	got, _ := e.Get("k", func(in *s3.GetObjectInput) { in.VersionId = &first })
	e.Same("first", got, bytes.Join(one, nil))
	got, _ = e.Get("k")
	e.Same("second", got, bytes.Join(two, nil))
}
