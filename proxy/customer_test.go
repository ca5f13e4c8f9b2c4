package proxy

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
	"s3veil/proxy/proxytest"
	"s3veil/proxy/sse"
)

// customerSays are the answer headers for a customer's key.
func customerSays(key string) []string {
	h := customer(key)
	return []string{"sse-customer-algorithm: AES256", "sse-customer-key-md5: " + h[5]}
}

const (
	wrongKeyText     = "Requests specifying Server Side Encryption with Customer provided keys must provide the correct secret key."
	missingKeyText   = "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object."
	notForThisText   = "The encryption parameters are not applicable to this object."
	uploadKeyText    = "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate encryption parameters."
	uploadOtherText  = "The provided encryption parameters did not match the ones used originally."
	insecureText     = "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection."
	mismatchText     = "The calculated MD5 hash of the key did not match the hash that was provided."
	unusableText     = "The secret key was invalid for the specified algorithm."
	incompatibleText = "Server Side Encryption with Customer provided key is incompatible with the encryption method specified"
)

func TestObjectsUnderACustomerKey(t *testing.T) {
	f, memory := withKeys(t)
	own := inTLS(customer(appKey))
	content := bytes.Repeat([]byte("0123456789"), 20000)
	for _, body := range [][]byte{nil, []byte("hello"), content, bytes.Repeat(content, 10)} {
		resp, _ := f.must("PUT", "/data/key", body, own...)
		f.says("PUT", resp, customerSays(appKey)...)
		if h := f.envelopeOf("data", "key"); h.KID != envelope.CustomerKID || len(h.Wrapped) != kms.BlobSize {
			t.Errorf("kid %s, %d wrapped bytes", h.KID, len(h.Wrapped))
		}
		resp, got := f.must("GET", "/data/key", nil, own...)
		f.says("GET", resp, customerSays(appKey)...)
		if !bytes.Equal(got, body) {
			t.Errorf("%d bytes read %d others", len(body), len(got))
		}
		resp, _ = f.must("HEAD", "/data/key", nil, own...)
		f.says("HEAD", resp, customerSays(appKey)...)
		if resp.ContentLength != int64(len(body)) || !strings.HasSuffix(resp.Header.Get("ETag"), `-0"`) {
			t.Errorf("HEAD: %d bytes, ETag %s", resp.ContentLength, resp.Header.Get("ETag"))
		}
		_, doc := f.must("GET", "/data/key?attributes", nil, append([]string{"x-amz-object-attributes", "ObjectSize"}, own...)...)
		if !strings.Contains(string(doc), fmt.Sprintf("<ObjectSize>%d</ObjectSize>", len(body))) {
			t.Errorf("attributes %s", doc)
		}
	}
	resp, got := f.must("GET", "/data/key", nil, append([]string{"range", "bytes=65530-65545"}, own...)...)
	f.says("range", resp, customerSays(appKey)...)
	if string(got) != "0123456789012345" {
		t.Errorf("range reads %q", got)
	}
	if n := memory.Calls(); n != 0 {
		t.Errorf("the KMS was called %d times", n)
	}
	if n := f.s.keys.Stats(); n["read"]+n["write"] != 0 {
		t.Errorf("cached keys %v", n)
	}
}

// Each object has a key of its own, even under one customer's key.
func TestCustomerKeysWrapAFreshKeyPerObject(t *testing.T) {
	f, _ := withKeys(t)
	seen := map[string]bool{}
	for _, key := range []string{"a", "b", "a"} {
		f.must("PUT", "/data/"+key, []byte("same"), inTLS(customer(appKey))...)
		h := f.envelopeOf("data", key)
		o, _ := f.store.Get("data", key)
		seen[string(h.Wrapped)], seen[string(o.Data)] = true, true
	}
	if len(seen) != 6 {
		t.Errorf("%d different wrapped keys and ciphertexts", len(seen))
	}
}

