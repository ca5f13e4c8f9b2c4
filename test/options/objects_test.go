package options

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3veil/test/suite"
)

// State objects last as long as their upload.
func TestUploadIDsInState(t *testing.T) {
	bucket, ctx := unique("s"), context.Background()
	cl := cluster(t, rules(map[string]any{"name": bucket, "upload_id": "state"}))
	c, store := cl.Client(), cl.Store.Client()
	create(t, c, bucket)
	reserved := func() []string {
		return slices.DeleteFunc(keys(t, store, bucket), func(k string) bool { return !strings.HasPrefix(k, ".s3veil/") })
	}
	parts := twoParts()
	dropped := upload(t, c, bucket, "dropped", parts...)
	if len(reserved()) == 0 {
		t.Fatal("no state object")
	}
	// The id that the list shows serves for everything else.
	list, err := c.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &bucket})
	if err != nil || len(list.Uploads) != 1 || aws.ToString(list.Uploads[0].Key) != "dropped" {
		t.Fatalf("uploads %+v, %v", list, err)
	}
	id := list.Uploads[0].UploadId
	got, err := c.ListParts(ctx, &s3.ListPartsInput{Bucket: &bucket, Key: dropped.Key, UploadId: id})
	if err != nil || len(got.Parts) != 2 || aws.ToInt64(got.Parts[0].Size) != int64(len(parts[0])) {
		t.Errorf("parts %+v, %v", got, err)
	}
	_, err = c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &bucket, Key: dropped.Key, UploadId: id})
	if err != nil {
		t.Fatal(err)
	}
	if left := reserved(); len(left) != 0 {
		t.Errorf("left after Abort: %v", left)
	}
	kept := upload(t, c, bucket, "kept", parts...)
	state := reserved()
	complete(t, c, kept)
	holds(t, c, bucket, "kept", bytes.Join(parts, nil))
	for _, k := range reserved() {
		if slices.Contains(state, k) {
			t.Errorf("left after Complete: %s", k)
		}
	}
}

// A store that puts the first body of a part back in place of the second, which was completed, shows an old state that
// opens by itself: the random value in the manifest tells them apart, and nothing else does.
func TestRecordedNoncesRefuseExchangedParts(t *testing.T) {
	for _, record := range []bool{true, false} {
		t.Run(fmt.Sprintf("record_nonce=%t", record), func(t *testing.T) {
			bucket, ctx := unique("n"), context.Background()
			cl := cluster(t, rules(map[string]any{"name": bucket, "manifest": map[string]any{"record_nonce": record}}))
			c := cl.Client()
			create(t, c, bucket)
			parts := twoParts()
			done := upload(t, c, bucket, "k", parts...)
			files, err := filepath.Glob(filepath.Join(cl.Store.Dir, "data", bucket, ".sgwtmp", "multipart", "*", "*", "1"))
			if err != nil || len(files) != 1 {
				t.Fatalf("parts %v, %v", files, err)
			}
			old, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			second := suite.Data(len(parts[0]), 9)
			out, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: &bucket, Key: done.Key, UploadId: done.UploadId,
				PartNumber: aws.Int32(1), Body: bytes.NewReader(second)})
			if err != nil {
				t.Fatal(err)
			}
			done.MultipartUpload.Parts[0].ETag = out.ETag
			complete(t, c, done)
			holds(t, c, bucket, "k", append(second, parts[1]...))
			f, err := os.OpenFile(filepath.Join(cl.Store.Dir, "data", bucket, "k"), os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt(old, 0); err != nil {
				t.Fatal(err)
			}
			if got, err := get(c, bucket, "k"); record == (err == nil) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

// While a bucket is migrated, plaintext and encrypted objects stand side by side.
func TestPlaintextIsAllowed(t *testing.T) {
	bucket, strict, ctx := unique("p"), unique("q"), context.Background()
	cl := cluster(t, rules(map[string]any{"name": bucket, "plaintext": "allow"}))
	c, store := cl.Client(), cl.Store.Client()
	create(t, c, bucket)
	create(t, c, strict)
	plain, sealed := suite.Data(200_000, 5), suite.Data(100_000, 6)
	etag := put(t, store, bucket, "plain", plain).ETag
	put(t, c, bucket, "sealed", sealed)
	want := map[string]int64{"plain": int64(len(plain)), "sealed": int64(len(sealed))}
	list, err := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int64{}
	for _, o := range list.Contents {
		sizes[*o.Key] = aws.ToInt64(o.Size)
		head, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: o.Key})
		if err != nil {
			t.Fatal(err)
		}
		if aws.ToString(head.ETag) != aws.ToString(o.ETag) || aws.ToInt64(head.ContentLength) != sizes[*o.Key] {
			t.Errorf("%s: HEAD %s, %d; listing %s, %d", *o.Key, *head.ETag, *head.ContentLength, *o.ETag, *o.Size)
		}
		if *o.Key == "plain" && strings.Trim(*o.ETag, `"`) != strings.Trim(*etag, `"`) {
			t.Errorf("plaintext has the ETag %s, the store's is %s", *o.ETag, *etag)
		}
	}
	if !maps.Equal(sizes, want) {
		t.Errorf("sizes %v", sizes)
	}
	holds(t, c, bucket, "plain", plain)
	part, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("plain"), Range: aws.String("bytes=10-19")})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(part.Body); err != nil || !bytes.Equal(b.Bytes(), plain[10:20]) {
		t.Errorf("range: %d bytes, %v", b.Len(), err)
	}
	part.Body.Close()
	copyTo(t, c, bucket+"/plain", strict, "copy")
	holds(t, c, strict, "copy", plain)
	if raw, err := get(store, strict, "copy"); err != nil || bytes.Contains(raw, plain[:64]) {
		t.Errorf("the copy is plaintext at the store (%v)", err)
	}
	put(t, store, strict, "plain", plain)
	if _, err := get(c, strict, "plain"); err == nil {
		t.Error("plaintext is served where it is not allowed")
	}
}

