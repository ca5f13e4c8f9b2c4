package proxy

import "testing"

func TestOwnMetadataIsNotAmongTheExposedHeaders(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"access-control-expose-headers", "ETag, x-amz-meta-s3veil", "ETag"},
		{"access-control-expose-headers", "X-Amz-Meta-S3veil-A,ETag,x-amz-meta-other", "ETag, x-amz-meta-other"},
		{"access-control-expose-headers", "ETag,x-amz-meta-a", "ETag,x-amz-meta-a"},
		{"access-control-expose-headers", "x-amz-meta-s3veil", ""},
		{"x-amz-meta-note", "x-amz-meta-s3veil", "x-amz-meta-s3veil"},
	} {
		if got := forClient(c.name, c.value); got != c.want {
			t.Errorf("%s: %q becomes %q, want %q", c.name, c.value, got, c.want)
		}
	}
}