func TestReadsWithoutTheRightCustomerKey(t *testing.T) {
	f, _ := withKeys(t)
	own := inTLS(customer(appKey))
	f.must("PUT", "/data/key", []byte("hello"), own...)
	f.must("PUT", "/data/empty", nil, own...)
	f.must("PUT", "/data/kms", []byte("hello"), sse.HeaderType, "aws:kms")
	for _, c := range []struct {
		what, key     string
		headers       []string
		status        int
		code, message string
	}{
		{"no key", "key", nil, 400, "InvalidRequest", missingKeyText},
		{"no key, empty object", "empty", nil, 400, "InvalidRequest", missingKeyText},
		{"wrong key", "key", inTLS(customer(otherKey)), 403, "AccessDenied", wrongKeyText},
		{"wrong key, empty object", "empty", inTLS(customer(otherKey)), 403, "AccessDenied", wrongKeyText},
		{"key of another length", "key", inTLS(customer("short")), 403, "AccessDenied", wrongKeyText},
		{"key for an object without", "kms", own, 400, "InvalidRequest", notForThisText},
		{"MD5 of another key", "key", inTLS(append(customer(otherKey)[:4:4], customer(appKey)[4:]...)), 400, "InvalidArgument", mismatchText},
		{"without TLS", "key", customer(appKey), 400, "InvalidRequest", insecureText},
	} {
		resp, doc := f.do("GET", "/data/"+c.key, nil, c.headers...)
		f.refused(c.what+": GET", resp, doc, c.status, c.code, c.message)
		resp, doc = f.do("GET", "/data/"+c.key, nil, append([]string{"range", "bytes=-2"}, c.headers...)...)
		f.refused(c.what+": suffix", resp, doc, c.status, c.code, c.message)
		resp, doc = f.do("GET", "/data/"+c.key+"?attributes", nil, append([]string{"x-amz-object-attributes", "ETag"}, c.headers...)...)
		f.refused(c.what+": attributes", resp, doc, c.status, c.code, c.message)
		resp, doc = f.do("HEAD", "/data/"+c.key, nil, c.headers...)
		if resp.StatusCode != c.status || len(doc) != 0 {
			t.Errorf("%s: HEAD: %d", c.what, resp.StatusCode)
		}
		f.must("GET", "/data/key", nil, own...) // nothing of a refusal is kept
	}
}

