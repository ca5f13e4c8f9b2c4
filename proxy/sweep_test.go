package proxy

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"s3veil/proxy/proxytest"
)

// litter puts n objects of s3veil's own into a bucket of the store.
func (r *settingRig) litter(bucket string, n int) {
	for i := range n {
		r.store.Put(bucket, fmt.Sprintf(".s3veil/m/%032x", i), proxytest.Object{Data: []byte("m")})
	}
}

// sweptNothing checks that no litter has been removed, not even for a moment.
func (r *settingRig) sweptNothing(t *testing.T) {
	t.Helper()
	for _, c := range r.store.Calls("DeleteObject") {
		if strings.HasPrefix(c.Key, ".s3veil/m/00000000000000") {
			t.Errorf("%s was removed", c.Key)
		}
	}
}

// DeleteBucket of a bucket that is not empty removes nothing, however many manifests stand in front of its objects.
func TestDeleteBucketKeepsTheManifestsOfObjects(t *testing.T) {
	for _, key := range []string{"zebra", "~", "-", ".s3veil0"} {
		r := newSettingRig(t, nil)
		r.litter("data", 1500)
		r.must("PUT", "/data/"+key, []byte("hello"))
		if got := r.code("DELETE", "/data", nil); got != "409 BucketNotEmpty" {
			t.Errorf("%s: %s", key, got)
		}
		if n := len(r.store.Keys("data")); n != 1501 {
			t.Errorf("%s: %d objects are left", key, n)
		}
		if _, got := r.must("GET", "/data/"+key, nil); !bytes.Equal(got, []byte("hello")) {
			t.Errorf("%s: %q", key, got)
		}
	}
	r := newSettingRig(t, nil)
	r.litter("data", 1500)
	if got := r.code("DELETE", "/data", nil); got != "204" {
		t.Errorf("a bucket that its client sees empty: %s", got)
	}
}

// A bucket that keeps the manifests of other buckets is not empty, though no client sees anything in it.
func TestDeleteBucketKeepsTheManifestsOfOtherBuckets(t *testing.T) {
	r := newSettingRig(t, func(set *Settings) { set.Buckets[0].ReservedBucket = "meta" })
	r.must("PUT", "/meta", nil)
	r.litter("meta", 3)
	if got := r.code("DELETE", "/meta", nil); got != "409 BucketNotEmpty" {
		t.Errorf("%s", got)
	}
	if n := len(r.store.Keys("meta")); n != 3 {
		t.Errorf("%d manifests are left", n)
	}
}

// A rule may name its only bucket as the one of its manifests.
func TestDeleteBucketOfARuleThatNamesItsOwnBucket(t *testing.T) {
	r := newSettingRig(t, func(set *Settings) {
		set.Buckets = append([]Bucket{{Name: "data", Key: "main", ReservedBucket: "data"}}, set.Buckets...)
	})
	r.litter("data", 3)
	if got := r.code("DELETE", "/data", nil); got != "204" {
		t.Errorf("%s", got)
	}
}

// startUpload starts an upload of data/k with one part and returns its id and the document that completes it.
func (r *settingRig) startUpload() (id, list string) {
	_, doc := r.must("POST", "/data/k?uploads=", nil)
	var made struct{ UploadId string }
	if err := xml.Unmarshal(doc, &made); err != nil {
		r.t.Fatal(err)
	}
	resp, _ := r.must("PUT", "/data/k?partNumber=1&uploadId="+made.UploadId, []byte("part"))
	return made.UploadId, "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + resp.Header.Get("Etag") + "</ETag></Part></CompleteMultipartUpload>"
}

// Open uploads end with their bucket, as on S3.
func TestDeleteBucketEndsOpenUploads(t *testing.T) {
	r := newSettingRig(t, nil)
	r.litter("data", 3)
	id, list := r.startUpload()
	r.startUpload()
	if got := r.code("DELETE", "/data", nil); got != "204" {
		t.Errorf("%s", got)
	}
	r.must("PUT", "/data", nil)
	if got := r.code("POST", "/data/k?uploadId="+id, []byte(list)); got != "404 NoSuchUpload" {
		t.Errorf("a Complete afterwards: %s", got)
	}
}

