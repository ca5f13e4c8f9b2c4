package attack

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"s3veil/crypto/envelope"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

// Row 15. The store keeps buckets in directories and takes the keys of a DeleteObjects, and the ids of uploads, as they come. A
// client with every right in one bucket removes nothing of another one through it, nor s3veil's own objects in its own.
func TestPathsLeadToNoOtherBucket(t *testing.T) {
	s := NewScene(t, func(config map[string]any) {
		config["clients"] = append(config["clients"].([]any), map[string]any{"access_key": "narrow", "secret_key": "narrow-secret-0123456789",
			"buckets": []string{"mine-*"}, "actions": []string{"read", "write", "delete", "admin"}})
	})
	s.Put("secret", []byte("s"))
	mine := "mine-" + s.Bucket
	other := s.Bucket
	if _, err := s.C.CreateBucket(s.Ctx, &s3.CreateBucketInput{Bucket: &mine}); err != nil {
		t.Fatal(err)
	}
	s.Bucket = mine
	parts := [][]byte{suite.Data(5<<20, 1), suite.Data(1000, 2)}
	s.Multipart("k", parts...)
	narrow := servers.NewClient(s.Veil.Endpoint(), "narrow", "narrow-secret-0123456789", func(o *s3.Options) { o.RetryMaxAttempts = 1 })

	for _, key := range []string{"../" + other + "/secret", "a/../../" + other + "/secret", "/../" + other + "/secret"} {
		out, err := narrow.DeleteObjects(s.Ctx, &s3.DeleteObjectsInput{Bucket: &mine,
			Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: &key}}}})
		if err != nil || len(out.Errors) != 1 {
			t.Errorf("deletion of %s: %v, %+v", key, err, out)
		}
	}
	for _, id := range []string{"../../../../" + other + "/secret", "../../../../" + other, "../../../.s3veil", "..", "../.."} {
		listed := envelope.ListedID(id)
		_, err := narrow.AbortMultipartUpload(s.Ctx, &s3.AbortMultipartUploadInput{Bucket: &mine, Key: aws.String("k"), UploadId: &listed})
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != "NoSuchUpload" {
			t.Errorf("abort of %s: %v", id, err)
		}
		if _, err := narrow.ListParts(s.Ctx, &s3.ListPartsInput{Bucket: &mine, Key: aws.String("k"), UploadId: &listed}); Status(err) != 404 {
			t.Errorf("parts of %s: %v", id, err)
		}
	}
	if got, err := s.Read("k", ""); err != nil || !bytes.Equal(got, join(parts...)) {
		t.Errorf("the client's own object afterwards: %v", err)
	}
	if len(s.manifests()) == 0 {
		t.Error("the manifest of the client's own object is gone")
	}
	s.Bucket = other
	if got, err := s.Read("secret", ""); err != nil || string(got) != "s" {
		t.Errorf("the other bucket afterwards: %v", err)
	}
}

// Row 49. A form whose sender is not known takes no more memory than it may have bytes, however its fields multiply.
func TestFormsOfStrangersStaySmall(t *testing.T) {
	s := NewScene(t, nil)
	form := "--b\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\n" + strings.Repeat("${filename}", 3000) +
		"\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + strings.Repeat("n", 30_000) + "\"\r\n\r\nx\r\n--b--\r\n"
	w := s.Dial()
	defer w.Close()
	fmt.Fprintf(w, "POST /%s HTTP/1.1\r\nHost: %s\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n%s",
		s.Bucket, s.host(), len(form), form)
	if status, text := w.Answer(); status != 400 || !strings.Contains(text, "MaxPostPreDataLengthExceeded") {
		t.Errorf("%d %s", status, text)
	}
}
