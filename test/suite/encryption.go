package suite

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// encryptionCases are what S3 promises of encryption headers. Bare stores know few of them or none.
var encryptionCases = []Case{
	{"Encryption_KMS_named_by_requests", namedKMS},
	{"Encryption_customer_key_of_objects", customerObjects},
	{"Encryption_customer_key_of_parts", customerParts},
	{"Encryption_customer_keys_of_versions", customerVersions},
	{"Encryption_default_of_the_bucket", bucketDefault},
}

// customerKey is a client's own key in the form of the SDK.
type customerKey struct{ algorithm, key, sum *string }

func newCustomerKey(key string) customerKey {
	sum := md5.Sum([]byte(key))
	return customerKey{aws.String("AES256"), aws.String(base64.StdEncoding.EncodeToString([]byte(key))), aws.String(base64.StdEncoding.EncodeToString(sum[:]))}
}

var (
	ownKey   = newCustomerKey("an application's key of 32 bytes")
	otherKey = newCustomerKey("another application's, 32 bytes!")
)

// takesCustomerKeys reports whether the target is one that takes customers' keys: s3veil over TLS.
func (e *Env) takesCustomerKeys() bool {
	if !e.Target.Encrypted {
		return false
	}
	if strings.HasPrefix(e.Target.Endpoint(), "https") {
		return true
	}
	_, err := e.C.PutObject(e.Ctx, &s3.PutObjectInput{Bucket: &e.Bucket, Key: aws.String("k"), Body: reader([]byte("x")),
		SSECustomerAlgorithm: ownKey.algorithm, SSECustomerKey: ownKey.key, SSECustomerKeyMD5: ownKey.sum}, noRetry)
	e.Fails(err, 400, "InvalidRequest")
	return false
}

func (e *Env) getWith(key string, version *string, c customerKey) ([]byte, error) {
	out, err := e.C.GetObject(e.Ctx, &s3.GetObjectInput{Bucket: &e.Bucket, Key: &key, VersionId: version,
		SSECustomerAlgorithm: c.algorithm, SSECustomerKey: c.key, SSECustomerKeyMD5: c.sum}, noRetry)
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	return io.ReadAll(out.Body)
}

func (e *Env) putWith(key string, body []byte, c customerKey) *s3.PutObjectOutput {
	out, err := e.C.PutObject(e.Ctx, &s3.PutObjectInput{Bucket: &e.Bucket, Key: &key, Body: reader(body),
		SSECustomerAlgorithm: c.algorithm, SSECustomerKey: c.key, SSECustomerKeyMD5: c.sum})
	e.Ok(err)
	return out
}

func namedKMS(e *Env) {
	if !e.Target.Encrypted {
		return
	}
	context := base64.StdEncoding.EncodeToString([]byte(`{"app":"suite"}`))
	in := &s3.PutObjectInput{Bucket: &e.Bucket, Key: aws.String("k"), Body: reader([]byte("hello")), ServerSideEncryption: types.ServerSideEncryptionAwsKms,
		SSEKMSKeyId: aws.String("main"), SSEKMSEncryptionContext: &context, BucketKeyEnabled: aws.Bool(true)}
	put, err := e.C.PutObject(e.Ctx, in)
	e.Ok(err)
	Equal(e, "type", put.ServerSideEncryption, types.ServerSideEncryptionAwsKms)
	Equal(e, "context", aws.ToString(put.SSEKMSEncryptionContext), context)
	head := e.Head("k")
	Equal(e, "later type", head.ServerSideEncryption, types.ServerSideEncryptionAwsKms)
	Equal(e, "later key", aws.ToString(head.SSEKMSKeyId), aws.ToString(put.SSEKMSKeyId))
	Equal(e, "later bucket key", aws.ToBool(head.BucketKeyEnabled), true)
	out, err := e.C.CopyObject(e.Ctx, &s3.CopyObjectInput{Bucket: &e.Bucket, Key: aws.String("copy"), CopySource: aws.String(e.Bucket + "/k")})
	e.Ok(err)
	Equal(e, "copy", out.ServerSideEncryption, types.ServerSideEncryptionAes256)
	in.Body, in.SSEKMSKeyId = reader([]byte("x")), aws.String("nobody")
	_, err = e.C.PutObject(e.Ctx, in, noRetry)
	e.Fails(err, 400, "KMS.NotFoundException")
}

func customerObjects(e *Env) {
	if !e.takesCustomerKeys() {
		return
	}
	body := Data(70_000, 1)
	put := e.putWith("k", body, ownKey)
	Equal(e, "algorithm", aws.ToString(put.SSECustomerAlgorithm), "AES256")
	Equal(e, "MD5", aws.ToString(put.SSECustomerKeyMD5), *ownKey.sum)
	got, err := e.getWith("k", nil, ownKey)
	e.Ok(err)
	Equal(e, "body", bytes.Equal(got, body), true)
	_, err = e.getWith("k", nil, otherKey)
	e.Fails(err, 403, "AccessDenied")
	e.Fails(e.GetErr("k"), 400, "InvalidRequest")
	copied := &s3.CopyObjectInput{Bucket: &e.Bucket, Key: aws.String("copy"), CopySource: aws.String(e.Bucket + "/k"),
		SSECustomerAlgorithm: otherKey.algorithm, SSECustomerKey: otherKey.key, SSECustomerKeyMD5: otherKey.sum,
		CopySourceSSECustomerAlgorithm: ownKey.algorithm, CopySourceSSECustomerKey: ownKey.key, CopySourceSSECustomerKeyMD5: ownKey.sum}
	_, err = e.C.CopyObject(e.Ctx, copied)
	e.Ok(err)
	got, err = e.getWith("copy", nil, otherKey)
	e.Ok(err)
	Equal(e, "copy", bytes.Equal(got, body), true)
}

