package s3op

import (
	"errors"
	"testing"

	"s3veil/proxy/s3err"
)

func TestCopySourcesThatNameNothing(t *testing.T) {
	for _, value := range []string{"", "bucket", "bucket/", "bucket/.", "bucket/..", "bucket/foo/ba/../../../r", "192.168.1.1/foo",
		"bucket/%ZZ", "100%/foo", "my-buc@k&()t/obj", "bucket/k?versionId="} {
		if c, err := ParseCopySource(value); !errors.Is(err, s3err.InvalidArgument) {
			t.Errorf("%q: %+v, %v", value, c, err)
		}
	}
}
