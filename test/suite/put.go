package suite

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

var putCases = []Case{
	{"PutObject_round_trips_every_size_class", putSizes},
	{"PutObject_overwrites", putOverwrite},
	{"PutObject_keeps_headers_and_metadata", putMetadata},
	{"PutObject_refuses_wrong_content_md5", putWrongMD5},
	{"PutObject_accepts_right_content_md5", putRightMD5},
	{"PutObject_refuses_wrong_sha256", putWrongSHA256},
	{"PutObject_refuses_metadata_beyond_2KB", putMetadataTooLarge},
	{"PutObject_with_tags", putTags},
}

// Sizes are the plaintext sizes at which s3veil changes its way of working: nothing, one package, package edges, the
// limit of what is held whole, streams of a few packages.
var Sizes = []int{0, 1, 16, 4096, 16<<10 - 1, 16<<10 + 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 128 << 10, 1<<20 - 1, 1 << 20,
	1<<20 + 1, 1<<20 + 64<<10, 5<<20 + 3}

func putSizes(e *Env) {
	for i, n := range Sizes {
		key, body := fmt.Sprintf("size/%d", n), Data(n, uint64(i))
		put := e.Put(key, body)
		got, get := e.Get(key)
		e.Same(key, got, body)
		head := e.Head(key)
		Equal(e, key+": HEAD length", num(head.ContentLength), int64(n))
		Equal(e, key+": HEAD ETag", str(head.ETag), str(put.ETag))
		Equal(e, key+": GET ETag", str(get.ETag), str(put.ETag))
		if e.Target.Encrypted && !strings.Contains(str(put.ETag), "-") {
			e.Errorf("%s: ETag %s could be taken for an MD5", key, str(put.ETag))
		}
	}
}

func putOverwrite(e *Env) {
	a, b := Data(300_000, 1), Data(70_000, 2)
	first := e.Put("k", a)
	second := e.Put("k", b)
	if str(first.ETag) == str(second.ETag) {
		e.Errorf("both ETags are %s", str(first.ETag))
	}
	got, _ := e.Get("k")
	e.Same("second body", got, b)
}

func putMetadata(e *Env) {
	expires := time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)
	meta := map[string]string{"one": "1", "mixed-case": "Value With Spaces", "comma": "a,b , c", "empty-ish": "x",
		"rfc2047": "=?UTF-8?Q?caf=C3=A9?="}
	e.Put("k", []byte("body"), func(in *s3.PutObjectInput) {
		in.ContentType, in.CacheControl = aws.String("text/x-test; charset=utf-8"), aws.String("max-age=60")
		in.ContentDisposition, in.ContentLanguage = aws.String(`attachment; filename="a.txt"`), aws.String("de")
		in.ContentEncoding, in.Expires, in.Metadata = aws.String("gzip"), &expires, meta
	})
	head := e.Head("k")
	_, get := e.Get("k")
	for what, v := range map[string][2]*string{
		"text/x-test; charset=utf-8":         {head.ContentType, get.ContentType},
		"max-age=60":                         {head.CacheControl, get.CacheControl},
		`attachment; filename="a.txt"`:       {head.ContentDisposition, get.ContentDisposition},
		"de":                                 {head.ContentLanguage, get.ContentLanguage},
		"gzip":                               {head.ContentEncoding, get.ContentEncoding},
		expires.Format(http.TimeFormat) + "": {head.ExpiresString, get.ExpiresString},
	} {
		Equal(e, "HEAD", str(v[0]), what)
		Equal(e, "GET", str(v[1]), what)
	}
	for name, got := range map[string]map[string]string{"HEAD": head.Metadata, "GET": get.Metadata} {
		Equal(e, name+": number of metadata entries", len(got), len(meta))
		for k, v := range meta {
			Equal(e, name+": "+k, got[k], v)
		}
	}
}

func putWrongMD5(e *Env) {
	for _, n := range []int{10, 100_000, 2 << 20} {
		wrong := md5.Sum([]byte("something else"))
		_, err := e.C.PutObject(e.Ctx, &s3.PutObjectInput{Bucket: &e.Bucket, Key: aws.String("k"), Body: reader(Data(n, 1)),
			ContentMD5: aws.String(base64.StdEncoding.EncodeToString(wrong[:]))}, noRetry)
		e.Fails(err, 400, "BadDigest")
		e.Absent("k")
	}
}

func putRightMD5(e *Env) {
	body := Data(100_000, 1)
	sum := md5.Sum(body)
	e.Put("k", body, func(in *s3.PutObjectInput) { in.ContentMD5 = aws.String(base64.StdEncoding.EncodeToString(sum[:])) })
	got, _ := e.Get("k")
	e.Same("body", got, body)
}

func putWrongSHA256(e *Env) {
	for _, n := range []int{10, 100_000, 2 << 20} {
		r := e.request("PUT", "/"+e.Bucket+"/k", Data(n, 1))
		r.hash = strings.Repeat("ab", 32)
		e.refused(r, 400, "XAmzContentSHA256Mismatch")
		e.Absent("k")
	}
}

func putMetadataTooLarge(e *Env) {
	_, err := e.C.PutObject(e.Ctx, &s3.PutObjectInput{Bucket: &e.Bucket, Key: aws.String("k"), Body: reader([]byte("x")),
		Metadata: map[string]string{"large": strings.Repeat("v", 2100)}}, noRetry)
	e.Fails(err, 400, "MetadataTooLarge")
}

func putTags(e *Env) {
	e.Put("k", []byte("x"), func(in *s3.PutObjectInput) { in.Tagging = aws.String("a=1&b=two%20words") })
	out, err := e.C.GetObjectTagging(e.Ctx, &s3.GetObjectTaggingInput{Bucket: &e.Bucket, Key: aws.String("k")})
	e.Ok(err)
	got := map[string]string{}
	for _, t := range out.TagSet {
		got[str(t.Key)] = str(t.Value)
	}
	Equal(e, "tags", len(got), 2)
	Equal(e, "a", got["a"], "1")
	Equal(e, "b", got["b"], "two words")
	_, err = e.C.DeleteObjectTagging(e.Ctx, &s3.DeleteObjectTaggingInput{Bucket: &e.Bucket, Key: aws.String("k")})
	e.Ok(err)
	got2, _ := e.Get("k")
	e.Same("body after tagging", got2, []byte("x"))
}
