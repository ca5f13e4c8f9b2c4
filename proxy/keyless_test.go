package proxy

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"s3veil/proxy/proxytest"
	"s3veil/sigv4/checksum"
)

func TestUploadsUnderACustomerKey(t *testing.T) {
	for _, form := range []UploadIDForm{UploadIDToken, UploadIDState} {
		f, _ := withKeys(t)
		f.s.state.Load().settings.Buckets[1].UploadID = form
		own := inTLS(customer(appKey))
		resp, doc := f.must("POST", "/data/key?uploads=", nil, own...)
		f.says("create", resp, customerSays(appKey)...)
		id := url.QueryEscape(string(regexp.MustCompile(`<UploadId>([^<]+)</UploadId>`).FindSubmatch(doc)[1]))
		first := "/data/key?partNumber=1&uploadId=" + id
		body := bytes.Repeat([]byte("part"), 5<<18)
		for _, c := range []struct {
			what          string
			headers       []string
			message, code string
		}{
			{"no key", nil, uploadKeyText, "InvalidRequest"},
			{"another key", inTLS(customer(otherKey)), uploadOtherText, "InvalidRequest"},
			{"key of another length", inTLS(customer("short")), uploadOtherText, "InvalidRequest"},
		} {
			resp, doc := f.do("PUT", first, body, c.headers...)
			f.refused(c.what+": part", resp, doc, 400, c.code, c.message)
			if c.headers == nil {
				continue // in TestCompletesWithoutTheCustomerKey
			}
			resp, doc = f.do("POST", "/data/key?uploadId="+id, []byte("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>"), c.headers...)
			f.refused(c.what+": complete", resp, doc, 400, c.code, c.message)
		}
		resp, _ = f.must("PUT", first, body, own...)
		f.says("part", resp, customerSays(appKey)...)
		f.must("PUT", "/data/source", body, inTLS(customer(otherKey))...)
		second := "/data/key?partNumber=2&uploadId=" + id
		resp, doc = f.must("PUT", second, nil, append(append([]string{"x-amz-copy-source", "data/source", "x-amz-copy-source-range", "bytes=4-11"},
			customerSource(otherKey)...), own...)...)
		f.says("copied part", resp, customerSays(appKey)...)
		etag := regexp.MustCompile(`<ETag>(?:&#34;|&quot;)?([^&<]+)`).FindSubmatch(doc)[1]
		for _, c := range []struct {
			what          string
			source        []string
			status        int
			code, message string
		}{
			{"no source key", nil, 400, "InvalidRequest", missingKeyText},
			{"wrong source key", customerSource(appKey), 403, "AccessDenied", wrongKeyText},
		} {
			resp, doc := f.do("PUT", second, nil, append(append([]string{"x-amz-copy-source", "data/source"}, c.source...), own...)...)
			f.refused(c.what, resp, doc, c.status, c.code, c.message)
		}
		_, doc = f.must("GET", "/data/key?uploadId="+id, nil)
		if !strings.Contains(string(doc), "<Size>5242880</Size>") {
			t.Errorf("a listing of parts needs no key: %s", doc)
		}
		list := fmt.Sprintf("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part><Part><PartNumber>2</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>",
			strings.Trim(f.partTag(doc, 1), `"`), etag)
		for range 2 { // the second one repeats
			resp, _ = f.must("POST", "/data/key?uploadId="+id, []byte(list), own...)
			f.says("complete", resp)
		}
		f.s.caches.manifests.Purge()
		resp, got := f.must("GET", "/data/key", nil, own...)
		f.says("GET", resp, customerSays(appKey)...)
		if want := string(body) + "partpart"; string(got) != want {
			t.Errorf("%d bytes of %d, or others", len(got), len(want))
		}
		if _, got = f.must("GET", "/data/key?partNumber=2", nil, own...); string(got) != "partpart" {
			t.Errorf("part 2 reads %q", got)
		}
		resp, doc = f.do("GET", "/data/key", nil, inTLS(customer(otherKey))...)
		f.refused("wrong key", resp, doc, 403, "AccessDenied", wrongKeyText)
	}
}

