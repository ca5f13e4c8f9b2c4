package suite

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3veil/test/servers"
)

var copyCases = []Case{
	{"CopyObject_within_and_across_buckets", copyPlain},
	{"CopyObject_to_itself_replaces_metadata", copySelf},
	{"CopyObject_to_itself_without_change_is_refused", copySelfNothing},
	{"CopyObject_metadata_directives", copyDirectives},
	{"CopyObject_source_conditions", copyConditions},
	{"CopyObject_source_spellings", copySpellings},
	{"CopyObject_carries_tags", copyTags},
	{"CopyObject_of_a_multipart_object", copyMultipart},
	{"CopyObject_of_a_missing_source", copyMissing},
}

func (e *Env) copyTo(dst, src string, more ...func(*s3.CopyObjectInput)) *s3.CopyObjectOutput {
	e.Helper()
	in := &s3.CopyObjectInput{Bucket: &e.Bucket, Key: &dst, CopySource: aws.String(e.Bucket + "/" + src)}
	for _, f := range more {
		f(in)
	}
	out, err := e.C.CopyObject(e.Ctx, in)
	e.Ok(err)
	return out
}

func copyPlain(e *Env) {
	other := servers.NewBucket(e, e.C)
	for _, n := range []int{0, 10, 65_536, 1<<20 + 5} {
		body := Data(n, uint64(n))
		e.Put("src", body, func(in *s3.PutObjectInput) {
			in.ContentType, in.Metadata = aws.String("text/copied"), map[string]string{"a": "b"}
		})
		out := e.copyTo("dst", "src")
		got, get := e.Get("dst")
		e.Same("copy", got, body)
		Equal(e, "ETag of the answer", str(out.CopyObjectResult.ETag), str(get.ETag))
		Equal(e, "content type", str(get.ContentType), "text/copied")
		Equal(e, "metadata", get.Metadata["a"], "b")
		e.copyTo("dst", "src", func(in *s3.CopyObjectInput) { in.Bucket = &other })
		got, _ = e.Get("dst", func(in *s3.GetObjectInput) { in.Bucket = &other })
		e.Same("copy in another bucket", got, body)
	}
	// the source may go: a copy stands alone
	_, err := e.C.DeleteObject(e.Ctx, &s3.DeleteObjectInput{Bucket: &e.Bucket, Key: aws.String("src")})
	e.Ok(err)
	got, _ := e.Get("dst")
	e.Same("copy without its source", got, Data(1<<20+5, 1<<20+5))
}

func copySelf(e *Env) {
	body := Data(100_000, 1)
	e.Put("k", body, func(in *s3.PutObjectInput) { in.Metadata = map[string]string{"old": "1"} })
	e.copyTo("k", "k", func(in *s3.CopyObjectInput) {
		in.MetadataDirective, in.Metadata = types.MetadataDirectiveReplace, map[string]string{"new": "2"}
		in.ContentType = aws.String("text/replaced")
	})
	got, get := e.Get("k")
	e.Same("body", got, body)
	Equal(e, "content type", str(get.ContentType), "text/replaced")
	Equal(e, "new", get.Metadata["new"], "2")
	Equal(e, "entries", len(get.Metadata), 1)
}

func copySelfNothing(e *Env) {
	e.Put("k", []byte("x"))
	_, err := e.C.CopyObject(e.Ctx, &s3.CopyObjectInput{Bucket: &e.Bucket, Key: aws.String("k"),
		CopySource: aws.String(e.Bucket + "/k")})
	e.Fails(err, 400, "InvalidRequest")
}

