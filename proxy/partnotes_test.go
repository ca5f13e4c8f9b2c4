package proxy

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"s3veil/proxy/proxytest"
	"s3veil/sigv4/checksum"
)

// remembering is a fixture whose bucket has upload_id: state.
func remembering(t *testing.T) *fixture {
	return newFixture(t, func(s *Settings, _ *Options) { s.Buckets[0].UploadID = UploadIDState })
}

func isNote(key string) bool {
	return strings.HasPrefix(key, ".s3veil/u/") && strings.Contains(key[10:], ".")
}

// notes are the names of all part notes in the store.
func (f *fixture) notes() []string {
	return slices.DeleteFunc(f.store.Keys("data"), func(k string) bool { return !isNote(k) })
}

func sumOf(a checksum.Algorithm, parts ...[]byte) string {
	h := a.New()
	for _, p := range parts {
		h.Write(p)
	}
	return checksum.Encode(h.Sum(nil))
}

// completeWith completes with a checksum element of the algorithm in each part whose value is not empty.
func (f *fixture) completeWith(id string, etags []string, a checksum.Algorithm, values []string, header ...string) (*http.Response, []byte) {
	f.t.Helper()
	var b strings.Builder
	b.WriteString("<CompleteMultipartUpload>")
	for i, tag := range etags {
		fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag>", i+1, strings.Trim(tag, `"`))
		if i < len(values) && values[i] != "" {
			fmt.Fprintf(&b, "<Checksum%[1]s>%[2]s</Checksum%[1]s>", a, values[i])
		}
		b.WriteString("</Part>")
	}
	b.WriteString("</CompleteMultipartUpload>")
	return f.do("POST", "/data/key?uploadId="+url.QueryEscape(id), []byte(b.String()), header...)
}

// sums asks a replica that has seen nothing for the object's checksum.
func (f *fixture) sums(a checksum.Algorithm) (value, kind string) {
	f.t.Helper()
	f.s.caches.manifests.Purge()
	resp, _ := f.must("HEAD", "/data/key", nil, "x-amz-checksum-mode", "ENABLED")
	return resp.Header.Get(a.Header()), resp.Header.Get("x-amz-checksum-type")
}

func (f *fixture) listParts(id string) string {
	f.t.Helper()
	_, doc := f.must("GET", "/data/key?uploadId="+url.QueryEscape(id), nil)
	return string(doc)
}

func code(doc []byte) string {
	m := regexp.MustCompile(`<Code>([^<]+)</Code>`).FindSubmatch(doc)
	if m == nil {
		return ""
	}
	return string(m[1])
}

func TestUploadsWithoutAlgorithmGetTheDefaultOfS3(t *testing.T) {
	f := remembering(t)
	id, etags := f.upload(bigPart, partTwo)
	doc := f.listParts(id)
	if strings.Contains(doc, "<ChecksumCRC") || !strings.Contains(doc, "<ChecksumAlgorithm>null</ChecksumAlgorithm>") || !strings.Contains(doc, "<ChecksumType>null</ChecksumType>") {
		t.Errorf("list of parts: %s", doc)
	}
	// What the head of this Complete says of the object is not looked at.
	resp, answer := f.completeWith(id, etags, 0, nil, "x-amz-checksum-crc64nvme", "vqf3hRLTlJw=")
	want := sumOf(checksum.CRC64NVME, bigPart, partTwo)
	if resp.StatusCode != 200 || !strings.Contains(string(answer), "<ChecksumCRC64NVME>"+want+"</ChecksumCRC64NVME>") || !strings.Contains(string(answer), "<ChecksumType>FULL_OBJECT</ChecksumType>") {
		t.Errorf("%d %s, want %s", resp.StatusCode, answer, want)
	}
	if got, kind := f.sums(checksum.CRC64NVME); got != want || kind != "FULL_OBJECT" {
		t.Errorf("HEAD says %q %q, want %q", got, kind, want)
	}
	if left := f.notes(); len(left) != 0 {
		t.Errorf("notes stay: %v", left)
	}
	f.reads(bigPart, partTwo)
}

func TestTokensCostAsManyRequestsAsEver(t *testing.T) {
	f := newFixture(t, nil)
	f.store.Forget()
	id, etags := f.upload(bigPart, partTwo)
	if resp, doc := f.complete(id, etags, 1, 2); resp.StatusCode != 200 || bytes.Contains(doc, []byte("Checksum")) {
		t.Fatalf("%d %s", resp.StatusCode, doc)
	}
	for _, c := range f.store.Calls() {
		if strings.Contains(c.Target, ".s3veil%2Fu") || strings.Contains(c.Target, ".s3veil/u") {
			t.Errorf("%s %s", c.Op, c.Target)
		}
	}
	if doc := f.listPartsOfNew(); strings.Contains(doc, "null") {
		t.Errorf("list of parts: %s", doc)
	}
}

func (f *fixture) listPartsOfNew() string {
	id, _ := f.upload(partTwo)
	return f.listParts(id)
}

func TestListedChecksumsAreComparedWithTheParts(t *testing.T) {
	wrong := sumOf(checksum.CRC32, []byte("other"))
	for name, c := range map[string]struct {
		declared, kind string // at Create
		sent           bool   // CRC32 with each part
		values         []string
		header         []string
		code           string
		kept           string // of the object, CRC32
	}{
		"right, composite":               {"CRC32", "COMPOSITE", true, []string{"1", "2"}, nil, "", "composite"},
		"wrong, composite":               {"CRC32", "COMPOSITE", true, []string{"1", wrong}, nil, "InvalidPart", ""},
		"missing, composite":             {"CRC32", "COMPOSITE", true, []string{"1"}, nil, "InvalidRequest", ""},
		"right, full":                    {"CRC32", "FULL_OBJECT", true, []string{"1", "2"}, nil, "", "full"},
		"wrong, full":                    {"CRC32", "FULL_OBJECT", true, []string{wrong, "2"}, nil, "InvalidPart", ""},
		"missing, full":                  {"CRC32", "FULL_OBJECT", true, nil, nil, "", "full"},
		"some missing, full":             {"CRC32", "FULL_OBJECT", true, []string{"", "2"}, nil, "", "full"},
		"never sent, full":               {"CRC32", "FULL_OBJECT", false, nil, nil, "", "full"},
		"object's wrong, missing, full":  {"CRC32", "FULL_OBJECT", false, nil, []string{"x-amz-checksum-crc32", wrong}, "BadDigest", ""},
		"object's right, missing, full":  {"CRC32", "FULL_OBJECT", false, nil, []string{"x-amz-checksum-crc32", "whole"}, "", "full"},
		"undeclared, right":              {"", "", true, []string{"1", "2"}, nil, "", ""},
		"undeclared, wrong":              {"", "", true, []string{"1", wrong}, nil, "InvalidPart", ""},
		"undeclared, sent with no part":  {"", "", false, []string{"1", "2"}, nil, "InvalidPart", ""},
		"another algorithm's, full":      {"CRC32C", "FULL_OBJECT", false, []string{"1", "2"}, nil, "BadDigest", ""},
		"undeclared, object's of others": {"", "", false, nil, []string{"x-amz-checksum-crc32", wrong}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := remembering(t)
			var create []string
			if c.declared != "" {
				create = []string{"x-amz-checksum-algorithm", c.declared, "x-amz-checksum-type", c.kind}
			}
			id, _ := f.uploadWith(create, nil)
			parts, own, etags := [][]byte{bigPart, partTwo}, []string{sumOf(checksum.CRC32, bigPart), sumOf(checksum.CRC32, partTwo)}, []string(nil)
			for i, p := range parts {
				var h []string
				if c.sent {
					h = []string{"x-amz-checksum-crc32", own[i]}
				}
				resp, _ := f.must("PUT", fmt.Sprintf("/data/key?partNumber=%d&uploadId=%s", i+1, id), p, h...)
				etags = append(etags, resp.Header.Get("ETag"))
				if got := resp.Header.Get("x-amz-checksum-crc32"); c.sent != (got != "") && c.declared != "CRC32" {
					t.Errorf("part %d is answered with %q", i+1, got)
				}
				if c.declared == "" && resp.Header.Get("x-amz-checksum-crc64nvme") != "" {
					t.Error("the default is answered to a part")
				}
			}
			if shown := strings.Contains(f.listParts(id), "<ChecksumCRC32>"+own[1]+"</ChecksumCRC32>"); shown != (c.sent || c.declared == "CRC32") {
				t.Errorf("shown in the list of parts: %v", shown)
			}
			for i, v := range c.values {
				if len(v) == 1 {
					c.values[i] = own[i]
				}
			}
			for i, v := range c.header {
				if v == "whole" {
					c.header[i] = sumOf(checksum.CRC32, parts...)
				}
			}
			resp, doc := f.completeWith(id, etags, checksum.CRC32, c.values, c.header...)
			if c.code != "" {
				if got := code(doc); got != c.code {
					t.Errorf("%d %s, want %s", resp.StatusCode, doc, c.code)
				}
				return
			}
			if resp.StatusCode != 200 {
				t.Fatalf("%d %s", resp.StatusCode, doc)
			}
			got, _ := f.sums(checksum.CRC32)
			crc64, _ := f.sums(checksum.CRC64NVME)
			switch {
			case c.kept == "full" && got != sumOf(checksum.CRC32, parts...), c.kept == "composite" && !strings.HasSuffix(got, "-2"), c.kept == "" && got != "":
				t.Errorf("HEAD says %q", got)
			case c.declared == "" && crc64 != sumOf(checksum.CRC64NVME, parts...):
				t.Errorf("HEAD says %q of an upload that declared nothing", crc64)
			}
		})
	}
}

// A store that drops, forges, exchanges, replays or hides notes takes checksums away and makes none.
func TestNotesInTheHandsOfTheStore(t *testing.T) {
	right := sumOf(checksum.CRC64NVME, bigPart, partTwo)
	put := func(f *fixture, names ...string) {
		for _, n := range names {
			f.store.Put("data", n, proxytest.Object{Header: map[string]string{}})
		}
	}
	for name, c := range map[string]struct {
		change func(f *fixture, notes []string, id string) // of parts 1 and 2
		want   string
	}{
		"untouched":   {func(*fixture, []string, string) {}, right},
		"one dropped": {func(f *fixture, n []string, _ string) { f.store.Delete("data", n[1]) }, ""},
		"all dropped": {func(f *fixture, n []string, _ string) { f.store.Delete("data", n[0]); f.store.Delete("data", n[1]) }, ""},
		"exchanged": {func(f *fixture, n []string, _ string) {
			f.store.Delete("data", n[0])
			f.store.Delete("data", n[1])
			put(f, strings.Replace(n[0], ".00001.", ".00002.", 1), strings.Replace(n[1], ".00002.", ".00001.", 1))
		}, ""},
		"forged beside": {func(f *fixture, n []string, _ string) {
			put(f, n[0][:len(n[0])-4]+"AAAA", n[0][:80], n[0]+"AA", n[0][:len(n[0])-60], strings.Replace(n[0], ".00001.", ".1.", 1))
		}, right},
		"of another upload": {func(f *fixture, n []string, _ string) {
			f.upload(bigPart, partTwo)
			for _, other := range f.notes() {
				if !slices.Contains(n, other) {
					put(f, n[0][:74]+other[74:])
				}
			}
			f.store.Delete("data", n[0])
		}, ""},
		"superseded upload replayed": {func(f *fixture, n []string, id string) {
			f.must("PUT", "/data/key?partNumber=2&uploadId="+id, partThree) // the same size
			for _, k := range f.notes() {
				if !slices.Contains(n, k) {
					f.store.Delete("data", k)
				}
			}
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := remembering(t)
			id, _ := f.upload(bigPart, partTwo)
			notes := f.notes()
			if len(notes) != 2 {
				t.Fatalf("notes: %v", notes)
			}
			c.change(f, notes, id)
			doc := f.listParts(id)
			if resp, answer := f.complete(id, []string{f.partTag([]byte(doc), 1), f.partTag([]byte(doc), 2)}, 1, 2); resp.StatusCode != 200 {
				t.Fatalf("%d %s", resp.StatusCode, answer)
			}
			if got, _ := f.sums(checksum.CRC64NVME); got != c.want {
				t.Errorf("HEAD says %q, want %q", got, c.want)
			}
		})
	}
}

// A store that gives two uploads of one part the same ETag leaves it open which note is the part's.
func TestNotesThatContradictEachOtherCountAsNone(t *testing.T) {
	f := remembering(t)
	f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		if c.Op == "UploadPart" {
			a.Header.Set("ETag", `"same"`)
		}
		if c.Op == "ListParts" {
			a.Body = regexp.MustCompile(`<ETag>[^<]*</ETag>`).ReplaceAll(a.Body, []byte(`<ETag>"same"</ETag>`))
		}
		if c.Op == "CompleteMultipartUpload" && strings.Contains(string(c.Body), "same") {
			t.Log("the store completes")
		}
	}})
	id, _ := f.uploadWith(nil, []string{"x-amz-checksum-crc32", sumOf(checksum.CRC32, partTwo)}, partTwo)
	if doc := f.listParts(id); !strings.Contains(doc, sumOf(checksum.CRC32, partTwo)) {
		t.Fatalf("%s", doc)
	}
	again := "/data/key?partNumber=1&uploadId=" + id
	f.must("PUT", again, partTwo, "x-amz-checksum-crc32", sumOf(checksum.CRC32, partTwo))
	if doc := f.listParts(id); !strings.Contains(doc, sumOf(checksum.CRC32, partTwo)) {
		t.Errorf("two notes that say the same: %s", doc)
	}
	f.must("PUT", again, partThree, "x-amz-checksum-crc32", sumOf(checksum.CRC32, partThree))
	if doc := f.listParts(id); strings.Contains(doc, "<ChecksumCRC32>") {
		t.Errorf("one of two is believed: %s", doc)
	}
}

// A part is answered once its note is written.
func TestPartsWithoutTheirNoteFail(t *testing.T) {
	f := remembering(t)
	id, _ := f.upload()
	remove := f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Method == "PUT" && isNote(c.Key) {
			return proxytest.Fail(500, "InternalError")
		}
		return nil
	}})
	part := "/data/key?partNumber=1&uploadId=" + id
	if resp, doc := f.do("PUT", part, partTwo); resp.StatusCode < 500 {
		t.Errorf("%d %s", resp.StatusCode, doc)
	}
	f.must("PUT", "/data/source", partTwo)
	if resp, doc := f.do("PUT", part, nil, "x-amz-copy-source", "data/source"); resp.StatusCode < 500 {
		t.Errorf("copy: %d %s", resp.StatusCode, doc)
	}
	remove()
	resp, _ := f.must("PUT", part, partTwo)
	if resp, doc := f.complete(id, []string{resp.Header.Get("ETag")}, 1); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, doc)
	}
	if got, _ := f.sums(checksum.CRC64NVME); got != sumOf(checksum.CRC64NVME, partTwo) {
		t.Errorf("HEAD says %q", got)
	}
}

func TestCopiedPartsHaveNotes(t *testing.T) {
	f := remembering(t)
	f.must("PUT", "/data/source", append(bytes.Clone(partTwo), partThree...))
	for declared, a := range map[string]checksum.Algorithm{"": checksum.CRC64NVME, "SHA256": checksum.SHA256} {
		var create []string
		if declared != "" {
			create = []string{"x-amz-checksum-algorithm", declared}
		}
		id, _ := f.uploadWith(create, nil)
		part := "/data/key?partNumber=1&uploadId=" + id
		_, doc := f.must("PUT", part, nil, "x-amz-copy-source", "data/source", "x-amz-copy-source-range", "bytes=0-69999")
		if answered := strings.Contains(string(doc), "<Checksum"); answered != (declared != "") {
			t.Errorf("%s: %s", declared, doc)
		}
		tag := string(regexp.MustCompile(`<ETag>(?:&#34;|&quot;)?([^&<]+)`).FindSubmatch(doc)[1])
		values := []string{""}
		if declared != "" {
			values[0] = sumOf(a, partTwo)
		}
		if resp, doc := f.completeWith(id, []string{tag}, a, values); resp.StatusCode != 200 {
			t.Fatalf("%s: %d %s", declared, resp.StatusCode, doc)
		}
		if got, _ := f.sums(a); declared == "" && got != sumOf(a, partTwo) || got == "" {
			t.Errorf("%s: HEAD says %q", declared, got)
		}
	}
}

// Nothing of an upload that has ended stays, in versioned buckets neither, whatever the store can do.
func TestNotesEndWithTheirUpload(t *testing.T) {
	for name, refuse := range map[string]string{"all at once": "", "one by one": "DeleteObjects", "no list of versions": "ListObjectVersions"} {
		for _, versioned := range []bool{false, true} {
			f := remembering(t)
			if versioned {
				f.store.CreateBucket("data", true)
			}
			if refuse != "" {
				f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
					if c.Op == refuse {
						return proxytest.Fail(501, "NotImplemented")
					}
					return nil
				}})
			}
			id, _ := f.upload(bigPart, partTwo)
			f.must("PUT", "/data/key?partNumber=2&uploadId="+id, partThree)
			note := f.notes()[0]
			f.must("DELETE", "/data/key?uploadId="+id, nil)
			if left := f.store.Keys("data"); len(left) != 0 {
				t.Errorf("%s, after Abort: %v", name, left)
			}
			if n := len(f.store.Versions("data", note)); n != 0 && refuse != "ListObjectVersions" {
				t.Errorf("%s: %d versions of a note stay", name, n)
			}
			id, etags := f.upload(bigPart, partTwo)
			if resp, doc := f.complete(id, etags, 1); resp.StatusCode != 200 {
				t.Fatalf("%d %s", resp.StatusCode, doc)
			}
			if left := f.notes(); len(left) != 0 {
				t.Errorf("%s, after Complete: %v", name, left)
			}
		}
	}
}