func TestWritesWithAFaultyCustomerKey(t *testing.T) {
	f, _ := withKeys(t)
	own := customer(appKey)
	for _, c := range []struct {
		what          string
		headers       []string
		code, message string
	}{
		{"without TLS", own, "InvalidRequest", insecureText},
		{"short key", inTLS(customer("short")), "InvalidArgument", unusableText},
		{"MD5 of another key", inTLS(append(own[:4:4], customer(otherKey)[4:]...)), "InvalidArgument", mismatchText},
		{"two methods", inTLS(append([]string{sse.HeaderType, "AES256"}, own...)), "InvalidArgument", incompatibleText},
		{"another algorithm", inTLS(append([]string{own[0], "AES128"}, own[2:]...)), "InvalidEncryptionAlgorithmError", "The Encryption request you specified is not valid. Supported value: AES256."},
	} {
		for target, method := range map[string]string{"/data/key": "PUT", "/data/key?uploads=": "POST"} {
			resp, doc := f.do(method, target, nil, c.headers...)
			f.refused(c.what+" "+method, resp, doc, 400, c.code, c.message)
		}
		resp, doc := f.do("PUT", "/data/key", nil, append([]string{"x-amz-copy-source", "data/other"}, c.headers...)...)
		f.refused(c.what+" copy", resp, doc, 400, c.code, c.message)
	}
	for _, target := range []string{"DELETE /data/key", "GET /data/key?tagging", "PUT /data?versioning", "GET /data?list-type=2"} {
		method, path, _ := strings.Cut(target, " ")
		resp, doc := f.do(method, path, nil, own...)
		f.refused(target, resp, doc, 400, "InvalidRequest", insecureText)
	}
	if n := len(f.store.Calls()); n != 0 {
		t.Errorf("%d requests to the store", n)
	}
}

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
			if form == UploadIDState {
				break
			}
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
		if c.form == UploadIDToken { // overwritten since: the answer to a repeated Complete is S3's
			memory.Disable("main.2", false)
			f.must("PUT", "/data/key", []byte("newer"), own...)
			late, doc := f.complete(id, etags, 1, 3)
			f.refused("overwritten since", late, doc, 404, "NoSuchUpload", "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
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

func TestCopiesUnderCustomerKeys(t *testing.T) {
	f, _ := withKeys(t)
	f.must("PUT", "/data/from", []byte("hello"), append([]string{"x-amz-meta-color", "red", "content-type", "text/plain"}, inTLS(customer(appKey))...)...)
	source := []string{"x-amz-copy-source", "data/from"}
	for _, c := range []struct {
		what          string
		headers       []string
		status        int
		code, message string
	}{
		{"no source key", nil, 400, "InvalidRequest", missingKeyText},
		{"the key of the target alone", inTLS(customer(appKey)), 400, "InvalidRequest", missingKeyText},
		{"wrong source key", inTLS(customerSource(otherKey)), 403, "AccessDenied", wrongKeyText},
		{"without TLS", customerSource(appKey), 400, "InvalidRequest", insecureText},
	} {
		resp, doc := f.do("PUT", "/data/to", nil, append(source[:2:2], c.headers...)...)
		f.refused(c.what, resp, doc, c.status, c.code, c.message)
	}
	both := append(append(source[:2:2], inTLS(customerSource(appKey))...), customer(otherKey)...)
	resp, _ := f.must("PUT", "/data/to", nil, both...)
	f.says("copy", resp, customerSays(otherKey)...)
	resp, got := f.must("GET", "/data/to", nil, inTLS(customer(otherKey))...)
	if string(got) != "hello" || resp.Header.Get("x-amz-meta-color") != "red" || resp.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("the copy reads %q, %v", got, resp.Header)
	}
	// Another key in place of the object's own, and other metadata under the same key.
	onto := append(append([]string{"x-amz-copy-source", "data/to"}, inTLS(customerSource(otherKey))...), customer(appKey)...)
	f.must("PUT", "/data/to", nil, onto...)
	replace := append(append([]string{"x-amz-copy-source", "data/to", "x-amz-metadata-directive", "REPLACE", "x-amz-meta-color", "blue"},
		inTLS(customerSource(appKey))...), customer(appKey)...)
	f.must("PUT", "/data/to", nil, replace...)
	resp, got = f.must("GET", "/data/to", nil, inTLS(customer(appKey))...)
	if string(got) != "hello" || resp.Header.Get("x-amz-meta-color") != "blue" {
		t.Errorf("after REPLACE %q, %v", got, resp.Header)
	}
	// Out of customers' keys, to another bucket.
	f.must("PUT", "/second/to", nil, append(source[:2:2], inTLS(customerSource(appKey))...)...)
	resp, got = f.must("GET", "/second/to", nil)
	f.says("copy", resp, "sse: AES256")
	if string(got) != "hello" {
		t.Errorf("the copy reads %q", got)
	}
	// The source of a copy has no key of its own.
	f.must("PUT", "/data/plain", []byte("plain"))
	resp, doc := f.do("PUT", "/data/x", nil, append([]string{"x-amz-copy-source", "data/plain"}, inTLS(customerSource(appKey))...)...)
	f.refused("key for a source without", resp, doc, 400, "InvalidRequest", notForThisText)
}

func TestConditionsUnderACustomerKey(t *testing.T) {
	f, _ := withKeys(t)
	own := inTLS(customer(appKey))
	resp, _ := f.must("PUT", "/data/key", []byte("hello"), own...)
	tag := resp.Header.Get("ETag")
	for _, c := range []struct {
		headers []string
		status  int
	}{
		{[]string{"if-match", tag}, 200}, {[]string{"if-match", `"other"`}, 412}, {[]string{"if-none-match", tag}, 304}, {[]string{"if-none-match", `"other"`}, 200},
		{[]string{"if-match", `"other", ` + tag}, 200}, {[]string{"if-none-match", `"other", ` + tag}, 304},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			resp, _ := f.do(method, "/data/key", nil, append(c.headers, own...)...)
			if resp.StatusCode != c.status {
				t.Errorf("%s %q: %d", method, c.headers, resp.StatusCode)
			}
			if c.status == 304 {
				f.says("304", resp)
			}
		}
	}
	if resp, _ := f.do("PUT", "/data/key", []byte("x"), append([]string{"if-none-match", "*"}, own...)...); resp.StatusCode != 412 {
		t.Errorf("overwritten: %d", resp.StatusCode)
	}
}