// As on S3 a Complete needs no key. It cannot open the object, and yet its list is sealed.
func TestCompletesWithoutTheCustomerKey(t *testing.T) {
	for _, c := range []struct {
		form   UploadIDForm
		record bool
	}{{UploadIDToken, false}, {UploadIDState, false}, {UploadIDToken, true}} {
		f, memory := withKeys(t)
		rule := &f.s.state.Load().settings.Buckets[1]
		rule.UploadID, rule.RecordNonce = c.form, c.record
		own := inTLS(customer(appKey))
		summed, _ := f.uploadWith(append(own, "x-amz-checksum-algorithm", "CRC32"), append(own, "x-amz-checksum-crc32", crc32Of(partTwo)), partTwo)
		_, doc := f.must("GET", "/data/key?uploadId="+url.QueryEscape(summed), nil)
		if !strings.Contains(string(doc), "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>") {
			t.Errorf("a listing without the key does not know the algorithm: %s", doc)
		}
		id, etags := f.uploadWith(own, own, bigPart, partTwo, partThree)
		resp, doc := f.complete(id, etags, 1, 3)
		if resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, doc)
		}
		f.says("complete", resp)
		if c.form == UploadIDToken {
			if again, doc := f.complete(id, etags, 1, 3); again.StatusCode != 200 {
				t.Errorf("repeated: %d %s", again.StatusCode, doc)
			}
			other, doc := f.complete(id, etags, 1, 2)
			f.refused("another list", other, doc, 404, "NoSuchUpload", "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
		}
		f.s.caches.manifests.Purge()
		memory.Disable("main.2", true) // reading needs the customer's key alone
		if resp, got := f.must("GET", "/data/key", nil, own...); !bytes.Equal(got, append(bytes.Clone(bigPart), partThree...)) {
			t.Errorf("%d bytes", len(got))
		} else {
			f.says("GET", resp, customerSays(appKey)...)
		}
		if c.form == UploadIDState { // the notes of the parts opened without the key
			resp, _ := f.must("HEAD", "/data/key", nil, append(own, "x-amz-checksum-mode", "ENABLED")...)
			if got := resp.Header.Get("x-amz-checksum-crc64nvme"); got != sumOf(checksum.CRC64NVME, bigPart, partThree) {
				t.Errorf("checksum %q", got)
			}
		}
		if c.form == UploadIDToken { // overwritten since: the answer to a repeated Complete is S3's
			memory.Disable("main.2", false)
			f.must("PUT", "/data/key", []byte("newer"), own...)
			late, doc := f.complete(id, etags, 1, 3)
			f.refused("overwritten since", late, doc, 404, "NoSuchUpload", "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
			second, tags := f.uploadWith(own, own, bigPart, partTwo, partThree)
			if resp, doc := f.complete(second, tags, 1, 3); resp.StatusCode != 200 {
				t.Fatalf("%d %s", resp.StatusCode, doc)
			}
			late, doc = f.complete(id, etags, 1, 3)
			f.refused("overwritten since by as much", late, doc, 404, "NoSuchUpload", "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
		}
	}
}

// The completion token opens neither the object nor its parts, and serves no other upload.
func TestCompletionTokensOpenNothing(t *testing.T) {
	f, _ := withKeys(t)
	own := inTLS(customer(appKey))
	id, etags := f.uploadWith(own, own, []byte("first"))
	other, _ := f.uploadWith(own, own, []byte("second"))
	token, completion, _ := strings.Cut(strings.TrimPrefix(id, "2."), ".")
	_, otherCompletion, _ := strings.Cut(strings.TrimPrefix(other, "2."), ".")
	part := func(id string) (*http.Response, []byte) {
		return f.do("PUT", "/data/key?partNumber=2&uploadId="+url.QueryEscape(id), []byte("x"))
	}
	resp, doc := part(id)
	f.refused("part without the key", resp, doc, 400, "InvalidRequest", uploadKeyText)
	const gone = "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
	for what, forged := range map[string]string{
		"completion token of another upload": "2." + token + "." + otherCompletion, "completion token in place of both": "2." + completion + "." + completion,
		"cut": "2." + token + "." + completion[:len(completion)-4],
	} {
		resp, doc := f.complete(forged, etags, 1)
		f.refused(what, resp, doc, 404, "NoSuchUpload", gone)
	}
	resp, doc = f.complete(token, etags, 1)
	f.refused("without its completion token", resp, doc, 400, "InvalidRequest", uploadKeyText)
	f.must("POST", "/data/plain?uploads=", nil)
	resp, doc = part(completion) // an ordinary token by its form: a part under it would be under the manifest's secret
	f.refused("completion token as an upload", resp, doc, 404, "NoSuchUpload", gone)
	resp, doc = f.complete(completion, etags, 1)
	f.refused("completion token as an upload", resp, doc, 404, "NoSuchUpload", gone)
	if resp, doc := f.complete(id, etags, 1); resp.StatusCode != 200 {
		t.Errorf("%d %s", resp.StatusCode, doc)
	}
}

// uploadWith is upload with headers of the Create and of the parts.
func (f *fixture) uploadWith(create, part []string, parts ...[]byte) (id string, etags []string) {
	f.t.Helper()
	_, doc := f.must("POST", "/data/key?uploads=", nil, create...)
	id = string(regexp.MustCompile(`<UploadId>([^<]+)</UploadId>`).FindSubmatch(doc)[1])
	for i, p := range parts {
		resp, _ := f.must("PUT", fmt.Sprintf("/data/key?partNumber=%d&uploadId=%s", i+1, url.QueryEscape(id)), p, part...)
		etags = append(etags, resp.Header.Get("ETag"))
	}
	return id, etags
}

func crc32Of(b []byte) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)))
}