func customerParts(e *Env) {
	if !e.takesCustomerKeys() {
		return
	}
	bodies := [][]byte{Data(5<<20, 1), Data(1000, 2)}
	up, err := e.C.CreateMultipartUpload(e.Ctx, &s3.CreateMultipartUploadInput{Bucket: &e.Bucket, Key: aws.String("k"),
		SSECustomerAlgorithm: ownKey.algorithm, SSECustomerKey: ownKey.key, SSECustomerKeyMD5: ownKey.sum})
	e.Ok(err)
	var parts []types.CompletedPart
	for i, b := range bodies {
		in := &s3.UploadPartInput{Bucket: &e.Bucket, Key: aws.String("k"), UploadId: up.UploadId, PartNumber: aws.Int32(int32(i + 1)), Body: reader(b)}
		_, err := e.C.UploadPart(e.Ctx, in, noRetry)
		e.Fails(err, 400, "InvalidRequest")
		in.Body = reader(b)
		in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = ownKey.algorithm, ownKey.key, ownKey.sum
		out, err := e.C.UploadPart(e.Ctx, in, func(o *s3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired })
		e.Ok(err)
		parts = append(parts, types.CompletedPart{PartNumber: in.PartNumber, ETag: out.ETag})
	}
	_, err = e.C.CompleteMultipartUpload(e.Ctx, &s3.CompleteMultipartUploadInput{Bucket: &e.Bucket, Key: aws.String("k"), UploadId: up.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}}) // S3 needs no key here
	e.Ok(err)
	got, err := e.getWith("k", nil, ownKey)
	e.Ok(err)
	Equal(e, "body", bytes.Equal(got, append(bodies[0], bodies[1]...)), true)
	list, err := e.C.ListObjectsV2(e.Ctx, &s3.ListObjectsV2Input{Bucket: &e.Bucket})
	e.Ok(err)
	Equal(e, "listed size", aws.ToInt64(list.Contents[0].Size), int64(5<<20+1000))
}

// Each version has the key it was written with.
func customerVersions(e *Env) {
	if !e.takesCustomerKeys() {
		return
	}
	e.enableVersions()
	first, second := e.putWith("k", []byte("first"), ownKey), e.putWith("k", []byte("second"), otherKey)
	for _, c := range []struct {
		version *string
		key     customerKey
		body    string
	}{{first.VersionId, ownKey, "first"}, {second.VersionId, otherKey, "second"}, {nil, otherKey, "second"}} {
		got, err := e.getWith("k", c.version, c.key)
		e.Ok(err)
		Equal(e, "version", string(got), c.body)
	}
	_, err := e.getWith("k", first.VersionId, otherKey)
	e.Fails(err, 403, "AccessDenied")
}

// bucketDefault sets, reads, uses and deletes the default encryption of a bucket with versions, in which it is no object.
func bucketDefault(e *Env) {
	if !e.Target.Encrypted {
		return
	}
	e.enableVersions()
	set := func(apply types.ServerSideEncryptionByDefault) error {
		_, err := e.C.PutBucketEncryption(e.Ctx, &s3.PutBucketEncryptionInput{Bucket: &e.Bucket, ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
			Rules: []types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: &apply}}}}, noRetry)
		return err
	}
	get := func() types.ServerSideEncryptionByDefault {
		out, err := e.C.GetBucketEncryption(e.Ctx, &s3.GetBucketEncryptionInput{Bucket: &e.Bucket})
		e.Ok(err)
		return *out.ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault
	}
	Equal(e, "without a default", get().SSEAlgorithm, types.ServerSideEncryptionAes256)
	e.Ok(set(types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAwsKms, KMSMasterKeyID: aws.String("main")}))
	Equal(e, "name of the key", aws.ToString(get().KMSMasterKeyID), "main")
	put := e.Put("k", []byte("x"))
	Equal(e, "PUT", put.ServerSideEncryption, types.ServerSideEncryptionAwsKms)
	Equal(e, "HEAD", aws.ToString(e.Head("k").SSEKMSKeyId), aws.ToString(put.SSEKMSKeyId)) // an ARN, where the key has one
	e.multipart("parts", Data(5<<20, 1), Data(10, 2))
	Equal(e, "HEAD of parts", e.Head("parts").ServerSideEncryption, types.ServerSideEncryptionAwsKms)
	e.Fails(set(types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAwsKms, KMSMasterKeyID: aws.String("nobody")}), 400, "KMS.NotFoundException")
	_, err := e.C.DeleteBucketEncryption(e.Ctx, &s3.DeleteBucketEncryptionInput{Bucket: &e.Bucket})
	e.Ok(err)
	Equal(e, "PUT after the deletion", e.Put("k", []byte("x")).ServerSideEncryption, types.ServerSideEncryptionAes256)
	out, err := e.C.ListObjectVersions(e.Ctx, &s3.ListObjectVersionsInput{Bucket: &e.Bucket})
	e.Ok(err)
	Equal(e, "versions and markers", len(out.Versions)+len(out.DeleteMarkers), 3)
}