// A listing, a delete and tags need no key.
func TestOperationsThatNeedNoCustomerKey(t *testing.T) {
	f, _ := withKeys(t)
	f.must("PUT", "/data/key", []byte("hello"), inTLS(customer(appKey))...)
	_, doc := f.must("GET", "/data?list-type=2", nil)
	if !strings.Contains(string(doc), "<Key>key</Key>") || !strings.Contains(string(doc), "<Size>5</Size>") {
		t.Errorf("%s", doc)
	}
	f.must("PUT", "/data/key?tagging", []byte("<Tagging><TagSet></TagSet></Tagging>"))
	f.must("DELETE", "/data/key", nil)
}

func TestPlaintextObjectsTakeNoCustomerKey(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) { set.Buckets[0].AllowPlaintext = true })
	f.store.Put("data", "plain", proxytest.Object{Data: []byte("hello")})
	f.must("GET", "/data/plain", nil)
	resp, doc := f.do("GET", "/data/plain", nil, customer(appKey)...)
	f.refused("without TLS", resp, doc, 400, "InvalidRequest", insecureText)
}

// What the store serves in the place of an object under a customer's key opens under no other, and the other way round.
func TestEnvelopesExchangedBetweenKeys(t *testing.T) {
	f, _ := withKeys(t)
	own := inTLS(customer(appKey))
	f.must("PUT", "/data/customer", []byte("hello"), own...)
	f.must("PUT", "/data/second", []byte("hullo"), own...)
	f.must("PUT", "/data/kms", []byte("hallo"))
	entry := func(key string) string {
		o, _ := f.store.Get("data", key)
		return o.Header["x-amz-meta-s3veil"]
	}
	customers, seconds, kmss := entry("customer"), entry("second"), entry("kms")
	set := func(key, value string) {
		f.store.Change("data", key, func(o *proxytest.Object) { o.Header["x-amz-meta-s3veil"] = value })
	}
	kid := func(entry, kid string) string { // the same envelope under another kid
		sealed, err := envelope.ParseText(entry)
		if err != nil {
			t.Fatal(err)
		}
		raw := sealed.Bytes()
		k := int(raw[6])
		raw = append(append(append(bytes.Clone(raw[:6]), byte(len(kid))), kid...), raw[7+k:]...)
		return "1." + base64.RawURLEncoding.EncodeToString(raw)
	}
	for _, c := range []struct {
		what, key, entry string
		headers          []string
		status           int
	}{
		{"KMS envelope on a customer's object", "customer", kmss, own, 400},
		{"KMS envelope on a customer's object, read without key", "customer", kmss, nil, 422},
		{"customer's envelope on a KMS object", "kms", customers, nil, 400},
		{"customer's envelope on a KMS object, read with the key", "kms", customers, own, 422},
		{"envelope of another object under the same key", "customer", seconds, own, 422},
		{"customer's envelope that names a KMS key", "customer", kid(customers, "main"), nil, 422},
		{"KMS envelope that names a customer's key", "kms", kid(kmss, "@sse-c"), own, 403},
	} {
		set("customer", customers)
		set("kms", kmss)
		set(c.key, c.entry)
		if resp, doc := f.do("GET", "/data/"+c.key, nil, c.headers...); resp.StatusCode != c.status {
			t.Errorf("%s: %d %s", c.what, resp.StatusCode, doc)
		}
	}
}