// The uploads of a bucket that is not empty go on, and so do those of one that is not kept by anything of s3veil's.
func TestDeleteBucketKeepsTheUploadsOfABucketThatStays(t *testing.T) {
	r := newSettingRig(t, nil)
	r.litter("data", 1500)
	r.must("PUT", "/data/zebra", []byte("hello"))
	id, list := r.startUpload()
	if got := r.code("DELETE", "/data", nil); got != "409 BucketNotEmpty" {
		t.Errorf("%s", got)
	}
	r.must("POST", "/data/k?uploadId="+id, []byte(list))
	if _, got := r.must("GET", "/data/k", nil); string(got) != "part" {
		t.Errorf("%q", got)
	}
	r = newSettingRig(t, nil)
	r.startUpload()
	remove := r.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op != "DeleteBucket" {
			return nil
		}
		return &proxytest.Answer{Status: 409, Body: []byte("<Error><Code>BucketNotEmpty</Code></Error>")}
	}})
	defer remove()
	if got := r.code("DELETE", "/data", nil); got != "409 BucketNotEmpty" || r.store.Uploads("data") != 1 {
		t.Errorf("a store that keeps buckets for their uploads: %s, %d uploads", got, r.store.Uploads("data"))
	}
}

// An upload that is completed just before it would have been aborted is an object, whose manifest stays.
func TestDeleteBucketLosesAgainstACompleteThatCameFirst(t *testing.T) {
	r := newSettingRig(t, nil)
	r.litter("data", 1500)
	id, list := r.startUpload()
	var once sync.Once
	remove := r.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op == "AbortMultipartUpload" {
			once.Do(func() { r.must("POST", "/data/k?uploadId="+id, []byte(list)) })
		}
		return nil
	}})
	defer remove()
	if got := r.code("DELETE", "/data", nil); got != "409 BucketNotEmpty" {
		t.Errorf("%s", got)
	}
	r.s.caches.manifests.Purge()
	if _, got := r.must("GET", "/data/k", nil); string(got) != "part" {
		t.Errorf("%q", got)
	}
	if n := len(r.store.Keys("data")); n < 1502 {
		t.Errorf("%d objects are left", n)
	}
	r.sweptNothing(t)
}

// Nor is anything removed beside an upload that has begun since the open ones were aborted.
func TestDeleteBucketRemovesNothingBesideAnOpenUpload(t *testing.T) {
	r := newSettingRig(t, nil)
	r.litter("data", 10)
	var looks atomic.Int32
	remove := r.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op == "ListMultipartUploads" && looks.Add(1) == 2 {
			r.startUpload()
		}
		return nil
	}})
	defer remove()
	if got := r.code("DELETE", "/data", nil); got != "409 BucketNotEmpty" {
		t.Errorf("%s", got)
	}
	r.sweptNothing(t)
}

// An upload that begins while the pages are removed, or ends between two looks, is an object whose manifest stays; one that is
// open by then keeps the bucket.
func TestDeleteBucketLosesAgainstUploadsThatComeMeanwhile(t *testing.T) {
	for name, at := range map[string]struct {
		op    string
		nth   int32 // the request in front of which it happens
		begun bool  // before the DeleteBucket
		ends  bool  // then, else afterwards
	}{
		"begun and completed between two pages":                  {"DeleteObject", 1000, false, true},
		"completed between the looks at keys and at uploads":     {"ListMultipartUploads", 1, true, true},
		"begun and completed after the last look at the uploads": {"ListObjectVersions", 3, false, true},
		"begun after the last look at the uploads":               {"ListObjectVersions", 3, false, false},
	} {
		r := newSettingRig(t, nil)
		for i := range 2100 { // behind most manifests, on three pages
			r.store.Put("data", fmt.Sprintf(".s3veil/m/ffffffff%024x", i), proxytest.Object{Data: []byte("m")})
		}
		var id, list string
		if at.begun {
			id, list = r.startUpload()
		}
		end := func() { r.must("POST", "/data/k?uploadId="+id, []byte(list)) }
		var seen atomic.Int32
		remove := r.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
			if c.Op == at.op && seen.Add(1) == at.nth {
				if !at.begun {
					id, list = r.startUpload()
				}
				if at.ends {
					end()
				}
			}
			return nil
		}})
		if got := r.code("DELETE", "/data", nil); got != "409 BucketNotEmpty" {
			t.Errorf("%s: %s", name, got)
			remove()
			continue
		}
		remove()
		if !at.ends {
			end()
		}
		r.s.caches.manifests.Purge()
		if resp, got := r.do("GET", "/data/k", nil); resp.StatusCode != 200 || string(got) != "part" {
			t.Errorf("%s: the object reads %d %q", name, resp.StatusCode, got)
		}
	}
}

// A DeleteBucket that comes while the store copies a multipart object does not cost the copy its manifest.
func TestDeleteBucketDuringACopyLeavesAManifest(t *testing.T) {
	r := newSettingRig(t, func(set *Settings) { set.Buckets[0].Realm = "shared" }) // buckets between which envelopes are resealed
	r.must("PUT", "/other", nil)
	id, list := r.startUpload()
	r.must("POST", "/data/k?uploadId="+id, []byte(list))
	var once sync.Once
	remove := r.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		switch c.Op {
		case "CopyObject":
			once.Do(func() { r.code("DELETE", "/other", nil) })
		case "DeleteBucket": // which the end of the copy comes before
			return &proxytest.Answer{Status: 409, Body: []byte("<Error><Code>BucketNotEmpty</Code></Error>")}
		}
		return nil
	}})
	r.must("PUT", "/other/copy", nil, "x-amz-copy-source", "/data/k")
	remove()
	r.s.caches.manifests.Purge()
	if resp, got := r.do("GET", "/other/copy", nil); resp.StatusCode != 200 || string(got) != "part" {
		t.Errorf("%d %q", resp.StatusCode, got)
	}
}

