package proxy

import (
	"maps"
	"testing"
)

// What uploads cost at the store in state-object mode is what docs/OPERATIONS.md 12 says.
func TestWhatNotesCost(t *testing.T) {
	f := remembering(t)
	f.must("PUT", "/data/first", nil) // the store has been probed
	warm, tags := f.upload(partTwo)
	f.complete(warm, tags, 1)
	costs := func(what string, want map[string]int) {
		t.Helper()
		f.idle()
		got := map[string]int{}
		for _, c := range f.store.Calls() {
			got[c.Op]++
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
		f.store.Forget()
	}
	f.store.Forget()
	id, _ := f.upload()
	costs("Create", map[string]int{"CreateMultipartUpload": 1, "PutObject": 1})
	part := "/data/key?uploadId=" + id + "&partNumber="
	one, _ := f.must("PUT", part+"1", bigPart)
	costs("part", map[string]int{"UploadPart": 1, "GetObject": 1, "PutObject": 1})
	two, _ := f.must("PUT", part+"2", partTwo)
	f.store.Forget()
	f.listParts(id)
	costs("list of parts", map[string]int{"ListParts": 1, "GetObject": 2, "ListObjectsV2": 1})
	f.must("GET", "/data?uploads=", nil)
	costs("list of uploads", map[string]int{"ListMultipartUploads": 1, "HeadObject": 1})
	if resp, doc := f.complete(id, []string{one.Header.Get("ETag"), two.Header.Get("ETag")}, 1, 2); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, doc)
	}
	costs("Complete", map[string]int{"ListParts": 1, "CompleteMultipartUpload": 1, "HeadObject": 1, "PutObject": 1, // as with tokens: the manifest
		"GetObject": 2 /* state, manifest */, "ListObjectsV2": 1, "DeleteObject": 1, "ListObjectVersions": 1, "DeleteObjects": 1})
	id, _ = f.upload(partTwo, partThree)
	f.store.Forget()
	f.must("DELETE", "/data/key?uploadId="+id, nil)
	costs("Abort", map[string]int{"GetObject": 1, "AbortMultipartUpload": 1, "DeleteObject": 1, "ListObjectVersions": 1, "DeleteObjects": 1})
}
