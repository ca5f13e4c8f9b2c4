package suite

import (
	"bytes"
	"compress/gzip"
	"encoding/xml"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// answerCases are about the heads of answers and the odd headers of requests.
var answerCases = []Case{
	{"Answer_every_response_override", everyOverride},
	{"Answer_304_has_its_ETag_and_no_body", notModified},
	{"Answer_412_has_an_error_body", preconditionFailed},
	{"Answer_HEAD_errors_have_no_body", headErrors},
	{"Answer_errors_name_resource_request_and_host", errorElements},
	{"Answer_Accept_Encoding_changes_nothing", acceptEncoding},
	{"Answer_Content_Encoding_without_aws_chunked", contentEncoding},
	{"Answer_dates_of_HTTP_and_of_lists", dates},
	{"Request_payer_is_taken", requestPayer},
	{"Request_expected_bucket_owner", expectedOwner},
	{"Request_version_null", versionNull},
	{"Request_canned_ACL", cannedACL},
	{"Request_CORS_preflight", preflight},
	{"Request_storage_class_STANDARD", storageClass},
	{"Request_bucket_with_and_without_slash", bucketSlash},
	{"Request_upload_ids_travel_in_URLs", uploadIDs},
	{"Request_operations_on_plaintext_at_the_store_are_refused", plaintextOperations},
}

func everyOverride(e *Env) {
	body := Data(100_000, 1)
	e.Put("k", body)
	want := map[string]string{"Content-Type": "text/x-other", "Content-Language": "fr", "Cache-Control": "no-cache",
		"Content-Disposition": `attachment; filename="ü b.txt"`, "Content-Encoding": "identity",
		"Expires": "Thu, 01 Dec 2033 16:00:00 GMT"}
	presigner := s3.NewPresignClient(e.C)
	u, err := presigner.PresignGetObject(e.Ctx, &s3.GetObjectInput{Bucket: &e.Bucket, Key: aws.String("k"),
		ResponseContentType: aws.String(want["Content-Type"]), ResponseContentLanguage: aws.String(want["Content-Language"]),
		ResponseCacheControl:       aws.String(want["Cache-Control"]),
		ResponseContentDisposition: aws.String(`attachment; filename="ü b.txt"`),
		ResponseContentEncoding:    aws.String("identity"), ResponseExpires: aws.Time(time.Date(2033, 12, 1, 16, 0, 0, 0, time.UTC))})
	e.Ok(err)
	a := e.send(newRequest(e, "GET", u.URL))
	Equal(e, "status", a.status, 200)
	e.Same("body", a.body, body)
	for _, k := range slices.Sorted(maps.Keys(want)) {
		Equal(e, k, a.header.Get(k), want[k])
	}
	Equal(e, "number of types", len(a.header.Values("Content-Type")), 1)
}

func notModified(e *Env) {
	tag := str(e.Put("k", Data(1000, 1), func(in *s3.PutObjectInput) { in.CacheControl = aws.String("max-age=7") }).ETag)
	for _, method := range []string{"GET", "HEAD"} {
		r := e.request(method, "/"+e.Bucket+"/k", nil)
		r.header["If-None-Match"] = tag
		a := e.do(r)
		Equal(e, method+": status", a.status, 304)
		Equal(e, method+": body", len(a.body), 0)
		Equal(e, method+": ETag", a.header.Get("ETag"), tag)
		for name := range a.header {
			if strings.HasPrefix(strings.ToLower(name), "x-amz-meta-s3veil") || name == "Content-Range" {
				e.Errorf("%s: 304 with %s", method, name)
			}
		}
	}
}

func preconditionFailed(e *Env) {
	e.Put("k", Data(1000, 1))
	for method, n := range map[string]bool{"GET": true, "HEAD": false} {
		r := e.request(method, "/"+e.Bucket+"/k", nil)
		r.header["If-Match"] = `"00000000000000000000000000000000"`
		a := e.do(r)
		Equal(e, method+": status", a.status, 412)
		Equal(e, method+": has a body", len(a.body) > 0, n)
		if n {
			Equal(e, "code", a.code, "PreconditionFailed")
		}
	}
}

func headErrors(e *Env) {
	e.Put("k", []byte("x"))
	wrong := e.request("HEAD", "/"+e.Bucket+"/k", nil)
	wrong.secret = "not the secret"
	for what, r := range map[string]*rawRequest{"403": wrong, "404": e.request("HEAD", "/"+e.Bucket+"/missing", nil),
		"404 bucket": e.request("HEAD", "/no-such-bucket-here", nil)} {
		a := e.do(r)
		Equal(e, what, strconv.Itoa(a.status), what[:3])
		Equal(e, what+": body", len(a.body), 0)
	}
	Equal(e, "the object is there", e.do(e.request("HEAD", "/"+e.Bucket+"/k", nil)).status, 200)
}

func errorElements(e *Env) {
	var x struct {
		XMLName                          xml.Name
		Code, Message, RequestId, HostId string
	}
	a := e.do(e.request("GET", "/"+e.Bucket+"/missing%20key", nil))
	Equal(e, "type", strings.HasPrefix(a.header.Get("Content-Type"), "application/xml"), true)
	e.Ok(xml.Unmarshal(a.body, &x))
	Equal(e, "root", x.XMLName.Local, "Error")
	Equal(e, "code", x.Code, "NoSuchKey")
	if x.Message == "" && e.Target.Encrypted {
		e.Error("no message")
	}
	if x.RequestId == "" || x.HostId == "" {
		e.Errorf("RequestId %q, HostId %q", x.RequestId, x.HostId)
	}
	if e.Target.Encrypted {
		Equal(e, "RequestId as in the header", x.RequestId, a.header.Get("X-Amz-Request-Id"))
		Equal(e, "HostId as in the header", x.HostId, a.header.Get("X-Amz-Id-2"))
	}
}

// acceptEncoding: S3 never compresses, and the bytes of an object are what a signature or checksum covers.
func acceptEncoding(e *Env) {
	body := bytes.Repeat([]byte("compressible "), 20_000)
	e.Put("k", body)
	for _, v := range []string{"gzip", "gzip, deflate, br", "identity", "*;q=0"} {
		r := e.request("GET", "/"+e.Bucket+"/k", nil)
		r.header["Accept-Encoding"] = v
		a := e.do(r)
		e.Same(v, a.body, body)
		Equal(e, v+": Content-Encoding", a.header.Get("Content-Encoding"), "")
	}
}

// contentEncoding: aws-chunked is how a body travels and no property of the object.
func contentEncoding(e *Env) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write(Data(5000, 1))
	e.Ok(w.Close())
	e.Put("sdk", packed.Bytes(), func(in *s3.PutObjectInput) {
		in.ContentEncoding, in.ChecksumAlgorithm = aws.String("gzip"), types.ChecksumAlgorithmCrc32
	})
	for what, v := range map[string]string{"first": "aws-chunked,gzip", "last": "gzip, aws-chunked", "alone": "aws-chunked"} {
		chunked := append([]byte("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"), nil...)
		r := e.request("PUT", "/"+e.Bucket+"/"+what, chunked)
		r.hash = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
		r.header["Content-Encoding"], r.header["X-Amz-Decoded-Content-Length"] = v, "5"
		r.header["X-Amz-Trailer"] = "x-amz-checksum-crc32"
		if a := e.do(r); a.status != 200 {
			e.Fatalf("%s: %d %s", v, a.status, a.body)
		}
		a := e.do(e.request("GET", "/"+e.Bucket+"/"+what, nil))
		e.Same(v, a.body, []byte("hello"))
		Equal(e, v, a.header.Get("Content-Encoding"), map[bool]string{true: "gzip"}[what != "alone"])
	}
	got, out := e.Get("sdk")
	e.Same("gzip of an SDK", got, packed.Bytes())
	Equal(e, "encoding", str(out.ContentEncoding), "gzip")
}

