package proxytest

import (
	"net/http"
	"strings"
)

// documents are the sub-resources that are kept as they are sent, with the name of their operations.
var documents = map[string]string{
	"accelerate": "BucketAccelerateConfiguration", "acl": "Acl", "cors": "BucketCors", "encryption": "BucketEncryption",
	"legal-hold": "ObjectLegalHold", "lifecycle": "BucketLifecycleConfiguration", "logging": "BucketLogging",
	"notification": "BucketNotificationConfiguration", "object-lock": "ObjectLockConfiguration",
	"ownershipControls": "BucketOwnershipControls", "policy": "BucketPolicy", "publicAccessBlock": "PublicAccessBlock",
	"replication": "BucketReplication", "requestPayment": "BucketRequestPayment", "retention": "ObjectRetention",
	"tagging": "Tagging", "versioning": "BucketVersioning", "website": "BucketWebsite",
}

var verbs = map[string]string{http.MethodGet: "Get", http.MethodPut: "Put", http.MethodDelete: "Delete", http.MethodHead: "Head"}

// subresource returns the document that a call is about, or "".
func subresource(c *Call) string {
	for name := range documents {
		if c.Query.Has(name) {
			return name
		}
	}
	return ""
}

// operation names a call as S3 does.
func operation(c *Call) string {
	verb := verbs[c.Method]
	has := c.Query.Has
	switch sub := subresource(c); {
	case c.Bucket == "":
		return "ListBuckets"
	case c.Method == http.MethodOptions:
		return "OPTIONS"
	case sub != "":
		level := ""
		if name := documents[sub]; !strings.HasPrefix(name, "Bucket") && !strings.HasPrefix(name, "Object") && sub != "publicAccessBlock" {
			level = "Bucket"
			if c.Key != "" {
				level = "Object"
			}
		}
		return verb + level + documents[sub]
	case c.Key == "":
		return bucketOperation(c, verb)
	case has("uploads"):
		return "CreateMultipartUpload"
	case has("uploadId"):
		return uploadOperation(c)
	case has("attributes"):
		return "GetObjectAttributes"
	case c.Method == http.MethodPut && c.Header.Get("X-Amz-Copy-Source") != "":
		return "CopyObject"
	case c.Method == http.MethodPost:
		return "POST"
	}
	return verb + "Object"
}

func bucketOperation(c *Call, verb string) string {
	has := c.Query.Has
	switch {
	case c.Method == http.MethodPost && has("delete"):
		return "DeleteObjects"
	case has("location"):
		return "GetBucketLocation"
	case has("uploads"):
		return "ListMultipartUploads"
	case has("versions"):
		return "ListObjectVersions"
	case c.Method == http.MethodGet && c.Query.Get("list-type") == "2":
		return "ListObjectsV2"
	case c.Method == http.MethodGet:
		return "ListObjects"
	case c.Method == http.MethodPut:
		return "CreateBucket"
	}
	return verb + "Bucket"
}

func uploadOperation(c *Call) string {
	switch c.Method {
	case http.MethodGet:
		return "ListParts"
	case http.MethodPost:
		return "CompleteMultipartUpload"
	case http.MethodDelete:
		return "AbortMultipartUpload"
	}
	if c.Header.Get("X-Amz-Copy-Source") != "" {
		return "UploadPartCopy"
	}
	return "UploadPart"
}

// act carries a call out. The store is locked.
func (s *Store) act(c *Call) *Answer {
	if c.Op == "ListBuckets" {
		return s.listBuckets()
	}
	b := s.buckets[c.Bucket]
	if c.Op == "CreateBucket" {
		return s.createBucket(c, b)
	}
	if b == nil {
		return fail(404, "NoSuchBucket")
	}
	if sub := subresource(c); sub != "" {
		return s.document(c, b, sub)
	}
	acts := map[string]func(*Call, *bucket) *Answer{
		"HeadBucket": s.headBucket, "DeleteBucket": s.deleteBucket, "GetBucketLocation": s.location, "OPTIONS": s.headBucket,
		"ListObjects": s.list, "ListObjectsV2": s.list, "ListObjectVersions": s.listVersions, "DeleteObjects": s.deleteObjects,
		"PutObject": s.putObject, "GetObject": s.getObject, "HeadObject": s.getObject, "DeleteObject": s.deleteObject,
		"CopyObject": s.copyObject, "CreateMultipartUpload": s.createUpload, "UploadPart": s.uploadPart,
		"UploadPartCopy": s.uploadPartCopy, "ListParts": s.listParts, "ListMultipartUploads": s.listUploads,
		"CompleteMultipartUpload": s.complete, "AbortMultipartUpload": s.abort,
	}
	if f := acts[c.Op]; f != nil {
		return f(c, b)
	}
	return fail(501, "NotImplemented")
}
