package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"s3veil/proxy/proxytest"
)

// upload starts an upload of data/key and sends its parts; it returns the id and the parts' ETags.
func (f *fixture) upload(parts ...[]byte) (id string, etags []string) {
	f.t.Helper()
	_, doc := f.must("POST", "/data/key?uploads=", nil)
	m := regexp.MustCompile(`<UploadId>([^<]+)</UploadId>`).FindSubmatch(doc)
	if m == nil {
		f.t.Fatalf("no upload id in %s", doc)
	}
	for i, p := range parts {
		resp, _ := f.must("PUT", fmt.Sprintf("/data/key?partNumber=%d&uploadId=%s", i+1, url.QueryEscape(string(m[1]))), p)
		etags = append(etags, resp.Header.Get("ETag"))
	}
	return string(m[1]), etags
}

// complete completes the upload with the numbered parts.
func (f *fixture) complete(id string, etags []string, numbers ...int) (*http.Response, []byte) {
	f.t.Helper()
	var b strings.Builder
	b.WriteString("<CompleteMultipartUpload>")
	for _, n := range numbers {
		fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", n, strings.Trim(etags[n-1], `"`))
	}
	b.WriteString("</CompleteMultipartUpload>")
	return f.do("POST", "/data/key?uploadId="+url.QueryEscape(id), []byte(b.String()))
}

// reads asks for the object anew, whatever is cached.
func (f *fixture) reads(want ...[]byte) {
	f.t.Helper()
	f.s.caches.manifests.Purge()
	resp, got := f.do("GET", "/data/key", nil)
	if resp.StatusCode != 200 || !bytes.Equal(got, bytes.Join(want, nil)) {
		f.t.Errorf("the object reads %d, %d bytes: %.200s", resp.StatusCode, len(got), got)
	}
}

var (
	bigPart   = bytes.Repeat([]byte("a"), 5<<20)
	partTwo   = bytes.Repeat([]byte("b"), 70000)
	partThree = bytes.Repeat([]byte("c"), 70000)
)

// A Complete that loses to another list of the same length must not replace the winner's manifest, not even where the store
// answers 200 to the loser (FORMAT.md 9.3 step 5).
func TestLoserOfTheSameLengthLeavesTheWinnersManifest(t *testing.T) {
	f := newFixture(t, nil)
	id, etags := f.upload(bigPart, partTwo, partThree)
	var once atomic.Bool
	f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op != "CompleteMultipartUpload" || once.Swap(true) {
			return nil
		}
		if resp, doc := f.complete(id, etags, 1, 2); resp.StatusCode != 200 {
			t.Errorf("winner: %d %s", resp.StatusCode, doc)
		}
		o, _ := f.store.Get("data", "key")
		return &proxytest.Answer{Status: 200, Header: http.Header{}, Cut: -1,
			Body: []byte("<CompleteMultipartUploadResult><ETag>" + o.ETag + "</ETag></CompleteMultipartUploadResult>")}
	}})
	resp, doc := f.complete(id, etags, 1, 3)
	if resp.StatusCode != 404 || !bytes.Contains(doc, []byte("NoSuchUpload")) {
		t.Errorf("loser: %d %s", resp.StatusCode, doc)
	}
	f.reads(bigPart, partTwo)
}

// The winner puts its own manifest under the first name when a rival of the same length has been there before.
func TestWinnerOfTheSameLengthTakesTheFirstName(t *testing.T) {
	f := newFixture(t, nil)
	id, etags := f.upload(bigPart, partTwo, partThree)
	remove := f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op == "CompleteMultipartUpload" {
			return proxytest.Fail(400, "InvalidRequest")
		}
		return nil
	}})
	f.complete(id, etags, 1, 3) // leaves its manifest behind
	remove()
	if resp, doc := f.complete(id, etags, 1, 2); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, doc)
	}
	f.reads(bigPart, partTwo)
}

// Where the store ignores If-None-Match, a late Complete must not replace the manifest of the one that has won, neither in
// the first Complete of a process (FORMAT.md 9.3 step 3).
func TestLateCompleteReplacesNoManifestWhereConditionsAreIgnored(t *testing.T) {
	f := newFixture(t, nil)
	id, etags := f.upload(bigPart, partTwo)
	var once atomic.Bool
	f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if !strings.HasPrefix(c.Key, ".s3veil/m/") || c.Method != "PUT" {
			return nil
		}
		c.Header.Del("If-None-Match")
		if once.Swap(true) {
			return nil
		}
		if resp, doc := f.complete(id, etags, 1, 2); resp.StatusCode != 200 {
			t.Errorf("winner: %d %s", resp.StatusCode, doc)
		}
		return nil
	}})
	if resp, doc := f.complete(id, etags, 1); resp.StatusCode != 404 {
		t.Errorf("late: %d %s", resp.StatusCode, doc)
	}
	f.reads(bigPart, partTwo)
}

// slowly makes every answer slow and the store too.
func slowly(t *testing.T, op string) *fixture {
	old := keepaliveAfter
	keepaliveAfter = 20 * time.Millisecond
	t.Cleanup(func() { keepaliveAfter = old }) // runs after the fixture's own
	f := newFixture(t, nil)
	f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		if c.Op == op {
			a.Delay = 150 * time.Millisecond
		}
	}})
	return f
}

// From a while on the answer begins before its end is known; white space, then the document without a declaration.
func TestSlowCompleteBeginsItsAnswer(t *testing.T) {
	f := slowly(t, "CompleteMultipartUpload")
	id, etags := f.upload(bigPart, partTwo)
	resp, doc := f.complete(id, etags, 1, 2)
	if resp.StatusCode != 200 || doc[0] != ' ' || !bytes.HasPrefix(bytes.TrimLeft(doc, " "), []byte("<CompleteMultipartUploadResult")) {
		t.Errorf("%d %q", resp.StatusCode, doc)
	}
	f.reads(bigPart, partTwo)
	f.idle()
}

func TestSlowCompleteThatFailsEndsInAnError(t *testing.T) {
	f := slowly(t, "CompleteMultipartUpload")
	id, etags := f.upload(bigPart, partTwo)
	f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		if c.Op == "CompleteMultipartUpload" {
			a.Status, a.Body = 403, []byte("<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
		}
	}})
	resp, doc := f.complete(id, etags, 1, 2)
	if resp.StatusCode != 200 || !bytes.HasPrefix(bytes.TrimLeft(doc, " "), []byte("<Error><Code>AccessDenied</Code>")) {
		t.Errorf("%d %q", resp.StatusCode, doc)
	}
	f.idle()
}

// HTTP/1.0 knows no chunks (RFC 9112 section 7.1).
func TestSlowAnswerToHTTP10HasALength(t *testing.T) {
	f := slowly(t, "CopyObject")
	f.must("PUT", "/data/key", partTwo)
	c := f.dial()
	head := f.head("PUT", "/data/copy", unsigned, "x-amz-copy-source", "/data/key")
	c.Write([]byte(strings.Replace(head, "HTTP/1.1", "HTTP/1.0", 1)))
	got, _ := io.ReadAll(c)
	if text := strings.ToLower(string(got)); !strings.Contains(text, "content-length: ") || strings.Contains(text, "chunked") || !strings.HasSuffix(text, "</copyobjectresult>") {
		t.Errorf("%q", got)
	}
}

// Operations whose client has gone are brought to their end, and their exchange to its own.
func TestSlowOperationsGoOnWithoutTheirClient(t *testing.T) {
	f := slowly(t, "CopyObject")
	f.must("PUT", "/data/key", partTwo)
	for i := range 8 {
		c := f.dial()
		c.Write([]byte(f.head("PUT", fmt.Sprintf("/data/copy%d", i), unsigned, "x-amz-copy-source", "/data/key")))
		c.Read(make([]byte, 1)) // it has begun
		c.Close()
		f.must("GET", "/data/key", nil) // on the engine's next context
	}
	f.idle()
	for i := range 8 {
		if _, got := f.must("GET", fmt.Sprintf("/data/copy%d", i), nil); !bytes.Equal(got, partTwo) {
			t.Errorf("copy %d: %d bytes", i, len(got))
		}
	}
}

// A repeated Complete whose object cannot be looked at is to be tried again, not given up.
func TestRepeatedCompleteIsNotGivenUpWhileTheStoreIsAway(t *testing.T) {
	f := newFixture(t, nil)
	id, etags := f.upload(partTwo)
	if resp, doc := f.complete(id, etags, 1); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, doc)
	}
	remove := f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op == "HeadObject" {
			return proxytest.Fail(503, "ServiceUnavailable")
		}
		return nil
	}})
	if resp, doc := f.complete(id, etags, 1); resp.StatusCode != 503 {
		t.Errorf("%d %s", resp.StatusCode, doc)
	}
	remove()
	if resp, doc := f.complete(id, etags, 1); resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, doc)
	}
}

// With manifest.record_nonce a Complete that ends between the store's and its last step leaves a manifest that counts as
// missing; repeated, it goes on where it ended.
func TestRepeatedCompleteFinishesAProvisionalManifest(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) { set.Buckets[0].RecordNonce = true })
	id, etags := f.upload(bigPart, partTwo)
	remove := f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op == "HeadObject" {
			return &proxytest.Answer{Drop: true}
		}
		return nil
	}})
	if resp, doc := f.complete(id, etags, 1, 2); resp.StatusCode != 503 {
		t.Fatalf("%d %s", resp.StatusCode, doc)
	}
	remove()
	if resp, _ := f.do("GET", "/data/key", nil); resp.StatusCode != 422 {
		t.Errorf("a provisional manifest is served: %d", resp.StatusCode)
	}
	if resp, doc := f.complete(id, etags, 1); resp.StatusCode != 404 {
		t.Errorf("another list: %d %s", resp.StatusCode, doc)
	}
	if resp, doc := f.complete(id, etags, 1, 2); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, doc)
	}
	f.reads(bigPart, partTwo)
}

// A winner that ends before step 5 of FORMAT.md 9.3, while the first name holds the table of a rival of the same length,
// leaves an object of which only what both tables share can be read (9.5), until its Complete is repeated.
func TestWinnerThatEndsEarlyBesideARivalOfTheSameLength(t *testing.T) {
	f := newFixture(t, nil)
	id, etags := f.upload(bigPart, partTwo, partThree)
	fails := proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op == "CompleteMultipartUpload" {
			return proxytest.Fail(400, "InvalidRequest")
		}
		return nil
	}}
	remove := f.store.Hook(fails)
	f.complete(id, etags, 1, 3)
	remove()
	remove = f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		if c.Op == "CompleteMultipartUpload" {
			a.Drop = true // the writer ends here
		}
	}})
	f.complete(id, etags, 1, 2)
	remove()
	if _, ok := f.store.Get("data", "key"); !ok {
		t.Fatal("the second Complete had no effect")
	}
	c := f.dial()
	fmt.Fprint(c, f.head("GET", "/data/key", unsigned))
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(resp.Body); resp.StatusCode == 200 && (err == nil || len(got) > len(bigPart)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	resp, got := f.do("GET", "/data/key", nil, "range", "bytes=0-99")
	if resp.StatusCode != 206 || !bytes.Equal(got, bigPart[:100]) {
		t.Errorf("what both share: %d %.200s", resp.StatusCode, got)
	}
	if _, err := f.s.FindParts(t.Context(), "data", "key", ""); !errors.Is(err, ErrIntact) {
		t.Errorf("repair: %v", err)
	}
	if resp, doc := f.complete(id, etags, 1, 3); resp.StatusCode != 404 {
		t.Errorf("the rival, repeated: %d %s", resp.StatusCode, doc)
	}
	if resp, doc := f.complete(id, etags, 1, 2); resp.StatusCode != 200 {
		t.Errorf("repeated: %d %s", resp.StatusCode, doc)
	}
	f.reads(bigPart, partTwo)
}

// Lists that name the same parts may differ in the parts' lengths alone, where parts were sent again in between.
func TestRepeatedCompleteTellsListsThatDifferInLengthsOnly(t *testing.T) {
	f := newFixture(t, nil)
	long, longer := bytes.Repeat([]byte("d"), 6<<20), bytes.Repeat([]byte("e"), 7<<20)
	id, etags := f.upload(long, longer, partTwo)
	remove := f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op == "CompleteMultipartUpload" {
			return proxytest.Fail(400, "InvalidRequest")
		}
		return nil
	}})
	f.complete(id, etags, 1, 2, 3) // leaves its manifest under the first name
	remove()
	for i, p := range [][]byte{longer, long} {
		resp, _ := f.must("PUT", fmt.Sprintf("/data/key?partNumber=%d&uploadId=%s", i+1, url.QueryEscape(id)), p)
		etags[i] = resp.Header.Get("ETag")
	}
	remove = f.store.Hook(proxytest.Hook{After: func(c *proxytest.Call, a *proxytest.Answer) {
		if c.Op == "CompleteMultipartUpload" {
			a.Drop = true // the writer ends here
		}
	}})
	f.complete(id, etags, 1, 2, 3)
	remove()
	if resp, doc := f.complete(id, etags, 1, 2, 3); resp.StatusCode != 200 {
		t.Errorf("repeated: %d %s", resp.StatusCode, doc)
	}
	f.reads(longer, long, partTwo)
}

// A Complete whose upload is gone does not take the object of another upload for its own, however much they are alike.
func TestRepeatedCompleteBesideAnotherUpload(t *testing.T) {
	f := newFixture(t, nil)
	first, firstTags := f.upload(bigPart, partTwo)
	if resp, doc := f.complete(first, firstTags, 1, 2); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, doc)
	}
	second, secondTags := f.upload(bigPart, partThree)
	if resp, doc := f.complete(second, secondTags, 1, 2); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, doc)
	}
	if resp, doc := f.complete(first, firstTags, 1, 2); resp.StatusCode != 404 || !bytes.Contains(doc, []byte("NoSuchUpload")) {
		t.Errorf("the first one, repeated: %d %s", resp.StatusCode, doc)
	}
	f.reads(bigPart, partThree)
}