func dates(e *Env) {
	e.Put("k", []byte("x"))
	a := e.do(e.request("HEAD", "/"+e.Bucket+"/k", nil))
	for _, name := range []string{"Date", "Last-Modified"} {
		if at, err := http.ParseTime(a.header.Get(name)); err != nil || !strings.HasSuffix(a.header.Get(name), " GMT") {
			e.Errorf("%s: %q", name, a.header.Get(name))
		} else if d := time.Since(at).Abs(); d > time.Hour {
			e.Errorf("%s is off by %v", name, d)
		}
	}
	var list struct {
		Contents []struct{ LastModified string }
	}
	e.Ok(xml.Unmarshal(e.do(e.request("GET", "/"+e.Bucket, nil)).body, &list))
	if len(list.Contents) != 1 {
		e.Fatalf("%d entries", len(list.Contents))
	}
	at, err := time.Parse(time.RFC3339, list.Contents[0].LastModified)
	e.Ok(err)
	head, _ := http.ParseTime(a.header.Get("Last-Modified"))
	if d := at.Sub(head).Abs(); d >= 2*time.Second {
		e.Errorf("list says %v, HEAD %v", at, head)
	}
}

func requestPayer(e *Env) {
	e.Put("k", []byte("x"), func(in *s3.PutObjectInput) { in.RequestPayer = types.RequestPayerRequester })
	got, _ := e.Get("k", func(in *s3.GetObjectInput) { in.RequestPayer = types.RequestPayerRequester })
	e.Same("body", got, []byte("x"))
	list, err := e.C.ListObjectsV2(e.Ctx, &s3.ListObjectsV2Input{Bucket: &e.Bucket, RequestPayer: types.RequestPayerRequester})
	e.Ok(err)
	Equal(e, "entries", len(list.Contents), 1)
}

