package suite

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"s3veil/test/s3veil"
	"s3veil/test/servers"
)

// settingCases are about what a client says of an object beside its bytes. Stores differ in what they make of it: whatever
// the bare store answers, s3veil must answer.
var settingCases = []Case{
	{"Setting_website_redirect_location", asBare(websiteRedirect)},
	{"Setting_storage_classes", asBare(storageClasses)},
	{"Setting_restore", asBare(restore)},
	{"Setting_ACL_canned_and_granted", asBare(grants)},
	{"Setting_ACL_of_objects_read_and_written", asBare(objectACL)},
	{"Setting_bucket_owner_that_is_another", asBare(otherOwner)},
	{"Setting_object_lock_without_a_lock", asBare(lockHeaders)},
	{"Setting_dates_in_conditions", asBare(conditionDates)},
}

// asked is one client at work in a bucket of its own. It notes what it sees, line by line.
type asked struct {
	*Env
	seen strings.Builder
}

// asBare makes a case of a scene that has to look the same at the target as at the bare store under it.
func asBare(scene func(a *asked)) func(e *Env) {
	return func(e *Env) {
		store := e.Target.Store.Client()
		bare := &asked{Env: &Env{T: e.T, Target: s3veil.Bare(e.Target.Store), C: store, Bucket: servers.NewBucket(e, store), Ctx: e.Ctx}}
		here := &asked{Env: e}
		scene(bare)
		scene(here)
		if got, want := here.seen.String(), bare.seen.String(); got != want {
			e.Errorf("here:\n%s\nat the bare store:\n%s", got, want)
		}
	}
}

// note adds a line: what, and the code of an error or the value.
func (a *asked) note(what string, err error, value any) bool {
	var api smithy.APIError
	var re *awshttp.ResponseError
	switch {
	case err == nil:
		fmt.Fprintf(&a.seen, "%s: %v\n", what, value)
	case errors.As(err, &re) && errors.As(err, &api):
		fmt.Fprintf(&a.seen, "%s: %d %s\n", what, re.HTTPStatusCode(), api.ErrorCode())
	default:
		a.Fatalf("%s: %v", what, err)
	}
	return err == nil
}

// status is note without the code: a store that answers before it has read the body may lose its answer's.
func (a *asked) status(what string, err error) bool {
	var re *awshttp.ResponseError
	if errors.As(err, &re) {
		return a.note(what, nil, re.HTTPStatusCode()) && false
	}
	return a.note(what, err, "ok")
}

// make writes an object in each way there is, with more said of it, and notes the outcome. It returns the keys written.
func (a *asked) make(of string, put func(*s3.PutObjectInput), start func(*s3.CreateMultipartUploadInput), copy func(*s3.CopyObjectInput)) []string {
	var keys []string
	done := func(key string, err error) {
		if a.status("make "+key, err) {
			keys = append(keys, key)
		}
	}
	in := &s3.PutObjectInput{Bucket: &a.Bucket, Key: aws.String("put" + of), Body: reader(Data(1000, 1))}
	put(in)
	_, err := a.C.PutObject(a.Ctx, in, noRetry)
	done("put"+of, err)
	create := &s3.CreateMultipartUploadInput{Bucket: &a.Bucket, Key: aws.String("mp" + of)}
	start(create)
	up, err := a.C.CreateMultipartUpload(a.Ctx, create, noRetry)
	if err == nil {
		var part *s3.UploadPartOutput
		part, err = a.C.UploadPart(a.Ctx, &s3.UploadPartInput{Bucket: &a.Bucket, Key: create.Key, UploadId: up.UploadId, PartNumber: aws.Int32(1), Body: reader(Data(70_000, 2))})
		a.Ok(err)
		_, err = a.C.CompleteMultipartUpload(a.Ctx, &s3.CompleteMultipartUploadInput{Bucket: &a.Bucket, Key: create.Key, UploadId: up.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: part.ETag}}}})
	}
	done("mp"+of, err)
	_, err = a.C.PutObject(a.Ctx, &s3.PutObjectInput{Bucket: &a.Bucket, Key: aws.String("plain"), Body: reader([]byte("source"))})
	a.Ok(err)
	cp := &s3.CopyObjectInput{Bucket: &a.Bucket, Key: aws.String("copy" + of), CopySource: aws.String(a.Bucket + "/plain")}
	copy(cp)
	_, err = a.C.CopyObject(a.Ctx, cp, noRetry)
	done("copy"+of, err)
	return keys
}

