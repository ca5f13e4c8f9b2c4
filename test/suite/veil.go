package suite

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

var veilCases = []Case{
	{"Veil_reserved_prefix_is_refused_and_hidden", reserved},
	{"Veil_pages_are_filled_around_what_is_hidden", filledPages},
	{"Veil_own_metadata_is_refused_and_hidden", ownMetadata},
	{"Veil_announces_server_side_encryption", announcesSSE},
	{"Veil_store_holds_no_plaintext", storeCiphertext},
	{"Veil_refuses_plaintext_objects", plaintextPlanted},
}

func reserved(e *Env) {
	if !e.Target.Encrypted {
		return
	}
	e.multipart("mp", Data(5<<20, 1), Data(10, 2)) // leaves a manifest
	for _, key := range []string{".s3veil/x", "x/../.s3veil/y", "//.s3veil/z", ".s3veil/m/any"} {
		_, err := e.C.PutObject(e.Ctx, &s3.PutObjectInput{Bucket: &e.Bucket, Key: &key, Body: reader([]byte("x"))}, noRetry)
		e.Fails(err, 403, "AccessDenied")
		e.Fails(e.GetErr(key), 403, "AccessDenied")
		_, err = e.C.DeleteObject(e.Ctx, &s3.DeleteObjectInput{Bucket: &e.Bucket, Key: &key})
		e.Fails(err, 403, "AccessDenied")
	}
	out, err := e.C.ListObjectsV2(e.Ctx, &s3.ListObjectsV2Input{Bucket: &e.Bucket})
	e.Ok(err)
	Equal(e, "keys", names(out.Contents), "mp")
	out, err = e.C.ListObjectsV2(e.Ctx, &s3.ListObjectsV2Input{Bucket: &e.Bucket, Delimiter: aws.String("/")})
	e.Ok(err)
	Equal(e, "prefixes", prefixes(out.CommonPrefixes), "")
	del, err := e.C.DeleteObjects(e.Ctx, &s3.DeleteObjectsInput{Bucket: &e.Bucket, Delete: &types.Delete{
		Objects: []types.ObjectIdentifier{{Key: aws.String(".s3veil/x")}, {Key: aws.String("mp")}}}})
	e.Ok(err)
	Equal(e, "refused", len(del.Errors), 1)
	Equal(e, "deleted", len(del.Deleted), 1)
}

// filledPages: a client that asks for so many keys gets so many while there are more, wherever the manifests lie among them.
func filledPages(e *Env) {
	e.multipart("mp", Data(5<<20, 1), Data(10, 2))
	e.multipart("mq", Data(5<<20, 1), Data(10, 2))
	e.fill("!1", "!2", "z")
	all := []string{"!1", "!2", "mp", "mq", "z"}
	for size := range 5 {
		var v1, v2 []string
		in := &s3.ListObjectsV2Input{Bucket: &e.Bucket, MaxKeys: aws.Int32(int32(size + 1))}
		for p := s3.NewListObjectsV2Paginator(e.C, in); p.HasMorePages(); {
			out, err := p.NextPage(e.Ctx)
			e.Ok(err)
			Equal(e, fmt.Sprint("v2, keys of ", size+1), len(out.Contents), min(size+1, len(all)-len(v2)))
			Equal(e, "KeyCount", int(aws.ToInt32(out.KeyCount)), len(out.Contents))
			for _, o := range out.Contents {
				v2 = append(v2, str(o.Key))
			}
		}
		for more, marker := true, ""; more; {
			out, err := e.C.ListObjects(e.Ctx, &s3.ListObjectsInput{Bucket: &e.Bucket, MaxKeys: aws.Int32(int32(size + 1)), Marker: &marker})
			e.Ok(err)
			Equal(e, fmt.Sprint("v1, keys of ", size+1), len(out.Contents), min(size+1, len(all)-len(v1)))
			for _, o := range out.Contents {
				v1 = append(v1, str(o.Key))
			}
			if more = aws.ToBool(out.IsTruncated) && len(out.Contents) > 0; more {
				marker = v1[len(v1)-1]
			}
		}
		for what, got := range map[string][]string{"v1": v1, "v2": v2} {
			if !slices.Equal(got, all) {
				e.Errorf("%s by %d: %q", what, size+1, got)
			}
		}
	}
}

func ownMetadata(e *Env) {
	if !e.Target.Encrypted {
		return
	}
	_, err := e.C.PutObject(e.Ctx, &s3.PutObjectInput{Bucket: &e.Bucket, Key: aws.String("k"), Body: reader([]byte("x")),
		Metadata: map[string]string{"s3veil": "forged"}}, noRetry)
	e.Fails(err, 400, "InvalidArgument")
	e.Put("k", []byte("x"))
	a := e.do(e.request("GET", "/"+e.Bucket+"/k", nil))
	for name := range a.header {
		if strings.Contains(strings.ToLower(name), "s3veil") {
			e.Errorf("the answer shows %s", name)
		}
	}
}

func announcesSSE(e *Env) {
	if !e.Target.Encrypted {
		return
	}
	put := e.Put("k", []byte("x"))
	Equal(e, "PUT", put.ServerSideEncryption, types.ServerSideEncryptionAes256)
	Equal(e, "HEAD", e.Head("k").ServerSideEncryption, types.ServerSideEncryptionAes256)
}

func storeCiphertext(e *Env) {
	if !e.Target.Encrypted {
		return
	}
	body := []byte(strings.Repeat("recognisable plaintext ", 100))
	e.Put("k", body)
	out, err := e.Target.Store.Client().GetObject(e.Ctx, &s3.GetObjectInput{Bucket: &e.Bucket, Key: aws.String("k")})
	e.Ok(err)
	defer out.Body.Close()
	b := make([]byte, 1<<16)
	n, _ := readFull(out.Body, b)
	if n <= len(body) || strings.Contains(string(b[:n]), "recognisable") {
		e.Errorf("%d bytes at the store for %d of plaintext", n, len(body))
	}
}

func plaintextPlanted(e *Env) {
	if !e.Target.Encrypted {
		return
	}
	_, err := e.Target.Store.Client().PutObject(e.Ctx, &s3.PutObjectInput{Bucket: &e.Bucket, Key: aws.String("planted"),
		Body: reader([]byte("evil"))})
	e.Ok(err)
	e.Fails(e.GetErr("planted"), 422)
	_, err = e.C.HeadObject(e.Ctx, &s3.HeadObjectInput{Bucket: &e.Bucket, Key: aws.String("planted")})
	e.Fails(err, 422)
}