// expectedOwner: the account is the store's to know. Some stores compare, others ignore the header.
func expectedOwner(e *Env) {
	acl, err := e.C.GetBucketAcl(e.Ctx, &s3.GetBucketAclInput{Bucket: &e.Bucket})
	e.Ok(err)
	owner := acl.Owner.ID
	e.Put("k", []byte("x"), func(in *s3.PutObjectInput) { in.ExpectedBucketOwner = owner })
	e.Head("k", func(in *s3.HeadObjectInput) { in.ExpectedBucketOwner = owner })
	_, err = e.C.CopyObject(e.Ctx, &s3.CopyObjectInput{Bucket: &e.Bucket, Key: aws.String("c"),
		CopySource: aws.String(e.Bucket + "/k"), ExpectedBucketOwner: owner, ExpectedSourceBucketOwner: owner})
	e.Ok(err)
	got, _ := e.Get("c", func(in *s3.GetObjectInput) { in.ExpectedBucketOwner = owner })
	e.Same("copy", got, []byte("x"))
}

func versionNull(e *Env) {
	first, second := Data(70_000, 1), Data(100, 2)
	null := aws.String("null")
	e.Put("k", first)
	e.enableVersions()
	e.Put("k", second)
	got, out := e.Get("k", func(in *s3.GetObjectInput) { in.VersionId = null })
	e.Same("the version from before", got, first)
	Equal(e, "its id", str(out.VersionId), "null")
	head := e.Head("k", func(in *s3.HeadObjectInput) { in.VersionId = null })
	Equal(e, "length", num(head.ContentLength), int64(len(first)))
	e.copyTo("copy", "k?versionId=null")
	got, _ = e.Get("copy")
	e.Same("copy", got, first)
	_, err := e.C.DeleteObject(e.Ctx, &s3.DeleteObjectInput{Bucket: &e.Bucket, Key: aws.String("k"), VersionId: null})
	e.Ok(err)
	e.Fails(e.GetErr("k", func(in *s3.GetObjectInput) { in.VersionId = null }), 404, "NoSuchVersion", "NoSuchKey")
	got, _ = e.Get("k")
	e.Same("the newest", got, second)
}

func cannedACL(e *Env) {
	body := Data(70_000, 1)
	e.Put("k", body, func(in *s3.PutObjectInput) { in.ACL = types.ObjectCannedACLPrivate })
	got, _ := e.Get("k")
	e.Same("body", got, body)
	id := e.create("m", func(in *s3.CreateMultipartUploadInput) { in.ACL = types.ObjectCannedACLPrivate })
	_, err := e.complete("m", id, e.part("m", id, 1, body))
	e.Ok(err)
	_, err = e.C.CopyObject(e.Ctx, &s3.CopyObjectInput{Bucket: &e.Bucket, Key: aws.String("c"), ACL: types.ObjectCannedACLPrivate,
		CopySource: aws.String(e.Bucket + "/m")})
	e.Ok(err)
	got, _ = e.Get("c")
	e.Same("copy", got, body)
}