func websiteRedirect(a *asked) {
	to, kept := aws.String("/other/page.html"), ""
	for _, key := range a.make("", func(in *s3.PutObjectInput) { in.WebsiteRedirectLocation = to },
		func(in *s3.CreateMultipartUploadInput) { in.WebsiteRedirectLocation = to }, func(in *s3.CopyObjectInput) { in.WebsiteRedirectLocation = to }) {
		head, err := a.C.HeadObject(a.Ctx, &s3.HeadObjectInput{Bucket: &a.Bucket, Key: &key})
		a.Ok(err)
		get, err := a.C.GetObject(a.Ctx, &s3.GetObjectInput{Bucket: &a.Bucket, Key: &key})
		a.Ok(err)
		a.Ok(get.Body.Close())
		Equal(a.Env, "redirect of "+key+" in GET", str(get.WebsiteRedirectLocation), str(head.WebsiteRedirectLocation))
		if key == "copy" && a.Target.Encrypted { // Ceph RGW takes the redirect of a copy from its source
			Equal(a.Env, "redirect of "+key, str(head.WebsiteRedirectLocation), kept)
			continue
		}
		if key != "copy" {
			kept = str(head.WebsiteRedirectLocation)
			a.note("redirect of "+key, nil, kept)
		}
	}
	_, err := a.C.CopyObject(a.Ctx, &s3.CopyObjectInput{Bucket: &a.Bucket, Key: aws.String("again"), CopySource: aws.String(a.Bucket + "/put")})
	if a.note("copy", err, "made") && a.Target.Encrypted {
		head, err := a.C.HeadObject(a.Ctx, &s3.HeadObjectInput{Bucket: &a.Bucket, Key: aws.String("again")})
		a.Ok(err)
		Equal(a.Env, "redirect of a copy that says nothing", str(head.WebsiteRedirectLocation), "")
	}
}

func storageClasses(a *asked) {
	for _, class := range []types.StorageClass{"STANDARD", "STANDARD_IA", "GLACIER_IR", "REDUCED_REDUNDANCY", "NO_SUCH_CLASS"} {
		for _, key := range a.make("-"+string(class), func(in *s3.PutObjectInput) { in.StorageClass = class },
			func(in *s3.CreateMultipartUploadInput) { in.StorageClass = class }, func(in *s3.CopyObjectInput) { in.StorageClass = class }) {
			head, err := a.C.HeadObject(a.Ctx, &s3.HeadObjectInput{Bucket: &a.Bucket, Key: &key})
			a.Ok(err)
			a.note("HEAD of "+key, nil, head.StorageClass)
			attributes, err := a.C.GetObjectAttributes(a.Ctx, &s3.GetObjectAttributesInput{Bucket: &a.Bucket, Key: &key,
				ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesStorageClass}})
			if a.Target.Encrypted { // not every store has them
				a.Ok(err)
				want := head.StorageClass
				if want == "" {
					want = "STANDARD"
				}
				Equal(a.Env, "attributes of "+key, attributes.StorageClass, want)
			}
		}
	}
	list, err := a.C.ListObjectsV2(a.Ctx, &s3.ListObjectsV2Input{Bucket: &a.Bucket})
	a.Ok(err)
	for _, o := range list.Contents {
		a.note("list: "+str(o.Key), nil, o.StorageClass)
	}
}

func restore(a *asked) {
	a.make("", func(*s3.PutObjectInput) {}, func(*s3.CreateMultipartUploadInput) {}, func(*s3.CopyObjectInput) {})
	for _, key := range []string{"put", "mp", "missing"} {
		_, err := a.C.RestoreObject(a.Ctx, &s3.RestoreObjectInput{Bucket: &a.Bucket, Key: &key, RestoreRequest: &types.RestoreRequest{Days: aws.Int32(1),
			GlacierJobParameters: &types.GlacierJobParameters{Tier: types.TierStandard}}}, noRetry)
		a.status("restore "+key, err)
	}
	head, err := a.C.HeadObject(a.Ctx, &s3.HeadObjectInput{Bucket: &a.Bucket, Key: aws.String("put")})
	a.Ok(err)
	a.note("x-amz-restore", nil, str(head.Restore))
}

// grantList is an ACL as grantee and permission, without the account's own name.
func grantList(list []types.Grant) string {
	var b strings.Builder
	for _, g := range list {
		fmt.Fprintf(&b, "[%s %s %s]", g.Grantee.Type, str(g.Grantee.URI), g.Permission)
	}
	return b.String()
}

func grants(a *asked) {
	_, err := a.C.PutBucketOwnershipControls(a.Ctx, &s3.PutBucketOwnershipControlsInput{Bucket: &a.Bucket,
		OwnershipControls: &types.OwnershipControls{Rules: []types.OwnershipControlsRule{{ObjectOwnership: types.ObjectOwnershipBucketOwnerPreferred}}}}, noRetry)
	a.note("ownership", err, "set")
	everybody := aws.String(`uri="http://acs.amazonaws.com/groups/global/AllUsers"`)
	var keys []string
	for _, acl := range []types.ObjectCannedACL{"private", "public-read", "bucket-owner-full-control", "authenticated-read"} {
		keys = append(keys, a.make("-"+string(acl), func(in *s3.PutObjectInput) { in.ACL = acl }, func(in *s3.CreateMultipartUploadInput) { in.ACL = acl },
			func(in *s3.CopyObjectInput) { in.ACL = acl })...)
	}
	keys = append(keys, a.make("-granted", func(in *s3.PutObjectInput) { in.GrantRead, in.GrantReadACP = everybody, everybody },
		func(in *s3.CreateMultipartUploadInput) { in.GrantRead, in.GrantReadACP = everybody, everybody },
		func(in *s3.CopyObjectInput) { in.GrantRead, in.GrantReadACP = everybody, everybody })...)
	for _, key := range keys {
		acl, err := a.C.GetObjectAcl(a.Ctx, &s3.GetObjectAclInput{Bucket: &a.Bucket, Key: &key}, noRetry)
		if err != nil {
			a.note("ACL of "+key, err, nil)
			continue
		}
		a.note("ACL of "+key, nil, grantList(acl.Grants))
	}
}