// buffer is a log that many goroutines write.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// The key stands in no log line, no audit line, and nothing that goes to the store, refusals included.
func TestCustomerKeysLeaveNoTrace(t *testing.T) {
	f, _ := withKeys(t)
	var log buffer
	f.s.log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	own, source := inTLS(customer(appKey)), inTLS(customerSource(appKey))
	f.must("PUT", "/data/key", []byte("hello"), own...)
	f.must("GET", "/data/key", nil, own...)
	f.must("PUT", "/data/copy", nil, append(append([]string{"x-amz-copy-source", "data/key"}, source...), customer(appKey)...)...)
	f.do("GET", "/data/key", nil, customer(appKey)...)
	f.do("PUT", "/data/key", nil, inTLS(append(customer(appKey), sse.HeaderType, "AES256"))...)
	f.do("PUT", "/data/key", nil, inTLS(append(customer(appKey)[:4:4], customer(otherKey)[4:]...))...)
	f.do("PUT", "/data/key?tagging", []byte("<x/>"), own...)
	f.do("PUT", "/data/key?acl", nil, own...)
	f.do("GET", "/data/none", nil, own...)
	f.do("DELETE", "/data/key", nil, append(own, customerSource(appKey)...)...)
	f.idle()
	var lines strings.Builder
	for _, l := range f.audit.all() {
		fmt.Fprintf(&lines, "%+v\n", l)
	}
	headers := customer(appKey)
	for _, trace := range []string{appKey, headers[3], headers[5], hex.EncodeToString([]byte(appKey)), "customer-"} {
		if strings.Contains(log.String(), trace) {
			t.Errorf("the log holds %q", trace)
		}
		if strings.Contains(lines.String(), trace) {
			t.Errorf("the audit log holds %q", trace)
		}
		if where := f.store.Saw(trace); where != "" {
			t.Errorf("the store saw %q: %s", trace, where)
		}
	}
	if !strings.Contains(log.String(), "AccessDenied") && !strings.Contains(log.String(), "InvalidRequest") {
		t.Error("nothing was logged")
	}
}

// The keys are taken out of the request's head and overwritten when the exchange ends.
func TestCustomerKeysAreForgotten(t *testing.T) {
	f, _ := withKeys(t)
	x := &exchange{s: f.s, st: f.s.state.Load(), tls: true}
	x.bucket, _ = x.st.bucket("data")
	headers := append(append(customer(appKey), customerSource(otherKey)...), "x-amz-copy-source", "data/key")
	for i := 0; i < len(headers); i += 2 {
		x.head.fields = append(x.head.fields, fieldOf(headers[i], headers[i+1]))
	}
	if err := x.chooseEncryption(); err != nil || x.customer == nil || x.sourceCustomer == nil {
		t.Fatal(err)
	}
	for _, field := range x.head.fields {
		if strings.HasSuffix(field.Name, "customer-key") && field.Value != "" {
			t.Errorf("%s is still in the head", field.Name)
		}
	}
	wrapped, _ := x.customer.NewKey("data")
	x.forgetCustomerKeys()
	if _, err := x.customer.OpenKey(wrapped, "data"); err == nil {
		t.Error("the key still opens")
	}
}

func TestStatusOfHEADWithoutKeyIsTheOneOfGET(t *testing.T) {
	f, _ := withKeys(t)
	f.must("PUT", "/data/key", []byte("hello"), inTLS(customer(appKey))...)
	for _, headers := range [][]string{nil, inTLS(customer(otherKey)), customer(appKey)} {
		get, _ := f.do(http.MethodGet, "/data/key", nil, headers...)
		head, _ := f.do(http.MethodHead, "/data/key", nil, headers...)
		if get.StatusCode != head.StatusCode || head.StatusCode < 400 {
			t.Errorf("GET %d, HEAD %d", get.StatusCode, head.StatusCode)
		}
	}
}