// A list of what to delete comes from the store: it gets nothing deleted but notes of the upload.
func TestOnlyNotesAreDeletedWithTheirUpload(t *testing.T) {
	f := remembering(t)
	f.must("PUT", "/data/victim", partTwo)
	f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		if c.Op == "ListObjectVersions" {
			a.Body = bytes.Replace(a.Body, []byte("</ListVersionsResult>"), []byte("<Version><Key>victim</Key></Version></ListVersionsResult>"), 1)
		}
	}})
	id, _ := f.upload(partTwo, partThree)
	f.must("DELETE", "/data/key?uploadId="+id, nil)
	if _, ok := f.store.Get("data", "victim"); !ok || len(f.notes()) != 0 {
		t.Errorf("the store holds %v", f.store.Keys("data"))
	}
}

// Listings that go in a circle end, as an error.
func TestListingsOfNotesAdvance(t *testing.T) {
	f := remembering(t)
	id, etags := f.upload(bigPart, partTwo)
	f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		if c.Op == "ListObjectsV2" && strings.Contains(c.Query.Get("prefix"), "/u/") {
			a.Body = regexp.MustCompile(`(?s)<Contents><Key>[^<]*\.00002\..*?</Contents>`).ReplaceAll(a.Body, nil)
			a.Body = bytes.Replace(a.Body, []byte("<IsTruncated>false"), []byte("<IsTruncated>true"), 1)
			if !bytes.Contains(a.Body, []byte("<Contents>")) {
				a.Body = bytes.Replace(a.Body, []byte("</ListBucketResult>"), []byte("<Contents><Key>"+c.Query.Get("start-after")+"</Key></Contents></ListBucketResult>"), 1)
			}
		}
	}})
	if resp, doc := f.complete(id, etags, 1, 2); code(doc) != "ServiceUnavailable" {
		t.Errorf("%d %s", resp.StatusCode, doc)
	}
}

