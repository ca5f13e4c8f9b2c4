package s3op

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"s3veil/proxy/s3err"
)

var router = &Router{Domains: []string{"s3.example.com", "eu.s3.example.com:8080", "internal"}}

func headers(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i+1 < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func route(method, target string, pairs ...string) (Request, error) {
	path, query, _ := strings.Cut(target, "?")
	return router.Route(method, "127.0.0.1:8080", path, query, headers(pairs...))
}

// everyOp has a request for each row of the table; a header stands behind the target.
var everyOp = []struct {
	op             Op
	method, target string
	header         []string
}{
	{ListBuckets, "GET", "/", nil},
	{ListBuckets, "GET", "/?x-id=ListBuckets&max-buckets=2&prefix=a", nil},
	{ListDirectoryBuckets, "GET", "/?x-id=ListDirectoryBuckets", nil},
	{ListDirectoryBuckets, "GET", "/?max-directory-buckets=10", nil},
	{CreateBucket, "PUT", "/bkt", nil},
	{HeadBucket, "HEAD", "/bkt/", nil},
	{HeadBucket, "HEAD", "/bkt?list-type=2", nil},
	{DeleteBucket, "DELETE", "/bkt", nil},
	{ListObjects, "GET", "/bkt", nil},
	{ListObjects, "GET", "/bkt/?delimiter=/&prefix=small/", nil},
	{ListObjects, "GET", "/bkt?list-type=1&v=3", nil},
	{ListObjectsV2, "GET", "/bkt?prefix&list-type=2&encoding-type=url", nil},
	{ListObjectVersions, "GET", "/bkt?versions&prefix=", nil},
	{ListObjectVersions, "GET", "/bkt?list-type=2&versions", nil},
	{ListMultipartUploads, "GET", "/bkt?uploads=&max-uploads=3", nil},
	{PostObject, "POST", "/bkt", []string{"content-type", `multipart/form-data; boundary="x"`}},
	{DeleteObjects, "POST", "/bkt?delete", nil},
	{DeleteObjects, "POST", "/bkt/?delete=", []string{"content-type", "multipart/form-data; boundary=x"}},
	{GetObject, "GET", "/bkt/k?partNumber=2&versionId=v&response-content-type=a%2Fb&x-id=GetObject", nil},
	{GetObject, "GET", "/bkt/k?list-type=2", nil},
	{HeadObject, "HEAD", "/bkt/k", nil},
	{PutObject, "PUT", "/bkt/k?x-id=PutObject", nil},
	{CopyObject, "PUT", "/bkt/k", []string{"x-amz-copy-source", "/bkt/s"}},
	{CopyObject, "PUT", "/bkt/k?X-Amz-Signature=00&x-amz-copy-source=%2Fbkt%2Fs", nil},
	{DeleteObject, "DELETE", "/bkt/k?versionId=null", nil},
	{CreateMultipartUpload, "POST", "/bkt/k?uploads", nil},
	{UploadPart, "PUT", "/bkt/k?partNumber=1&uploadId=u", nil},
	{UploadPartCopy, "PUT", "/bkt/k?partNumber=1&uploadId=u", []string{"x-amz-copy-source", "bkt/s"}},
	{CompleteMultipartUpload, "POST", "/bkt/k?uploadId=u", nil},
	{AbortMultipartUpload, "DELETE", "/bkt/k?uploadId=u&x-id=AbortMultipartUpload", nil},
	{ListParts, "GET", "/bkt/k?uploadId=u&max-parts=3", nil},
	{GetObjectAttributes, "GET", "/bkt/k?attributes", nil},
	{GetObjectAcl, "GET", "/bkt/k?acl=", nil},
	{PutObjectAcl, "PUT", "/bkt/k?acl&versionId=1", nil},
	{GetObjectTagging, "GET", "/bkt/k?tagging", nil},
	{PutObjectTagging, "PUT", "/bkt/k?tagging", nil},
	{DeleteObjectTagging, "DELETE", "/bkt/k?tagging", nil},
	{GetObjectLegalHold, "GET", "/bkt/k?legal-hold", nil},
	{PutObjectLegalHold, "PUT", "/bkt/k?legal-hold", nil},
	{GetObjectRetention, "GET", "/bkt/k?retention", nil},
	{PutObjectRetention, "PUT", "/bkt/k?retention", nil},
	{RestoreObject, "POST", "/bkt/k?restore", nil},
	{Preflight, "OPTIONS", "/bkt/k?anything", nil},
	{Preflight, "OPTIONS", "/bkt", nil},
	{GetObjectTorrent, "GET", "/bkt/k?torrent", nil},
	{SelectObjectContent, "POST", "/bkt/k?select&select-type=2", nil},
	{RenameObject, "PUT", "/bkt/k?renameObject", nil},
	{UpdateObjectEncryption, "PUT", "/bkt/k?encryption", nil},
	{CreateSession, "GET", "/bkt?session", nil},
	{GetObjectAnnotation, "GET", "/bkt/k?annotation&annotationName=a", nil},
	{ListObjectAnnotations, "GET", "/bkt/k?annotation", nil},
	{PutObjectAnnotation, "PUT", "/bkt/k?annotation&annotationName=a", nil},
	{DeleteObjectAnnotation, "DELETE", "/bkt/k?annotation&annotationName=a", nil},
	{WriteGetObjectResponse, "POST", "/WriteGetObjectResponse", nil},
	{WriteGetObjectResponse, "POST", "/bkt", []string{"x-amz-request-route", "r"}},
	{GetBucketEncryption, "GET", "/bkt?encryption", nil},
	{PutBucketEncryption, "PUT", "/bkt?encryption", nil},
	{DeleteBucketEncryption, "DELETE", "/bkt?encryption", nil},
	{GetBucketAbac, "GET", "/bkt?abac", nil},
	{PutBucketAbac, "PUT", "/bkt?abac", nil},
	{GetBucketAccelerateConfiguration, "GET", "/bkt?accelerate", nil},
	{PutBucketAccelerateConfiguration, "PUT", "/bkt?accelerate", nil},
	{GetBucketAcl, "GET", "/bkt?acl", nil},
	{PutBucketAcl, "PUT", "/bkt?acl", nil},
	{GetBucketAnalyticsConfiguration, "GET", "/bkt?analytics&id=1", nil},
	{ListBucketAnalyticsConfigurations, "GET", "/bkt?analytics&x-id=ListBucketAnalyticsConfigurations", nil},
	{PutBucketAnalyticsConfiguration, "PUT", "/bkt?analytics&id=1", nil},
	{DeleteBucketAnalyticsConfiguration, "DELETE", "/bkt?analytics&id=1", nil},
	{GetBucketCors, "GET", "/bkt?cors", nil},
	{PutBucketCors, "PUT", "/bkt?cors", nil},
	{DeleteBucketCors, "DELETE", "/bkt?cors", nil},
	{GetBucketIntelligentTieringConfiguration, "GET", "/bkt?intelligent-tiering&id=1", nil},
	{ListBucketIntelligentTieringConfigurations, "GET", "/bkt?intelligent-tiering", nil},
	{PutBucketIntelligentTieringConfiguration, "PUT", "/bkt?intelligent-tiering&id=1", nil},
	{DeleteBucketIntelligentTieringConfiguration, "DELETE", "/bkt?intelligent-tiering&id=1", nil},
	{GetBucketInventoryConfiguration, "GET", "/bkt?inventory&id=1", nil},
	{ListBucketInventoryConfigurations, "GET", "/bkt?inventory", nil},
	{PutBucketInventoryConfiguration, "PUT", "/bkt?inventory&id=1", nil},
	{DeleteBucketInventoryConfiguration, "DELETE", "/bkt?inventory&id=1", nil},
	{GetBucketLifecycleConfiguration, "GET", "/bkt?lifecycle", nil},
	{PutBucketLifecycleConfiguration, "PUT", "/bkt?lifecycle", nil},
	{DeleteBucketLifecycle, "DELETE", "/bkt?lifecycle", nil},
	{GetBucketLocation, "GET", "/bkt?location", nil},
	{GetBucketLogging, "GET", "/bkt?logging", nil},
	{PutBucketLogging, "PUT", "/bkt?logging", nil},
	{GetBucketMetadataConfiguration, "GET", "/bkt?metadataConfiguration", nil},
	{CreateBucketMetadataConfiguration, "POST", "/bkt?metadataConfiguration", nil},
	{DeleteBucketMetadataConfiguration, "DELETE", "/bkt?metadataConfiguration", nil},
	{GetBucketMetadataTableConfiguration, "GET", "/bkt?metadataTable", nil},
	{CreateBucketMetadataTableConfiguration, "POST", "/bkt?metadataTable", nil},
	{DeleteBucketMetadataTableConfiguration, "DELETE", "/bkt?metadataTable", nil},
	{UpdateBucketMetadataAnnotationTableConfiguration, "PUT", "/bkt?metadataAnnotationTable", nil},
	{UpdateBucketMetadataInventoryTableConfiguration, "PUT", "/bkt?metadataInventoryTable", nil},
	{UpdateBucketMetadataJournalTableConfiguration, "PUT", "/bkt?metadataJournalTable", nil},
	{GetBucketMetricsConfiguration, "GET", "/bkt?metrics&id=1", nil},
	{ListBucketMetricsConfigurations, "GET", "/bkt?metrics", nil},
	{PutBucketMetricsConfiguration, "PUT", "/bkt?metrics&id=1", nil},
	{DeleteBucketMetricsConfiguration, "DELETE", "/bkt?metrics&id=1", nil},
	{GetBucketNotificationConfiguration, "GET", "/bkt?notification", nil},
	{PutBucketNotificationConfiguration, "PUT", "/bkt?notification", nil},
	{GetObjectLockConfiguration, "GET", "/bkt?object-lock", nil},
	{PutObjectLockConfiguration, "PUT", "/bkt?object-lock", nil},
	{GetBucketOwnershipControls, "GET", "/bkt?ownershipControls", nil},
	{PutBucketOwnershipControls, "PUT", "/bkt?ownershipControls", nil},
	{DeleteBucketOwnershipControls, "DELETE", "/bkt?ownershipControls", nil},
	{GetBucketPolicy, "GET", "/bkt?policy", nil},
	{PutBucketPolicy, "PUT", "/bkt?policy", nil},
	{DeleteBucketPolicy, "DELETE", "/bkt?policy", nil},
	{GetBucketPolicyStatus, "GET", "/bkt?policyStatus", nil},
	{GetPublicAccessBlock, "GET", "/bkt?publicAccessBlock", nil},
	{PutPublicAccessBlock, "PUT", "/bkt?publicAccessBlock", nil},
	{DeletePublicAccessBlock, "DELETE", "/bkt?publicAccessBlock", nil},
	{GetBucketReplication, "GET", "/bkt?replication", nil},
	{PutBucketReplication, "PUT", "/bkt?replication", nil},
	{DeleteBucketReplication, "DELETE", "/bkt?replication", nil},
	{GetBucketRequestPayment, "GET", "/bkt?requestPayment", nil},
	{PutBucketRequestPayment, "PUT", "/bkt?requestPayment", nil},
	{GetBucketTagging, "GET", "/bkt?tagging", nil},
	{PutBucketTagging, "PUT", "/bkt?tagging", nil},
	{DeleteBucketTagging, "DELETE", "/bkt?tagging", nil},
	{GetBucketVersioning, "GET", "/bkt?versioning", nil},
	{PutBucketVersioning, "PUT", "/bkt?versioning", nil},
	{GetBucketWebsite, "GET", "/bkt?website", nil},
	{PutBucketWebsite, "PUT", "/bkt?website", nil},
	{DeleteBucketWebsite, "DELETE", "/bkt?website", nil},
}

func TestEveryOperationIsRouted(t *testing.T) {
	seen := map[Op]bool{}
	for _, r := range everyOp {
		seen[r.op] = true
		q, err := route(r.method, r.target, r.header...)
		if q.Op != r.op {
			t.Errorf("%s %s: %q, want %q (%v)", r.method, r.target, q.Op, r.op, err)
			continue
		}
		info := Table[r.op]
		if refused := info.Treatment == Refuse; refused != errors.Is(err, s3err.NotImplemented) || !refused && err != nil {
			t.Errorf("%s %s: %v", r.method, r.target, err)
		}
		if info.Treatment != Refuse && info.Object != (q.Key != "") && r.op != Preflight {
			t.Errorf("%s %s: key %q, Object %v", r.method, r.target, q.Key, info.Object)
		}
	}
	for op := range Table {
		if !seen[op] {
			t.Errorf("no request for %s", op)
		}
	}
}

func TestMisplacedRequestsAreRefused(t *testing.T) {
	for _, r := range []struct {
		method, target, code string
		header               []string
	}{
		{"GET", "/bkt?unknown", "NotImplemented", nil},
		{"GET", "/bkt/k?unknown=", "NotImplemented", nil},
		{"PUT", "/bkt/k?append", "NotImplemented", nil},
		{"GET", "/bkt/k?versions", "InvalidRequest", nil},
		{"GET", "/bkt/k?uploads", "InvalidRequest", nil},
		{"POST", "/bkt?uploads", "InvalidRequest", nil},
		{"PUT", "/bkt/k?uploads", "MethodNotAllowed", nil},
		{"PUT", "/bkt/k?policy", "MethodNotAllowed", nil},
		{"DELETE", "/bkt?acl", "MethodNotAllowed", nil},
		{"HEAD", "/bkt/k?tagging", "MethodNotAllowed", nil},
		{"PATCH", "/bkt/k", "MethodNotAllowed", nil},
		{"POST", "/bkt/k", "MethodNotAllowed", nil},
		{"PUT", "/", "MethodNotAllowed", nil},
		{"GET", "/?acl", "MethodNotAllowed", nil},
		{"OPTIONS", "/", "MethodNotAllowed", nil},
		{"POST", "/bkt", "PreconditionFailed", nil},
		{"GET", "/bkt?acl&tagging", "InvalidArgument", nil},
		{"GET", "/bkt?list-type=3", "InvalidArgument", nil},
		{"PUT", "/bkt/k?uploadId=u", "MethodNotAllowed", nil},
		{"PUT", "/bkt/k?partNumber=1", "InvalidArgument", nil},
		{"PUT", "/bkt/k?acl", "InvalidArgument", []string{"x-amz-copy-source", "a/b"}},
		{"GET", "/bkt/%zz", "InvalidURI", nil},
		{"GET", "/bkt/%a", "InvalidURI", nil},
		{"GET", "/bkt/../other/k", "400", nil},
		{"GET", "/bkt/a/%2e%2e/..%2Fother", "400", nil},
		{"GET", "/bkt/%ff", "InvalidURI", nil},
		{"GET", "/bkt?prefix=%z", "InvalidURI", nil},
		{"GET", "*", "InvalidURI", nil},
		{"GET", "/b%2Fk/x", "InvalidBucketName", nil},
		{"GET", "//x", "InvalidBucketName", nil},
		{"GET", "/ab", "InvalidBucketName", nil},
		{"GET", "/../x", "InvalidBucketName", nil},
		{"GET", "/a..b/x", "InvalidBucketName", nil},
		{"GET", "/-abc", "InvalidBucketName", nil},
		{"GET", "/arn%3Aaws%3As3%3Aeu%3A1%3Aaccesspoint%2Fap/k", "NotImplemented", nil},
		{"GET", "/data--usw2-az1--x-s3/k", "NotImplemented", nil},
		{"GET", "/name-hash-s3alias/k", "NotImplemented", nil},
		{"GET", "/name--ol-s3/k", "NotImplemented", nil},
		{"GET", "/name.mrap/k", "NotImplemented", nil},
		{"PUT", "/bkt/" + strings.Repeat("k", 1025), "KeyTooLongError", nil},
	} {
		if _, err := route(r.method, r.target, r.header...); s3err.From(err).Code != r.code {
			t.Errorf("%s %s: %v, want %s", r.method, r.target, err, r.code)
		}
	}
}

func TestHostsSelectTheStyle(t *testing.T) {
	for _, r := range []struct{ host, path, bucket, key string }{
		{"s3.example.com", "/bkt/k", "bkt", "k"},
		{"bkt.s3.example.com", "/k/x", "bkt", "k/x"},
		{"bkt.s3.example.com:443", "/", "bkt", ""},
		{"bkt.s3.example.com", "", "bkt", ""},
		{"BKT.S3.Example.com.", "//k", "bkt", "/k"},
		{"a.b.c.s3.example.com", "/k", "a.b.c", "k"},
		{"bkt.eu.s3.example.com:8080", "/k", "bkt", "k"},
		{"eu.s3.example.com", "/bkt/k", "bkt", "k"},
		{"other.org", "/bkt/k", "bkt", "k"},
		{"xs3.example.com", "/bkt/k", "bkt", "k"},
		{"bkt.internal", "/k", "bkt", "k"},
		{"127.0.0.1:9000", "/bkt/k", "bkt", "k"},
		{"[::1]:9000", "/bkt/k", "bkt", "k"},
		{"", "/bkt//k", "bkt", "/k"},
	} {
		q, err := router.Route("GET", r.host, r.path, "", headers())
		if err != nil || q.Bucket != r.bucket || q.Key != r.key {
			t.Errorf("%s %s: %q %q %v", r.host, r.path, q.Bucket, q.Key, err)
		}
	}
}

func TestKeysStayAsTheyAre(t *testing.T) {
	for raw, key := range map[string]string{
		"a/../b": "a/../b", "a//b": "a//b", "./dot": "./dot", "pct%252F": "pct%2F", "a+b": "a+b", "a%2Bb": "a+b",
		"a%20b": "a b", "%C3%BC": "ü", "x%2f..%2Fy": "x/../y", "dir/": "dir/", "%00": "\x00", "/": "/", "~()*'!": "~()*'!",
		strings.Repeat("%6b", 1024): strings.Repeat("k", 1024),
	} {
		q, err := route("GET", "/bkt/"+raw)
		if err != nil || q.Key != key {
			t.Errorf("%s: %q %v, want %q", raw, q.Key, err, key)
		}
	}
}

func TestOnlyMappedParametersGoUpstream(t *testing.T) {
	for _, r := range []struct {
		method, target string
		want           []Param
	}{
		{"GET", "/bkt?list-type=2&prefix=a+b&foo=1&x-id=L&X-Amz-Signature=s&prefix=evil",
			[]Param{{"list-type", "2", true}, {"prefix", "a b", true}}},
		{"PUT", "/bkt?list-type=2", nil},
		{"GET", "/bkt?max-keys=100000", []Param{{"max-keys", "1000", true}}},
		{"GET", "/bkt?max-keys=-1", []Param{{"max-keys", "-1", true}}},
		{"GET", "/bkt/k?partNumber=3&response-expires=x&versionId=v", []Param{{"versionId", "v", true}}},
		{"GET", "/bkt/k?acl=junk&versionId=v", []Param{{"acl", "", false}, {"versionId", "v", true}}},
		{"PUT", "/bkt/k?partNumber=1&uploadId=u", nil},
		{"GET", "/bkt?uploads&upload-id-marker=m&prefix=", []Param{{"uploads", "", false}, {"prefix", "", true}}},
		{"PUT", "/bkt/k?versionId=v", nil},
	} {
		q, err := route(r.method, r.target)
		if got := q.Forward(); err != nil || !reflect.DeepEqual(got, r.want) {
			t.Errorf("%s %s: %v %v", r.method, r.target, got, err)
		}
	}
}

func TestHoistedHeadersOfPresignedURLs(t *testing.T) {
	target := "/bkt/k?X-Amz-Algorithm=A&X-Amz-Credential=c&X-Amz-Date=d&X-Amz-Expires=9&X-Amz-SignedHeaders=host" +
		"&X-Amz-Content-Sha256=UNSIGNED-PAYLOAD&x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32" +
		"&x-amz-meta-A=1&X-Amz-Checksum-Mode=ENABLED&x-id=PutObject"
	q, err := route("PUT", target+"&X-Amz-Signature=s")
	want := []Param{{"x-amz-meta-a", "1", true}, {"x-amz-checksum-mode", "ENABLED", true}}
	if got := q.Hoisted(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %v", got, err)
	}
	if q, err = route("PUT", target); err != nil || q.Hoisted() != nil {
		t.Errorf("unsigned parameters count as headers: %v %v", q.Hoisted(), err)
	}
}

// Header and Hoisted agree on what stands in the place of headers: else a right is asked for one and the other goes up.
func TestHoistedHeadersDecide(t *testing.T) {
	for _, signature := range []string{"X-Amz-Signature=s", "x-amz-signature=s", "AWSAccessKeyId=a", "awsaccesskeyid=a"} {
		q, err := route("DELETE", "/bkt/k?X-Amz-Bypass-Governance-Retention=true&"+signature)
		if err != nil || !q.Bypass || len(q.Hoisted()) != 1 {
			t.Errorf("%s: %v %v %v", signature, q.Bypass, q.Hoisted(), err)
		}
		if q, err = route("PUT", "/bkt/k?x-amz-copy-source=/b/k&"+signature); err != nil || q.Op != CopyObject {
			t.Errorf("%s: %s %v", signature, q.Op, err)
		}
	}
}

func TestGovernanceBypassIsReported(t *testing.T) {
	for value, want := range map[string]bool{"": false, "false": false, "true": true, "TRUE": true, "%74rue": true, "1": true, "false,true": true} {
		q, err := route("DELETE", "/bkt/k", "x-amz-bypass-governance-retention", value)
		if err != nil || q.Bypass != want {
			t.Errorf("%q: %v %v", value, q.Bypass, err)
		}
	}
}

func TestClassesOfTheTable(t *testing.T) {
	for op, want := range map[Op]Class{
		ListBuckets: Open, GetObject: Read, ListParts: Read, HeadBucket: Read, GetBucketLocation: Read, PutObject: Write,
		AbortMultipartUpload: Write, PutObjectTagging: Write, RestoreObject: Write, DeleteObject: Delete, DeleteObjects: Delete,
		DeleteObjectTagging: Delete, CreateBucket: Admin, DeleteBucket: Admin, GetBucketVersioning: Admin, PutBucketAcl: Admin,
	} {
		if got := Table[op].Class; got != want {
			t.Errorf("%s: %v, want %v", op, got, want)
		}
	}
	for c := Read; c <= Admin; c++ {
		if got, ok := ParseClass(c.String()); !ok || got != c {
			t.Errorf("%v", c)
		}
	}
	if _, ok := ParseClass("open"); ok {
		t.Error("open is not a word of the configuration")
	}
}

func TestCopySourceWhereNothingIsWrittenIsRefused(t *testing.T) {
	source := func(name string) string {
		if name == "x-amz-copy-source" {
			return "bkt/s"
		}
		return ""
	}
	for _, target := range []string{"GET /bkt", "GET /bkt/k", "HEAD /bkt/k", "DELETE /bkt/k", "POST /bkt/k?uploadId=u"} {
		method, path, _ := strings.Cut(target, " ")
		path, query, _ := strings.Cut(path, "?")
		if _, err := new(Router).Route(method, "host", path, query, source); !errors.Is(err, s3err.InvalidArgument) {
			t.Errorf("%s: %v", target, err)
		}
	}
}
