package options

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
	"s3veil/test/suite"
)

// kinds are the stores that this run has: those of other programs in the long runs alone.
var kinds = []string{servers.Versity}

// byClients lets the store decide who may do what, as it does without s3veil, for its own users and for everybody.
func byClients(store *servers.Store, users ...string) func(map[string]any) {
	return func(config map[string]any) {
		up := config["upstream"].(map[string]any)
		up["credentials"], up["reserved_credentials"] = "client", up["credentials"]
		all := func(more map[string]any) map[string]any {
			more["buckets"], more["actions"] = []string{"*"}, []string{"read", "write", "delete", "admin"}
			return more
		}
		clients := []any{all(map[string]any{"anonymous": true}), all(map[string]any{"access_key": store.AccessKey, "secret_key": store.SecretKey})}
		for _, user := range users {
			clients = append(clients, all(map[string]any{"access_key": user, "secret_key": user + "-secret-0123456789"}))
		}
		config["clients"] = clients
	}
}

// A condition on the size of what is deleted is one on the plaintext, over stores that know it and over stores that do not.
func TestDeletesUnderConditionsOnTheSize(t *testing.T) {
	for _, kind := range kinds {
		cl, ctx := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, kind)}), context.Background()
		c := cl.Client()
		bucket := create(t, c, unique("d"))
		remove := func(key string, size int64) error {
			_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &key, IfMatchSize: &size})
			return err
		}
		put(t, c, bucket, "one", suite.Data(70_001, 1))
		put(t, c, bucket, "empty", nil)
		uneven := [][]byte{suite.Data(5<<20+77, 2), suite.Data(99, 3)}
		complete(t, c, upload(t, c, bucket, "parts", uneven...))
		sizes := map[string]int64{"one": 70_001, "empty": 0, "parts": 5<<20 + 77 + 99}
		for key, size := range sizes {
			head, err := cl.Store.Client().HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
			if err != nil {
				t.Fatal(err)
			}
			for _, other := range []int64{size + 1, max(aws.ToInt64(head.ContentLength), 1)} {
				if err := remove(key, other); code(err) != "PreconditionFailed" {
					t.Errorf("%s: %s with size %d: %v", kind, key, other, err)
				}
			}
			if err := remove(key, size); err != nil {
				t.Errorf("%s: %s: %v", kind, key, err)
			}
		}
		for _, key := range []string{"a", "b", "c"} {
			put(t, c, bucket, key, []byte("hello"))
		}
		out, err := c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{
			{Key: aws.String("a"), Size: aws.Int64(5)}, {Key: aws.String("b"), Size: aws.Int64(37)}, {Key: aws.String("c")}}}})
		if err != nil || len(out.Errors) != 1 || aws.ToString(out.Errors[0].Key) != "b" || aws.ToString(out.Errors[0].Code) != "PreconditionFailed" {
			t.Errorf("%s: %+v %v", kind, out, err)
		}
		if left := keys(t, c, bucket); fmt.Sprint(left) != "[b]" {
			t.Errorf("%s: %v is left", kind, left)
		}
	}
}

// A client of another region than the store's makes buckets as it does without s3veil.
func TestBucketsOfClientsInOtherRegions(t *testing.T) {
	for _, kind := range kinds {
		cl := s3veil.MustStart(t, s3veil.Options{Store: servers.MustShared(t, kind), Configure: func(config map[string]any) { config["regions"] = []string{"*"} }})
		for _, region := range []string{"eu-west-1", servers.Region} {
			c := cl.Client(once, func(o *s3.Options) { o.Region = region })
			make := func(constraint string) error {
				in := &s3.CreateBucketInput{Bucket: aws.String(unique("r"))}
				if constraint != "" {
					in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(constraint)}
				}
				_, err := c.CreateBucket(context.Background(), in)
				return err
			}
			here := region
			if region == servers.Region {
				here = "" // us-east-1 is not named
			}
			if err := make(here); err != nil {
				t.Errorf("%s, from %s: %v", kind, region, err)
			}
			if err := make("ap-south-1"); err == nil && kind == servers.Versity { // MinIO has no region and takes every name
				t.Errorf("%s, from %s: a bucket in a third region was made here", kind, region)
			}
		}
	}
}

