package proxy

import (
	"bytes"
	"fmt"
	"strings"
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

// What a client says of its own connection is not believed: only a balancer may say that it ended TLS.
func TestCustomerKeysNeedTLSThatWasSeen(t *testing.T) {
	f := newFixture(t, nil)
	for _, headers := range [][]string{inTLS(customer(appKey)), append([]string{"forwarded", "proto=https"}, customer(appKey)...), append([]string{"x-forwarded-ssl", "on"}, customer(appKey)...)} {
		resp, doc := f.do("PUT", "/data/key", []byte("hello"), headers...)
		f.refused(headers[0], resp, doc, 400, "InvalidRequest", insecureText)
	}
}

func TestPlaintextObjectsTakeNoCustomerKey(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) { set.Buckets[0].AllowPlaintext = true })
	f.store.Put("data", "plain", proxytest.Object{Data: []byte("hello")})
	f.must("GET", "/data/plain", nil)
	resp, doc := f.do("GET", "/data/plain", nil, customer(appKey)...)
	f.refused("without TLS", resp, doc, 400, "InvalidRequest", insecureText)
}