func copyDirectives(e *Env) {
	body := Data(1000, 1)
	e.Put("src", body, func(in *s3.PutObjectInput) { in.Metadata = map[string]string{"from": "source"} })
	// rclone sends metadata together with the directive COPY: it is ignored
	e.copyTo("kept", "src", func(in *s3.CopyObjectInput) {
		in.MetadataDirective, in.Metadata = types.MetadataDirectiveCopy, map[string]string{"from": "request"}
	})
	_, get := e.Get("kept")
	Equal(e, "COPY", get.Metadata["from"], "source")
	e.copyTo("replaced", "src", func(in *s3.CopyObjectInput) {
		in.MetadataDirective, in.Metadata = types.MetadataDirectiveReplace, map[string]string{"from": "request"}
	})
	got, get := e.Get("replaced")
	Equal(e, "REPLACE", get.Metadata["from"], "request")
	e.Same("body", got, body)
}

func copyConditions(e *Env) {
	tag := e.Put("src", Data(1000, 1)).ETag
	other := aws.String(`"00000000000000000000000000000000"`)
	e.copyTo("dst", "src", func(in *s3.CopyObjectInput) { in.CopySourceIfMatch = tag })
	e.copyTo("dst", "src", func(in *s3.CopyObjectInput) { in.CopySourceIfNoneMatch = other })
	for _, f := range []func(*s3.CopyObjectInput){
		func(in *s3.CopyObjectInput) { in.CopySourceIfMatch = other },
		func(in *s3.CopyObjectInput) { in.CopySourceIfNoneMatch = tag },
	} {
		in := &s3.CopyObjectInput{Bucket: &e.Bucket, Key: aws.String("no"), CopySource: aws.String(e.Bucket + "/src")}
		f(in)
		_, err := e.C.CopyObject(e.Ctx, in)
		e.Fails(err, 412, "PreconditionFailed")
	}
	e.Absent("no")
}

func copySpellings(e *Env) {
	body := Data(70_000, 1)
	e.Put("dir/a b", body)
	for _, source := range []string{"/" + e.Bucket + "/dir/a%20b", e.Bucket + "/dir/a%20b", e.Bucket + "%2Fdir%2Fa%20b"} {
		e.copyTo("dst", "", func(in *s3.CopyObjectInput) { in.CopySource = &source })
		got, _ := e.Get("dst")
		e.Same(source, got, body)
	}
}

func copyTags(e *Env) {
	other := servers.NewBucket(e, e.C)
	e.Put("src", []byte("x"), func(in *s3.PutObjectInput) { in.Tagging = aws.String("a=1&b=two%20words%2B") })
	for _, bucket := range []string{e.Bucket, other} {
		tags := func(want ...string) {
			e.Helper()
			out, err := e.C.GetObjectTagging(e.Ctx, &s3.GetObjectTaggingInput{Bucket: &bucket, Key: aws.String("dst")})
			e.Ok(err)
			var got []string
			for _, t := range out.TagSet {
				got = append(got, str(t.Key)+"="+str(t.Value))
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				e.Errorf("tags %q, want %q", got, want)
			}
		}
		e.copyTo("dst", "src", func(in *s3.CopyObjectInput) { in.Bucket = &bucket })
		tags("a=1", "b=two words+")
		e.copyTo("dst", "src", func(in *s3.CopyObjectInput) {
			in.Bucket, in.TaggingDirective, in.Tagging = &bucket, types.TaggingDirectiveReplace, aws.String("c=3")
		})
		tags("c=3")
	}
}

func copyMultipart(e *Env) {
	a, b := Data(5<<20+1, 1), Data(1000, 2)
	e.multipart("src", a, b)
	whole := append(append([]byte{}, a...), b...)
	e.copyTo("dst", "src")
	got, _ := e.Get("dst")
	e.Same("copy", got, whole)
	e.checkRanges("dst", whole, len(a))
}

func copyMissing(e *Env) {
	_, err := e.C.CopyObject(e.Ctx, &s3.CopyObjectInput{Bucket: &e.Bucket, Key: aws.String("d"),
		CopySource: aws.String(e.Bucket + "/missing")})
	e.Fails(err, 404, "NoSuchKey")
}