// partTag is the ETag of a part in a listing.
func (f *fixture) partTag(doc []byte, n int) string {
	f.t.Helper()
	m := regexp.MustCompile(fmt.Sprintf(`<PartNumber>%d</PartNumber>.*?<ETag>(?:&#34;|&quot;)?([^&<]+)`, n)).FindSubmatch(doc)
	if m == nil {
		f.t.Fatalf("no part %d in %s", n, doc)
	}
	return string(m[1])
}

func TestKeysForUploadsWithout(t *testing.T) {
	f, _ := withKeys(t)
	id, _ := f.upload()
	part := "/data/key?partNumber=1&uploadId=" + url.QueryEscape(id)
	resp, doc := f.do("PUT", part, []byte("x"), inTLS(customer(appKey))...)
	f.refused("part", resp, doc, 400, "InvalidRequest", uploadKeyText)
	_, doc = f.must("POST", "/data/key?uploads=", nil, inTLS(customer(appKey))...)
	sealed := url.QueryEscape(string(regexp.MustCompile(`<UploadId>([^<]+)</UploadId>`).FindSubmatch(doc)[1]))
	if resp, doc := f.do("DELETE", "/data/key?uploadId="+sealed, nil); resp.StatusCode != 204 {
		t.Errorf("an upload is aborted without its key: %d %s", resp.StatusCode, doc)
	}
}

// A Complete without the key that died half-way is finished by the next one, and two of them do not harm each other.
func TestKeylessCompletesThatMeetTrouble(t *testing.T) {
	own := inTLS(customer(appKey))
	begin := func() (f *fixture, id string, etags []string) {
		f, _ = withKeys(t)
		id, etags = f.uploadWith(own, own, bigPart, partTwo, partThree)
		return f, id, etags
	}
	reads := func(f *fixture, what string, want []byte) {
		t.Helper()
		f.s.caches.manifests.Purge()
		if resp, got := f.do("GET", "/data/key", nil, own...); resp.StatusCode != 200 || !bytes.Equal(got, want) {
			t.Errorf("%s: %d, %d bytes", what, resp.StatusCode, len(got))
		}
	}
	hook := func(f *fixture, op string, answer *proxytest.Answer) (remove func()) {
		return f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
			if c.Op == op {
				return answer
			}
			return nil
		}})
	}
	withTwo, withThree := append(bytes.Clone(bigPart), partTwo...), append(bytes.Clone(bigPart), partThree...)

	f, id, etags := begin()
	f.s.state.Load().settings.Buckets[1].RecordNonce = true
	remove := hook(f, "HeadObject", &proxytest.Answer{Drop: true})
	if resp, doc := f.complete(id, etags, 1, 2); resp.StatusCode != 503 {
		t.Fatalf("%d %s", resp.StatusCode, doc)
	}
	remove()
	if resp, _ := f.do("GET", "/data/key", nil, own...); resp.StatusCode != 422 {
		t.Errorf("a provisional manifest is served: %d", resp.StatusCode)
	}
	if resp, doc := f.complete(id, etags, 1, 3); resp.StatusCode != 404 {
		t.Errorf("another list: %d %s", resp.StatusCode, doc)
	}
	if resp, doc := f.complete(id, etags, 1, 2); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, doc)
	}
	reads(f, "resumed", withTwo)

	f, id, etags = begin()
	remove = hook(f, "CompleteMultipartUpload", proxytest.Fail(400, "InvalidRequest"))
	f.complete(id, etags, 1, 3) // leaves its manifest, of the same length, behind
	remove()
	if resp, doc := f.complete(id, etags, 1, 2); resp.StatusCode != 200 {
		t.Fatalf("winner: %d %s", resp.StatusCode, doc)
	}
	reads(f, "winner", withTwo)

	f, id, etags = begin()
	var once atomic.Bool
	f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op != "CompleteMultipartUpload" || once.Swap(true) {
			return nil
		}
		if resp, doc := f.complete(id, etags, 1, 3); resp.StatusCode != 200 {
			t.Errorf("winner: %d %s", resp.StatusCode, doc)
		}
		o, _ := f.store.Get("data", "key")
		return &proxytest.Answer{Status: 200, Header: http.Header{}, Cut: -1,
			Body: []byte("<CompleteMultipartUploadResult><ETag>" + o.ETag + "</ETag></CompleteMultipartUploadResult>")}
	}})
	if resp, doc := f.complete(id, etags, 1, 2); resp.StatusCode != 404 {
		t.Errorf("loser: %d %s", resp.StatusCode, doc)
	}
	reads(f, "after the loser", withThree)
}
