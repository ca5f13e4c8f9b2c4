package attack

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3veil/test/servers"
)

// Row 15. The store keeps buckets in directories: the keys "./" or "//" of a DeleteObjects are the bucket itself there. A client
// that may delete objects, and no buckets, removes none by them.
func TestKeysThatAreTheBucketRemoveNone(t *testing.T) {
	s := NewScene(t, func(config map[string]any) {
		config["clients"] = append(config["clients"].([]any), map[string]any{"access_key": "narrow", "secret_key": "narrow-secret-0123456789",
			"buckets": []string{"*"}, "actions": []string{"delete"}})
	})
	narrow := servers.NewClient(s.Veil.Endpoint(), "narrow", "narrow-secret-0123456789", func(o *s3.Options) { o.RetryMaxAttempts = 1 })
	for _, key := range []string{"/", "//", ".", "./", "/./", "a/..", "a/../", "a//../"} {
		out, err := narrow.DeleteObjects(s.Ctx, &s3.DeleteObjectsInput{Bucket: &s.Bucket,
			Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: &key}}}})
		if err != nil || len(out.Errors) != 1 || len(out.Deleted) != 0 {
			t.Errorf("deletion of %q: %v, %+v", key, err, out)
		}
		if _, err := narrow.DeleteObject(s.Ctx, &s3.DeleteObjectInput{Bucket: &s.Bucket, Key: &key}); err == nil {
			t.Logf("a single deletion of %q is the store's to answer: none", key)
		}
		if _, err := s.Store.HeadBucket(s.Ctx, &s3.HeadBucketInput{Bucket: &s.Bucket}); err != nil {
			t.Fatalf("the bucket after the deletion of %q: %v", key, err)
		}
	}
}

// Row 15. A name that a mapping leaves nothing of is no bucket: at the store, a request without one is about all of them.
func TestMappedNamesAreBuckets(t *testing.T) {
	s := NewScene(t, func(config map[string]any) {
		config["buckets"] = append([]any{map[string]any{"name": "team-*", "store_name": "*", "key": "main"}}, config["buckets"].([]any)...)
	})
	for _, target := range []string{"", "?acl", "?location", "?policy", "?tagging", "?versions", "?uploads", "/key"} {
		for _, name := range []string{"team-", "team--x", "team-.x", "team-x"} {
			w := s.Dial()
			fmt.Fprintf(w, "%s\r\n", s.Head("GET", "/"+name+target, "UNSIGNED-PAYLOAD", nil))
			status, text := w.Answer()
			w.Close()
			if status != 400 || !strings.Contains(text, "InvalidBucketName") || strings.Contains(text, s.Bucket) {
				t.Errorf("GET /%s%s: %d %s", name, target, status, text)
			}
		}
	}
}

// Row 15. The store decodes a copy source before it cuts the version off: for the key "a?versionId=x" it would take a version of
// "a", about which nobody has been asked.
func TestCopySourcesThatLookLikeVersions(t *testing.T) {
	s := NewScene(t, nil)
	s.Put("a", []byte("the other one"))
	for _, key := range []string{"a?versionId=null", "a?versionId=01ARZ3NDEKTSV4RRFFQ69G5FAV", "a?versionId="} {
		s.Put(key, []byte(key))
		source := s.Bucket + "/" + url.PathEscape(key)
		for _, target := range []string{"copy", key} {
			if _, err := s.C.CopyObject(s.Ctx, &s3.CopyObjectInput{Bucket: &s.Bucket, Key: &target, CopySource: &source,
				MetadataDirective: types.MetadataDirectiveReplace}); err != nil {
				t.Errorf("copy of %q to %q: %v", key, target, err)
			}
			if got, err := s.Read(target, ""); err != nil || string(got) != key {
				t.Errorf("copy of %q to %q: %q, %v", key, target, got, err)
			}
		}
	}
}