// One listing gives a thousand notes; those of earlier parts cost nothing.
func TestNotesAreReadInPages(t *testing.T) {
	f := remembering(t)
	id, _ := f.upload()
	var tag string
	for i := range 1003 { // again and again: each leaves a note
		resp, _ := f.must("PUT", "/data/key?partNumber=1&uploadId="+id, []byte{byte(i)})
		tag = resp.Header.Get("ETag")
	}
	f.must("PUT", "/data/key?partNumber=2&uploadId="+id, nil, "x-amz-checksum-crc32", "AAAAAA==") // empty
	f.store.Forget()
	_, doc := f.must("GET", "/data/key?part-number-marker=1&uploadId="+id, nil)
	if n := len(f.store.Calls("ListObjectsV2")); n != 1 || !strings.Contains(string(doc), "<ChecksumCRC32>AAAAAA==</ChecksumCRC32>") {
		t.Errorf("%d listings: %s", n, doc)
	}
	f.store.Forget()
	if resp, doc := f.complete(id, []string{tag}, 1); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, doc)
	}
	if lists, deletes := len(f.store.Calls("ListObjectsV2")), len(f.store.Calls("DeleteObjects")); lists != 2 || deletes != 2 {
		t.Errorf("%d listings, %d bulk deletions", lists, deletes)
	}
	if got, _ := f.sums(checksum.CRC64NVME); got != sumOf(checksum.CRC64NVME, []byte{1002 & 0xff}) {
		t.Errorf("HEAD says %q", got)
	}
	if left := f.notes(); len(left) != 0 {
		t.Errorf("%d notes stay", len(left))
	}
}

func TestEmptyObjectInParts(t *testing.T) {
	f := remembering(t)
	id, etags := f.upload(nil)
	if resp, doc := f.complete(id, etags, 1); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, doc)
	}
	if got, _ := f.sums(checksum.CRC64NVME); got != sumOf(checksum.CRC64NVME) {
		t.Errorf("HEAD says %q", got)
	}
}
