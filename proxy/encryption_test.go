package proxy

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"sort"
	"strings"
	"testing"

	"s3veil/crypto/envelope"
	"s3veil/crypto/kms"
	"s3veil/crypto/kms/kmstest"
	"s3veil/keycache"
	"s3veil/proxy/sse"
	"s3veil/sigv4"
)

const teamARN = "arn:aws:kms:eu-west-1:111122223333:key/0f2c"

// withKeys is a fixture with three keys, of which buckets may use main and team, and a bucket "strict" that demands a named
// encryption. A balancer in front of it ends TLS.
func withKeys(t *testing.T) (*fixture, *kmstest.Memory) {
	t.Helper()
	memory := kmstest.NewMemory("main", "main.2", "team", "other")
	f := newFixture(t, func(set *Settings, _ *Options) {
		set.KEKs, set.Families = nil, map[string][]string{"main": {"main.2", "main"}, "team": {"team"}, "other": {"other"}}
		for _, kid := range []string{"main", "main.2", "team", "other"} {
			set.KEKs = append(set.KEKs, keycache.KEK{KID: kid, Provider: memory, Name: kid})
		}
		set.Aliases = map[string]string{teamARN: "team", "alias/app": "main"}
		set.Buckets = []Bucket{{Name: "strict", Key: "main", RequireSSE: true}, {Name: "*", Key: "main", Keys: []string{"main", "team"}}}
		set.TrustProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	f.store.CreateBucket("strict", false)
	f.store.CreateBucket("second", false)
	return f, memory
}

// encryptionHeaders are the answer's headers about encryption, "name: value" sorted, the long prefix as "sse".
func encryptionHeaders(h http.Header) []string {
	var out []string
	for name, values := range h {
		if short, ok := strings.CutPrefix(strings.ToLower(name), "x-amz-server-side-encryption"); ok {
			out = append(out, "sse"+short+": "+strings.Join(values, ","))
		}
	}
	sort.Strings(out)
	return out
}

// says checks what an answer says about encryption.
func (f *fixture) says(what string, resp *http.Response, want ...string) {
	f.t.Helper()
	sort.Strings(want)
	if got := encryptionHeaders(resp.Header); !reflect.DeepEqual(got, want) && len(got)+len(want) > 0 {
		f.t.Errorf("%s says %q, want %q", what, got, want)
	}
}

// refused checks the error of an answer.
func (f *fixture) refused(what string, resp *http.Response, doc []byte, status int, code, message string) {
	f.t.Helper()
	text := string(doc)
	if resp.StatusCode != status || !strings.Contains(text, "<Code>"+code+"</Code>") || !strings.Contains(strings.ReplaceAll(text, "&#39;", "'"), "<Message>"+message+"</Message>") {
		f.t.Errorf("%s: %d %s", what, resp.StatusCode, text)
	}
}

// envelopeOf is the clear part of a stored object's envelope.
func (f *fixture) envelopeOf(bucket, key string) envelope.Header {
	f.t.Helper()
	o, ok := f.store.Get(bucket, key)
	if !ok {
		f.t.Fatalf("%s/%s is not there", bucket, key)
	}
	sealed, err := envelope.ParseText(o.Header["x-amz-meta-s3veil"])
	if err != nil {
		f.t.Fatal(err)
	}
	return sealed.Header()
}

func sseContext(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func TestEncryptionHeadersChooseTheKeyAndComeBack(t *testing.T) {
	f, _ := withKeys(t)
	context := sseContext(`{"team":"blue","app":"x"}`)
	for _, c := range []struct {
		name    string
		headers []string
		kid     string
		pairs   kms.Context
		later   []string // what every answer says
		made    []string // what the answer to the write says besides
	}{
		{"nothing", nil, "main.2", nil, []string{"sse: AES256"}, nil},
		{"SSE-S3", []string{sse.HeaderType, "AES256"}, "main.2", nil, []string{"sse: AES256"}, nil},
		{"SSE-KMS", []string{sse.HeaderType, "aws:kms"}, "main.2", nil, []string{"sse: aws:kms", "sse-aws-kms-key-id: main"}, nil},
		{"by id", []string{sse.HeaderType, "aws:kms", sse.HeaderKeyID, "team"}, "team", nil, []string{"sse: aws:kms", "sse-aws-kms-key-id: " + teamARN}, nil},
		{"by ARN", []string{sse.HeaderType, "aws:kms", sse.HeaderKeyID, teamARN}, "team", nil, []string{"sse: aws:kms", "sse-aws-kms-key-id: " + teamARN}, nil},
		{"by alias", []string{sse.HeaderType, "aws:kms", sse.HeaderKeyID, "alias/app"}, "main.2", nil, []string{"sse: aws:kms", "sse-aws-kms-key-id: main"}, nil},
		{"context and bucket key", []string{sse.HeaderType, "aws:kms", sse.HeaderKeyID, "0f2c", sse.HeaderContext, context, sse.HeaderBucketKey, "true"}, "team",
			kms.Context{"team": "blue", "app": "x"},
			[]string{"sse: aws:kms", "sse-aws-kms-key-id: " + teamARN, "sse-bucket-key-enabled: true"}, []string{"sse-context: " + context}},
	} {
		made := append(append([]string{}, c.later...), c.made...)
		resp, _ := f.must("PUT", "/data/put", []byte("hello"), c.headers...)
		f.says(c.name+": PUT", resp, made...)
		if h := f.envelopeOf("data", "put"); h.KID != c.kid || !reflect.DeepEqual(h.Pairs, c.pairs) {
			t.Errorf("%s: kid %s, pairs %v", c.name, h.KID, h.Pairs)
		}
		resp, _ = f.must("GET", "/data/put", nil)
		f.says(c.name+": GET", resp, c.later...)
		resp, _ = f.must("HEAD", "/data/put", nil)
		f.says(c.name+": HEAD", resp, c.later...)
		resp, _ = f.must("GET", "/data/put", nil, "range", "bytes=1-2")
		f.says(c.name+": range", resp, c.later...)

		resp, doc := f.must("POST", "/data/parts?uploads=", nil, c.headers...)
		f.says(c.name+": create", resp, made...)
		id := url.QueryEscape(string(regexp.MustCompile(`<UploadId>([^<]+)</UploadId>`).FindSubmatch(doc)[1]))
		resp, _ = f.must("PUT", "/data/parts?partNumber=1&uploadId="+id, []byte("part"))
		f.says(c.name+": part", resp, c.later...)
		list := fmt.Sprintf("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>", strings.Trim(resp.Header.Get("ETag"), `"`))
		resp, _ = f.must("POST", "/data/parts?uploadId="+id, []byte(list))
		f.says(c.name+": complete", resp, c.later...)
		resp, got := f.must("GET", "/data/parts", nil)
		f.says(c.name+": GET of parts", resp, c.later...)
		if string(got) != "part" || f.envelopeOf("data", "parts").KID != c.kid {
			t.Errorf("%s: parts read %q", c.name, got)
		}

		resp, _ = f.must("PUT", "/data/copy", nil, append([]string{"x-amz-copy-source", "data/put"}, c.headers...)...)
		f.says(c.name+": copy", resp, made...)
		resp, got = f.must("GET", "/data/copy", nil)
		f.says(c.name+": GET of the copy", resp, c.later...)
		if h := f.envelopeOf("data", "copy"); string(got) != "hello" || h.KID != c.kid || !reflect.DeepEqual(h.Pairs, c.pairs) {
			t.Errorf("%s: the copy reads %q, kid %s, pairs %v", c.name, got, h.KID, h.Pairs)
		}
	}
}

func TestEncryptionHeadersNeverGoUp(t *testing.T) {
	f, _ := withKeys(t)
	f.must("PUT", "/data/key", []byte("hello"), sse.HeaderType, "aws:kms", sse.HeaderKeyID, "team", sse.HeaderContext, sseContext(`{"a":"b"}`), sse.HeaderBucketKey, "true")
	f.must("GET", "/data/key", nil)
	for _, call := range f.store.Calls() {
		for name := range call.Header {
			if strings.HasPrefix(strings.ToLower(name), "x-amz-server-side-encryption") {
				t.Errorf("%s carries %s", call.Op, name)
			}
		}
	}
}

func TestKeysThatABucketMayNotUse(t *testing.T) {
	f, memory := withKeys(t)
	for _, c := range []struct {
		what, key     string
		status        int
		code, message string
	}{
		{"another bucket's key", "other", 403, "AccessDenied", "Access Denied."},
		{"unknown", "nobody", 400, "KMS.NotFoundException", "Invalid keyId 'nobody'"},
		{"a kid", "main.2", 400, "KMS.NotFoundException", "Invalid keyId 'main.2'"},
		{"unknown ARN", teamARN + "d", 400, "KMS.NotFoundException", "Key '" + teamARN + "d' does not exist"},
	} {
		for target, method := range map[string]string{"/data/key": "PUT", "/data/key?uploads=": "POST"} {
			resp, doc := f.do(method, target, nil, sse.HeaderType, "aws:kms", sse.HeaderKeyID, c.key)
			f.refused(c.what+" "+method, resp, doc, c.status, c.code, c.message)
		}
	}
	if n := len(f.store.Calls()) + memory.Calls(); n != 0 {
		t.Errorf("%d requests to the store or the KMS before the refusals", n)
	}
	resp, doc := f.do("PUT", "/strict/key", []byte("x"), sse.HeaderType, "aws:kms", sse.HeaderKeyID, "team")
	f.refused("a bucket without a list has its one key", resp, doc, 403, "AccessDenied", "Access Denied.")
	memory.Disable("team", true)
	resp, doc = f.do("PUT", "/data/key", []byte("x"), sse.HeaderType, "aws:kms", sse.HeaderKeyID, "team")
	f.refused("disabled", resp, doc, 400, "KMS.DisabledException", "The KMS key 'team' is disabled.")
	if _, there := f.store.Get("data", "key"); there {
		t.Error("an object was written")
	}
}

func TestEncryptionHeadersAreRefusedWhereS3Refuses(t *testing.T) {
	f, _ := withKeys(t)
	f.must("PUT", "/data/key", []byte("hello"))
	id, _ := f.upload()
	part := "/data/key?partNumber=1&uploadId=" + url.QueryEscape(id)
	const unsupported = "x-amz-server-side-encryption header is not supported for this operation."
	for target, method := range map[string]string{"/data/key": "GET", part: "PUT", "/data/key?attributes": "GET"} {
		resp, doc := f.do(method, target, nil, sse.HeaderType, "AES256", "x-amz-object-attributes", "ETag")
		f.refused(method+" "+target, resp, doc, 400, "InvalidArgument", unsupported)
	}
	if resp, _ := f.do("HEAD", "/data/key", nil, sse.HeaderType, "AES256"); resp.StatusCode != 400 {
		t.Errorf("HEAD: %d", resp.StatusCode)
	}
	resp, doc := f.do("PUT", part, nil, sse.HeaderType, "AES256", "x-amz-copy-source", "data/key")
	f.refused("UploadPartCopy", resp, doc, 400, "InvalidArgument", unsupported)
	resp, doc = f.do("PUT", "/data/key", nil, sse.HeaderType, "aws:kms:dsse")
	if resp.StatusCode != 501 || !bytes.Contains(doc, []byte("dual-layer encryption (aws:kms:dsse)")) {
		t.Errorf("dual layer: %d %s", resp.StatusCode, doc)
	}
	resp, doc = f.do("PUT", "/data/key", nil, sse.HeaderType, "aws:kms", sse.HeaderContext, "no base64!")
	f.refused("context", resp, doc, 400, "InvalidArgument", "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which represents a string-string map")
}

func TestBucketsThatDemandANamedEncryption(t *testing.T) {
	f, _ := withKeys(t)
	f.must("PUT", "/data/key", []byte("hello"))
	for what, headers := range map[string][]string{"PUT": nil, "copy": {"x-amz-copy-source", "data/key"}} {
		resp, doc := f.do("PUT", "/strict/key", nil, headers...)
		f.refused(what, resp, doc, 403, "AccessDenied", "Access Denied.")
	}
	resp, doc := f.do("POST", "/strict/key?uploads=", nil)
	f.refused("create", resp, doc, 403, "AccessDenied", "Access Denied.")
	_, doc = f.must("POST", "/strict/key?uploads=", nil, sse.HeaderType, "AES256")
	id := string(regexp.MustCompile(`<UploadId>([^<]+)</UploadId>`).FindSubmatch(doc)[1])
	f.must("PUT", "/strict/key?partNumber=1&uploadId="+url.QueryEscape(id), []byte("parts name none"))
	f.must("PUT", "/strict/key", []byte("x"), sse.HeaderType, "aws:kms")
	f.must("PUT", "/strict/key", []byte("x"), inTLS(customer(appKey))...)
	f.must("PUT", "/strict/key", nil, "x-amz-copy-source", "data/key", sse.HeaderType, "AES256")
}

func TestObjectsWithAKeyOfTheirOwn(t *testing.T) {
	f, memory := withKeys(t)
	put := func(key string, flag ...string) string {
		f.must("PUT", "/data/"+key, []byte("x"), append([]string{sse.HeaderType, "aws:kms"}, flag...)...)
		return string(f.envelopeOf("data", key).Wrapped)
	}
	if put("a") != put("b") || put("a", sse.HeaderBucketKey, "true") != put("b") {
		t.Error("objects under the bucket key do not share it")
	}
	calls := memory.Calls("generate")
	if put("c", sse.HeaderBucketKey, "false") == put("d", sse.HeaderBucketKey, "false") {
		t.Error("objects that decline the bucket key share one")
	}
	if n := memory.Calls("generate") - calls; n != 2 {
		t.Errorf("%d calls for two keys", n)
	}
	resp, _ := f.must("GET", "/data/c", nil)
	f.says("GET", resp, "sse: aws:kms", "sse-aws-kms-key-id: main")
}

func TestCopiesBetweenKeys(t *testing.T) {
	f, _ := withKeys(t)
	pairs := []string{sse.HeaderType, "aws:kms", sse.HeaderContext, sseContext(`{"a":"b"}`)}
	f.must("PUT", "/data/plain", []byte("hello"))
	f.must("PUT", "/data/pairs", []byte("hello"), pairs...)
	f.must("PUT", "/data/team", []byte("hello"), sse.HeaderType, "aws:kms", sse.HeaderKeyID, "team")
	f.must("PUT", "/data/customer", []byte("hello"), inTLS(customer(appKey))...)
	for _, c := range []struct {
		from     string
		to       []string
		resealed bool
	}{
		{"plain", nil, true},
		{"plain", []string{sse.HeaderType, "aws:kms"}, true},
		{"plain", []string{sse.HeaderType, "aws:kms", sse.HeaderBucketKey, "false"}, true},
		{"plain", []string{sse.HeaderType, "aws:kms", sse.HeaderKeyID, "team"}, false},
		{"plain", pairs, false},
		{"plain", inTLS(customer(appKey)), false},
		{"pairs", pairs, true},
		{"pairs", nil, false},
		{"pairs", []string{sse.HeaderType, "aws:kms", sse.HeaderContext, sseContext(`{"a":"c"}`)}, false},
		{"team", []string{sse.HeaderType, "aws:kms", sse.HeaderKeyID, teamARN}, true},
		{"team", nil, false},
		{"customer", append(inTLS(customerSource(appKey)), sse.HeaderType, "AES256"), false},
		{"customer", append(inTLS(customerSource(appKey)), customer(appKey)...), false},
	} {
		f.store.Forget()
		f.must("PUT", "/data/copy", nil, append([]string{"x-amz-copy-source", "data/" + c.from}, c.to...)...)
		if resealed := len(f.store.Calls("CopyObject")) == 1; resealed != c.resealed {
			t.Errorf("%s to %q: copied by the store: %v", c.from, c.to, resealed)
		}
		from, _ := f.store.Get("data", c.from)
		to, _ := f.store.Get("data", "copy")
		if shared := bytes.Equal(from.Data, to.Data); shared != c.resealed {
			t.Errorf("%s to %q: ciphertext shared: %v", c.from, c.to, shared)
		}
	}
	resp, doc := f.do("PUT", "/data/plain", nil, "x-amz-copy-source", "data/plain")
	f.refused("copy onto itself", resp, doc, 400, "InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	f.must("PUT", "/data/plain", nil, append([]string{"x-amz-copy-source", "data/plain"}, inTLS(customer(appKey))...)...)
	if kid := f.envelopeOf("data", "plain").KID; kid != envelope.CustomerKID {
		t.Errorf("another encryption is a change: %s", kid)
	}
}

func TestAuditLinesNameEncryptionAndKey(t *testing.T) {
	f, _ := withKeys(t)
	f.must("PUT", "/data/a", []byte("x"))
	f.must("PUT", "/data/b", []byte("x"), sse.HeaderType, "aws:kms", sse.HeaderKeyID, "team")
	f.must("GET", "/data/b", nil)
	f.must("PUT", "/data/c", []byte("x"), inTLS(customer(appKey))...)
	f.must("GET", "/data/c", nil, inTLS(customer(appKey))...)
	f.do("GET", "/data/c", nil, inTLS(customer(otherKey))...)
	f.idle()
	want := []string{"PutObject 200 AES256 main.2", "PutObject 200 aws:kms team", "GetObject 200 aws:kms team", "PutObject 200 SSE-C @sse-c",
		"GetObject 200 SSE-C @sse-c", "GetObject 403 SSE-C @sse-c"}
	var got []string
	for _, l := range f.audit.all() {
		got = append(got, fmt.Sprintf("%s %d %s %s", l.Action, l.Status, l.SSE, l.KID))
		if len(l.IKEK) != 16 {
			t.Errorf("fingerprint %q", l.IKEK)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
}

// The keys of two applications.
const (
	appKey   = "an application's key of 32 bytes"
	otherKey = "another application's, 32 bytes!"
)

// customer are the headers of a customer's key.
func customer(key string) []string { return customerAt("x-amz-server-side-encryption-customer-", key) }

// customerSource are the headers of the key of a copy's source.
func customerSource(key string) []string {
	return customerAt("x-amz-copy-source-server-side-encryption-customer-", key)
}

func customerAt(prefix, key string) []string {
	sum := md5.Sum([]byte(key))
	return []string{prefix + "algorithm", "AES256", prefix + "key", base64.StdEncoding.EncodeToString([]byte(key)),
		prefix + "key-md5", base64.StdEncoding.EncodeToString(sum[:])}
}

// inTLS makes a request one that came through the balancer with TLS.
func inTLS(headers []string) []string {
	return append([]string{"x-forwarded-proto", "https"}, headers...)
}

func fieldOf(name, value string) sigv4.Field { return sigv4.Field{Name: name, Value: value} }

// An application that encrypts for itself is served like any other: its keys are metadata.
func TestClientsThatEncryptForThemselves(t *testing.T) {
	f, _ := withKeys(t)
	own := []string{"x-amz-meta-x-amz-key-v2", "ZWRr", "x-amz-meta-x-amz-iv", "aXY=", "x-amz-meta-x-amz-matdesc", "{}", "x-amz-meta-x-amz-cek-alg", "AES/GCM/NoPadding"}
	f.must("PUT", "/data/cse", []byte("ciphertext of the client's own"), own...)
	resp, got := f.must("GET", "/data/cse", nil)
	for i := 0; i < len(own); i += 2 {
		if resp.Header.Get(own[i]) != own[i+1] {
			t.Errorf("%s: %q", own[i], resp.Header.Get(own[i]))
		}
	}
	stored, _ := f.store.Get("data", "cse")
	if string(got) != "ciphertext of the client's own" || bytes.Contains(stored.Data, []byte("ciphertext")) {
		t.Errorf("%q, stored %q", got, stored.Data)
	}
}