func objectACL(a *asked) {
	a.make("", func(*s3.PutObjectInput) {}, func(*s3.CreateMultipartUploadInput) {}, func(*s3.CopyObjectInput) {})
	for _, in := range []*s3.PutObjectAclInput{{ACL: "public-read"}, {ACL: "private"}, {ACL: "nonsense"},
		{GrantRead: aws.String(`uri="http://acs.amazonaws.com/groups/global/AuthenticatedUsers"`)}} {
		in.Bucket, in.Key = &a.Bucket, aws.String("put")
		_, err := a.C.PutObjectAcl(a.Ctx, in, noRetry)
		a.note("PutObjectAcl "+string(in.ACL)+str(in.GrantRead), err, "set")
		out, err := a.C.GetObjectAcl(a.Ctx, &s3.GetObjectAclInput{Bucket: &a.Bucket, Key: in.Key}, noRetry)
		if err != nil {
			a.note("GetObjectAcl", err, nil)
			continue
		}
		a.note("GetObjectAcl", nil, grantList(out.Grants))
	}
	out, err := a.C.GetObject(a.Ctx, &s3.GetObjectInput{Bucket: &a.Bucket, Key: aws.String("put")})
	a.Ok(err)
	body := make([]byte, 1001)
	n, _ := readFull(out.Body, body)
	a.Ok(out.Body.Close())
	a.Same("the object after its ACL has changed", body[:n], Data(1000, 1))
}

func otherOwner(a *asked) {
	other := aws.String("999999999999")
	_, err := a.C.PutObject(a.Ctx, &s3.PutObjectInput{Bucket: &a.Bucket, Key: aws.String("k"), Body: reader([]byte("x"))})
	a.Ok(err)
	_, err = a.C.PutObject(a.Ctx, &s3.PutObjectInput{Bucket: &a.Bucket, Key: aws.String("k"), Body: reader([]byte("x")), ExpectedBucketOwner: other}, noRetry)
	a.note("PUT", err, "made")
	_, err = a.C.HeadObject(a.Ctx, &s3.HeadObjectInput{Bucket: &a.Bucket, Key: aws.String("k"), ExpectedBucketOwner: other}, noRetry)
	a.note("HEAD", err, "there")
	_, err = a.C.ListObjectsV2(a.Ctx, &s3.ListObjectsV2Input{Bucket: &a.Bucket, ExpectedBucketOwner: other}, noRetry)
	a.note("LIST", err, "listed")
	_, err = a.C.DeleteObject(a.Ctx, &s3.DeleteObjectInput{Bucket: &a.Bucket, Key: aws.String("other"), ExpectedBucketOwner: other}, noRetry)
	a.note("DELETE", err, "deleted")
	_, err = a.C.HeadBucket(a.Ctx, &s3.HeadBucketInput{Bucket: &a.Bucket, ExpectedBucketOwner: other}, noRetry)
	a.note("HEAD of the bucket", err, "there")
}

func lockHeaders(a *asked) {
	until := aws.Time(time.Now().AddDate(0, 0, 1))
	mode := types.ObjectLockModeGovernance
	a.make("", func(in *s3.PutObjectInput) { in.ObjectLockMode, in.ObjectLockRetainUntilDate = mode, until },
		func(in *s3.CreateMultipartUploadInput) { in.ObjectLockMode, in.ObjectLockRetainUntilDate = mode, until },
		func(in *s3.CopyObjectInput) { in.ObjectLockMode, in.ObjectLockRetainUntilDate = mode, until })
}

// conditionDates are dates in the forms of HTTP (RFC 9110 5.6.7), and in none.
func conditionDates(a *asked) {
	_, err := a.C.PutObject(a.Ctx, &s3.PutObjectInput{Bucket: &a.Bucket, Key: aws.String("k"), Body: reader(Data(1000, 1))})
	a.Ok(err)
	old, coming := time.Now().UTC().AddDate(-1, 0, 0), time.Now().UTC().AddDate(1, 0, 0)
	for _, name := range []string{"If-Modified-Since", "If-Unmodified-Since"} {
		for _, method := range []string{"GET", "HEAD"} {
			for _, layout := range []string{http.TimeFormat, "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC, time.RFC3339, "yesterday"} {
				for when, at := range []time.Time{old, coming} {
					r := a.request(method, "/"+a.Bucket+"/k", nil)
					r.header[name] = at.Format(layout)
					answer := a.do(r)
					a.note(fmt.Sprintf("%s %s %q %d", method, name, layout, when), nil, fmt.Sprint(answer.status, " ", answer.code))
				}
			}
		}
	}
}