func preflight(e *Env) {
	_, err := e.C.PutBucketCors(e.Ctx, &s3.PutBucketCorsInput{Bucket: &e.Bucket, CORSConfiguration: &types.CORSConfiguration{
		CORSRules: []types.CORSRule{{AllowedMethods: []string{"GET", "PUT"}, AllowedOrigins: []string{"https://app.example"},
			AllowedHeaders: []string{"x-amz-meta-a"}, ExposeHeaders: []string{"ETag"}, MaxAgeSeconds: aws.Int32(77)}}}})
	e.Ok(err)
	ask := func(origin, method string) rawAnswer {
		r := newRequest(e, "OPTIONS", e.Target.Endpoint()+"/"+e.Bucket+"/k")
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", method)
		r.Header.Set("Access-Control-Request-Headers", "x-amz-meta-a")
		return e.send(r)
	}
	a := ask("https://app.example", "PUT")
	Equal(e, "status", a.status, 200)
	Equal(e, "origin", a.header.Get("Access-Control-Allow-Origin"), "https://app.example")
	Equal(e, "age", a.header.Get("Access-Control-Max-Age"), "77")
	Equal(e, "other origin", ask("https://evil.example", "PUT").status, 403)
	Equal(e, "other method", ask("https://app.example", "DELETE").status, 403)
	e.Put("k", []byte("x"))
	r := e.request("GET", "/"+e.Bucket+"/k", nil)
	r.header["Origin"] = "https://app.example"
	a = e.do(r)
	Equal(e, "origin of a GET", a.header.Get("Access-Control-Allow-Origin"), "https://app.example")
	missing := e.request("GET", "/"+e.Bucket+"/missing", nil)
	missing.header["Origin"] = "https://app.example"
	Equal(e, "origin of an error", e.do(missing).header.Get("Access-Control-Allow-Origin"), "https://app.example")
	exposed := strings.ToLower(a.header.Get("Access-Control-Expose-Headers"))
	if !strings.Contains(exposed, "etag") || strings.Contains(exposed, "s3veil") {
		e.Errorf("exposed: %s", exposed)
	}
}

func bucketSlash(e *Env) {
	e.Put("k", []byte("x"))
	for _, end := range []string{"", "/"} {
		for _, method := range []string{"GET", "HEAD"} {
			a := e.do(e.request(method, "/"+e.Bucket+end, nil))
			Equal(e, method+" bucket"+end, a.status, 200)
			if method == "GET" && !strings.Contains(string(a.body), "<Key>k</Key>") {
				e.Errorf("GET bucket%s: %s", end, a.body)
			}
		}
		name := e.Bucket + "-new" + strconv.Itoa(len(end))
		Equal(e, "PUT bucket"+end, e.do(e.request("PUT", "/"+name+end, nil)).status, 200)
		Equal(e, "DELETE bucket"+end, e.do(e.request("DELETE", "/"+name+end, nil)).status, 204)
	}
}

func uploadIDs(e *Env) {
	for _, key := range []string{"k", strings.Repeat("long/", 40) + "k"} {
		id := e.create(key)
		if len(id) > 1024 {
			e.Errorf("%d characters", len(id))
		}
		if strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~") != "" && e.Target.Encrypted {
			e.Errorf("%q has to be escaped", id)
		}
		_, err := e.C.AbortMultipartUpload(e.Ctx, &s3.AbortMultipartUploadInput{Bucket: &e.Bucket, Key: &key, UploadId: &id})
		e.Ok(err)
	}
}

// plaintextOperations would need the store to read the object.
func plaintextOperations(e *Env) {
	if !e.Target.Encrypted {
		return
	}
	e.Put("k", []byte("a,b\n1,2\n"))
	for target, method := range map[string]string{"select&select-type=2": "POST", "torrent": "GET", "session": "GET", "renameObject": "PUT"} {
		path := "/" + e.Bucket + "/k"
		if target == "session" {
			path = "/" + e.Bucket
		}
		r := e.request(method, path, nil)
		r.query = target
		e.refused(r, 501, "NotImplemented")
	}
}

func storageClass(e *Env) {
	e.Put("k", []byte("x"), func(in *s3.PutObjectInput) { in.StorageClass = types.StorageClassStandard })
	list, err := e.C.ListObjectsV2(e.Ctx, &s3.ListObjectsV2Input{Bucket: &e.Bucket})
	e.Ok(err)
	Equal(e, "class in the list", string(list.Contents[0].StorageClass), "STANDARD")
}
