package proxy

import (
	"bytes"
	"fmt"
	"testing"

	"s3veil/proxy/proxytest"
)

// litter puts n objects of s3veil's own into a bucket of the store.
func (r *settingRig) litter(bucket string, n int) {
	for i := range n {
		r.store.Put(bucket, fmt.Sprintf(".s3veil/m/%032x", i), proxytest.Object{Data: []byte("m")})
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