// An id is a token while it is short; a long one, here for its encryption context, is a state object, unless tokens are demanded.
func TestFormsOfUploadIDs(t *testing.T) {
	long := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"why": %q}`, strings.Repeat("long ", 100)))
	for _, v := range []struct {
		form, context string
		state         bool
	}{{"auto", "", false}, {"auto", long, true}, {"token", "", false}, {"token", long, false}, {"state", "", true}} {
		t.Run(fmt.Sprintf("%s, %d", v.form, len(v.context)), func(t *testing.T) {
			bucket, ctx, parts := unique("t"), context.Background(), twoParts()
			cl := cluster(t, rules(map[string]any{"name": bucket, "upload_id": v.form}))
			c, store := cl.Client(), cl.Store.Client()
			create(t, c, bucket)
			in := &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: aws.String("k")}
			if v.context != "" {
				in.ServerSideEncryption, in.SSEKMSEncryptionContext = types.ServerSideEncryptionAwsKms, &v.context
			}
			u, err := c.CreateMultipartUpload(ctx, in)
			if err != nil {
				t.Fatal(err)
			}
			held := keys(t, store, bucket)
			if got := len(held) > 0; got != v.state {
				t.Errorf("the bucket holds %q", held)
			}
			if n := len(*u.UploadId); v.state && n > 200 || !v.state && (n > 1000) != (v.context != "") {
				t.Errorf("an id of %d characters", n)
			}
			done := &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: u.Key, UploadId: u.UploadId, MultipartUpload: &types.CompletedMultipartUpload{}}
			for i, body := range parts {
				n := aws.Int32(int32(i + 1))
				p, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: &bucket, Key: u.Key, UploadId: u.UploadId, PartNumber: n, Body: bytes.NewReader(body)})
				if err != nil {
					t.Fatal(err)
				}
				done.MultipartUpload.Parts = append(done.MultipartUpload.Parts, completed(n, p.ETag))
			}
			for what, other := range map[string]string{"another key": "other", "a changed id": "k"} {
				id := *u.UploadId
				if other == "k" {
					id = id[:len(id)-1] + string(id[len(id)-1]^1)
				}
				_, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: &bucket, Key: &other, UploadId: &id, PartNumber: aws.Int32(1), Body: bytes.NewReader(parts[1])})
				if code(err) != "NoSuchUpload" {
					t.Errorf("%s: %v", what, err)
				}
			}
			complete(t, c, done)
			holds(t, c, bucket, "k", bytes.Join(parts, nil))
		})
	}
}

// What an object is bound to decides where a copy made behind s3veil opens.
func TestBindings(t *testing.T) {
	for name, opens := range map[string]struct{ key, bucket bool }{"key": {}, "bucket": {key: true}, "none": {key: true, bucket: true}} {
		t.Run(name, func(t *testing.T) {
			bucket, other, foreign := unique("b"), unique("b"), unique("b")
			binding := map[string]any{"write": name, "read": []string{name}}
			cl := cluster(t, rules(
				map[string]any{"name": bucket, "binding": binding, "realm": "shared"}, map[string]any{"name": other, "binding": binding, "realm": "shared"},
				map[string]any{"name": foreign, "binding": binding}))
			c, store := cl.Client(), cl.Store.Client()
			for _, b := range []string{bucket, other, foreign} {
				create(t, c, b)
			}
			body, parts := suite.Data(100_000, 1), twoParts()
			put(t, c, bucket, "k", body)
			moved := func(to, key string) bool {
				copyTo(t, store, bucket+"/k", to, key)
				got, err := get(c, to, key)
				if err == nil && !bytes.Equal(got, body) {
					t.Errorf("%s/%s: other bytes", to, key)
				}
				return err == nil
			}
			if got := moved(bucket, "moved"); got != opens.key {
				t.Errorf("the copy under another key opens: %t", got)
			}
			if got := moved(other, "k"); got != opens.bucket {
				t.Errorf("the copy in another bucket of the realm opens: %t", got)
			}
			if moved(foreign, "k") {
				t.Error("the copy in another realm opens")
			}
			// Through s3veil a copy opens under every binding.
			complete(t, c, upload(t, c, bucket, "multi", parts...))
			for _, to := range []string{bucket, other, foreign} {
				copyTo(t, c, bucket+"/k", to, "copied")
				holds(t, c, to, "copied", body)
				copyTo(t, c, bucket+"/multi", to, "multi copied")
				holds(t, c, to, "multi copied", bytes.Join(parts, nil))
			}
		})
	}
}

// An object is served until it is older than max_age.
func TestMaxAge(t *testing.T) {
	bucket := unique("a")
	c := cluster(t, rules(map[string]any{"name": bucket, "max_age": "1s"})).Client()
	create(t, c, bucket)
	put(t, c, bucket, "k", []byte("x"))
	eventually(t, "an old object is refused", func() bool { _, err := get(c, bucket, "k"); return err != nil })
	put(t, c, bucket, "k", []byte("y"))
	holds(t, c, bucket, "k", []byte("y"))
}

// With metadata.check: fail what the store changes in user metadata makes the object unreadable; else it is served.
func TestMetadataCheck(t *testing.T) {
	bucket, lenient, ctx := unique("c"), unique("d"), context.Background()
	cl := cluster(t, rules(map[string]any{"name": bucket, "metadata": map[string]any{"check": "fail"}}))
	c, store := cl.Client(), cl.Store.Client()
	for name, served := range map[string]bool{bucket: false, lenient: true} {
		create(t, c, name)
		put(t, c, name, "k", []byte("body"))
		holds(t, c, name, "k", []byte("body"))
		head, err := store.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &name, Key: aws.String("k")})
		if err != nil || head.Metadata["color"] != "blue" {
			t.Fatalf("metadata %v, %v", head, err)
		}
		head.Metadata["color"] = "red"
		_, err = store.CopyObject(ctx, &s3.CopyObjectInput{Bucket: &name, Key: aws.String("k"), CopySource: aws.String(name + "/k"),
			MetadataDirective: types.MetadataDirectiveReplace, Metadata: head.Metadata})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := get(c, name, "k"); served != (err == nil) {
			t.Errorf("served must be %t: %v", served, err)
		}
	}
}

// Objects of either suite stay readable whichever one is written.
func TestChaChaSuite(t *testing.T) {
	bucket := unique("e")
	cl := cluster(t, func(config map[string]any) { config["format"] = map[string]any{"write": 2} })
	c := cl.Client()
	create(t, c, bucket)
	body, parts := suite.Data(200_000, 1), twoParts()
	put(t, c, bucket, "k", body)
	holds(t, c, bucket, "k", body)
	complete(t, c, upload(t, c, bucket, "multi", parts...))
	holds(t, c, bucket, "multi", bytes.Join(parts, nil))
	raw, err := get(cl.Store.Client(), bucket, "k")
	if err != nil || len(raw) < 2 || raw[1] != 1 {
		t.Errorf("the package header names suite %v, %v", raw[:min(len(raw), 4)], err)
	}
}