// TestDeleteBucketWhereTheNullVersionHasNoName: versitygw without versions lists its objects as null versions, and deletes none of that id.
func TestDeleteBucketWhereTheNullVersionHasNoName(t *testing.T) {
	r := newSettingRig(t, nil)
	r.litter("data", 3)
	defer r.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op != "DeleteObject" || c.Query.Get("versionId") != "null" {
			return nil
		}
		return &proxytest.Answer{Status: 400, Header: http.Header{}, Body: []byte("<Error><Code>InvalidArgument</Code></Error>")}
	}, After: func(c *proxytest.Call, a *proxytest.Answer) {
		if c.Op == "ListObjectVersions" {
			a.Body = bytes.ReplaceAll(a.Body, []byte("</Key>"), []byte("</Key><VersionId>null</VersionId>"))
		}
	}})()
	if got := r.code("DELETE", "/data", nil); got != "204" || len(r.store.Calls("DeleteObject")) != 6 {
		t.Errorf("%s, %d deletions", got, len(r.store.Calls("DeleteObject")))
	}
}

// A copy becomes visible, and looks at its manifest for the last time, between a DeleteBucket's last look at the bucket and its removal
// of that manifest: it goes back, with its hint, and the bucket stays.
func TestDeleteBucketPutsManifestsOfCopiesBack(t *testing.T) {
	r := newSettingRig(t, func(set *Settings) { set.Buckets[0].Realm = "shared" }) // buckets between which envelopes are resealed
	r.must("PUT", "/other", nil)
	id, list := r.startUpload()
	r.must("POST", "/data/k?uploadId="+id, []byte(list))
	removing, copied, deleted := make(chan struct{}), make(chan struct{}), make(chan string, 1)
	var begin, remove sync.Once
	manifests := func() (found []proxytest.Object) {
		for _, key := range r.store.Keys("other") {
			if o, ok := r.store.Get("other", key); ok && strings.HasPrefix(key, ".s3veil/m/") {
				found = append(found, *o)
			}
		}
		return found
	}
	var before []proxytest.Object
	unhook := r.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		switch {
		case c.Op == "CopyObject":
			begin.Do(func() {
				before = manifests()
				go func() { deleted <- r.code("DELETE", "/other", nil) }()
				<-removing
			})
		case c.Op == "DeleteObject" && strings.HasPrefix(c.Key, ".s3veil/m/"):
			remove.Do(func() {
				close(removing)
				<-copied
			})
		}
		return nil
	}})
	r.must("PUT", "/other/copy", nil, "x-amz-copy-source", "/data/k")
	close(copied)
	if got := <-deleted; got != "409 BucketNotEmpty" {
		t.Errorf("DeleteBucket: %s", got)
	}
	unhook()
	r.s.caches.manifests.Purge()
	if resp, got := r.do("GET", "/other/copy", nil); resp.StatusCode != 200 || string(got) != "part" {
		t.Errorf("%d %q", resp.StatusCode, got)
	}
	after := manifests()
	if len(before) != 1 || len(after) != 1 || !bytes.Equal(before[0].Data, after[0].Data) || before[0].Header["x-amz-meta-s3veil-for"] == "" ||
		before[0].Header["x-amz-meta-s3veil-for"] != after[0].Header["x-amz-meta-s3veil-for"] {
		t.Errorf("manifests: %+v, then %+v", before, after)
	}
}

// What cannot be removed to the end goes back, too, and what a sweep removes for good is gone.
func TestInterruptedSweepsPutManifestsBack(t *testing.T) {
	r := newSettingRig(t, nil)
	r.litter("data", 250)
	n := 0
	unhook := r.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op != "DeleteObject" {
			return nil
		}
		if n++; n > 130 {
			return &proxytest.Answer{Status: 403, Body: []byte("<Error><Code>AccessDenied</Code></Error>")}
		}
		return nil
	}})
	if got := r.code("DELETE", "/data", nil); got != "403 AccessDenied" {
		t.Errorf("%s", got)
	}
	unhook()
	if n := len(r.store.Keys("data")); n != 150 {
		t.Errorf("%d are left", n)
	}
	if got := r.code("DELETE", "/data", nil); got != "204" {
		t.Errorf("%s", got)
	}
}