// What everybody may write to the store is written whole, whatever its length: the store reads the framing for what it is.
func TestUnsignedUploadsOfAnyLength(t *testing.T) {
	for _, kind := range kinds {
		store, ctx := servers.MustShared(t, kind), context.Background()
		cl := s3veil.MustStart(t, s3veil.Options{Store: store, AccessKey: store.AccessKey, SecretKey: store.SecretKey, Configure: byClients(store)})
		c := cl.Client()
		bucket := create(t, c, unique("u"))
		put(t, c, bucket, "first", suite.Data(100_000, 9)) // asks how bodies go up
		_, err := c.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: aws.String(`{"Version":"2012-10-17","Statement":[` +
			`{"Effect":"Allow","Principal":"*","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::` + bucket + `/*"}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		lengths := []int{0, 100, 20_000, 500_000, 3 << 20, 9 << 20}
		if kind == servers.RGW { // verifies no trailers: streams need a signature there
			lengths = lengths[:4]
		}
		for _, n := range lengths {
			body := suite.Data(n, uint64(n))
			r, _ := http.NewRequest("PUT", cl.Endpoint()+"/"+bucket+"/k", bytes.NewReader(body))
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 200 {
				t.Errorf("%s: %d bytes: %s", kind, n, resp.Status)
			}
			holds(t, c, bucket, "k", body)
		}
		made, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: aws.String("parts")})
		if err != nil {
			t.Fatal(err)
		}
		body := suite.Data(5<<20, 1)
		nobody := cl.Client(once, func(o *s3.Options) { o.Credentials = aws.AnonymousCredentials{} })
		part, err := nobody.UploadPart(ctx, &s3.UploadPartInput{Bucket: &bucket, Key: aws.String("parts"), UploadId: made.UploadId, PartNumber: aws.Int32(1), Body: bytes.NewReader(body)})
		if kind == servers.RGW && code(err) == "AccessDenied" {
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		complete(t, c, &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: aws.String("parts"), UploadId: made.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{ETag: part.ETag, PartNumber: aws.Int32(1)}}}})
		holds(t, c, bucket, "parts", body)
	}
}

// Copies that fail do so for the reason that the bare store gives, whichever side it is on, as far as it tells one.
func TestCopiesThatTheStoreRefuses(t *testing.T) {
	store, ctx, user := servers.MustShared(t, servers.Versity), context.Background(), unique("user")
	program, err := servers.VersityProgram()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "admin", "-a", store.AccessKey, "-s", store.SecretKey, "-er", store.Endpoint, "create-user",
		"-a", user, "-s", user+"-secret-0123456789", "-r", "userplus")
	cmd.Env = servers.CleanEnv()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cl := s3veil.MustStart(t, s3veil.Options{Store: store, AccessKey: store.AccessKey, SecretKey: store.SecretKey, Configure: byClients(store, user)})
	root := cl.Client()
	theirs := create(t, root, unique("theirs"))
	put(t, root, theirs, "secret", []byte("x"))
	as := func(endpoint string) *s3.Client {
		return servers.NewClient(endpoint, user, user+"-secret-0123456789", once)
	}
	mine := create(t, as(cl.Endpoint()), unique("mine"))
	put(t, as(cl.Endpoint()), mine, "there", []byte("x"))
	for _, target := range []string{mine, theirs, "no-" + mine} {
		for _, source := range []string{mine + "/none", mine + "/there", theirs + "/secret", theirs + "/none", "no-" + mine + "/there"} {
			ask := func(endpoint string) string {
				_, err := as(endpoint).CopyObject(ctx, &s3.CopyObjectInput{Bucket: &target, Key: aws.String("copy"), CopySource: &source})
				return code(err)
			}
			through, bare := ask(cl.Endpoint()), ask(store.Endpoint)
			if through != bare {
				t.Errorf("%s to %s: %q, the bare store says %q", source, target, through, bare)
			}
		}
	}
}

// Errors about versions that cannot be shown are the store's, and lists name the checksums of versions that HEAD does not find.
func TestVersionsThatTheStoreDoesNotShow(t *testing.T) {
	store, ctx := servers.MustShared(t, servers.Versity), context.Background()
	cl := cluster(t, func(config map[string]any) { config["buckets"].([]any)[0].(map[string]any)["listing"] = "exact" })
	c := cl.Client(once)
	bucket, key := create(t, c, unique("v")), aws.String("k")
	version := func(status types.BucketVersioningStatus) {
		_, err := c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: status}})
		if err != nil {
			t.Fatal(err)
		}
	}
	version(types.BucketVersioningStatusEnabled)
	put(t, c, bucket, *key, []byte("old"))
	version(types.BucketVersioningStatusSuspended)
	put(t, c, bucket, *key, []byte("of no name"))
	list, err := c.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &bucket})
	if err != nil || len(list.Versions) != 2 {
		t.Fatalf("%+v %v", list, err)
	}
	for _, v := range list.Versions {
		if len(v.ChecksumAlgorithm) != 1 || v.ChecksumType == "" {
			t.Errorf("version %s: %v %s", aws.ToString(v.VersionId), v.ChecksumAlgorithm, v.ChecksumType)
		}
	}
	version(types.BucketVersioningStatusEnabled)
	gone, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	for what, id := range map[string]*string{"delete marker": gone.VersionId, "latest": nil, "no version": aws.String("01KAHE5YK0C7MDAQTCVV6S37WH")} {
		ask := func(c *s3.Client) string {
			_, err := c.GetObjectAttributes(ctx, &s3.GetObjectAttributesInput{Bucket: &bucket, Key: key, VersionId: id, ObjectAttributes: []types.ObjectAttributes{"ETag"}})
			return code(err)
		}
		if through, bare := ask(c), ask(store.Client()); through != bare || through == "" || strings.Contains(through, " ") {
			t.Errorf("%s: %q, the bare store says %q", what, through, bare)
		}
	}
}
