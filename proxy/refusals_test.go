package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"s3veil/proxy/proxytest"
	"s3veil/proxy/upstream"
	"s3veil/sigv4"
)

// TestAttributesThatTheStoreRefuses: why an object is not shown the store says itself, as it would without s3veil; one that does
// not know the operation, or says something else of it, has HEAD's answer stand.
func TestAttributesThatTheStoreRefuses(t *testing.T) {
	f := newFixture(t, nil)
	for _, c := range []struct {
		head, attributes int
		code             string
		status           int
		want             string
	}{
		{405, 404, "NoSuchKey", 404, "NoSuchKey"}, // versitygw, of a delete marker's version
		{405, 405, "MethodNotAllowed", 405, "MethodNotAllowed"},
		{404, 404, "NoSuchVersion", 404, "NoSuchVersion"},
		{404, 403, "AccessDenied", 403, "AccessDenied"},
		{403, 403, "AllAccessDisabled", 403, "AllAccessDisabled"},
		{403, 404, "NoSuchKey", 403, "AccessDenied"},
		{404, 404, "MethodNotAllowed", 404, "NoSuchKey"},
		{404, 501, "NotImplemented", 404, "NoSuchKey"},
		{404, 400, "InvalidArgument", 404, "NoSuchKey"},
		{404, 200, "", 404, "NoSuchKey"},
	} {
		f.store.Forget()
		remove := f.store.Hook(proxytest.Hook{Before: func(r *proxytest.Call) *proxytest.Answer {
			switch r.Op {
			case "HeadObject":
				return &proxytest.Answer{Status: c.head, Header: http.Header{}}
			case "GetObjectAttributes":
				return &proxytest.Answer{Status: c.attributes, Header: http.Header{"X-Amz-Delete-Marker": {"true"}}, Body: []byte("<Error><Code>" + c.code + "</Code></Error>")}
			}
			return nil
		}})
		resp, doc := f.do("GET", "/data/key?attributes&versionId=abc", nil, "x-amz-object-attributes", "ETag,ObjectSize", "x-amz-expected-bucket-owner", "111122223333")
		remove()
		if resp.StatusCode != c.status || !strings.Contains(string(doc), "<Code>"+c.want+"</Code>") {
			t.Errorf("%+v: %d %s", c, resp.StatusCode, doc)
		}
		asked := f.store.Calls("GetObjectAttributes")
		if len(asked) != 1 || asked[0].Query.Get("versionId") != "abc" || asked[0].Header.Get("X-Amz-Object-Attributes") == "" || asked[0].Header.Get("X-Amz-Expected-Bucket-Owner") == "" {
			t.Errorf("%+v: asked %v", c, asked)
		}
		if told := resp.Header.Get("X-Amz-Delete-Marker") == "true"; told != (c.want == c.code && c.attributes != 405) {
			t.Errorf("%+v: headers of the other answer: %v", c, resp.Header)
		}
	}
	f.must("PUT", "/data/key", []byte("x"))
	f.store.Forget()
	f.must("GET", "/data/key?attributes", nil, "x-amz-object-attributes", "ETag")
	if n := len(f.store.Calls("GetObjectAttributes")); n != 0 {
		t.Errorf("asked %d times for what is there", n)
	}
}

// TestListedVersionsThatHEADDoesNotFind: a version that a list names is asked for its first byte then; a key, which may have gone,
// is not, nor is a version which HEAD shows.
func TestListedVersionsThatHEADDoesNotFind(t *testing.T) {
	f := newFixture(t, func(set *Settings, _ *Options) { set.Buckets[0].ListExact = true })
	f.store.CreateBucket("versions", true)
	f.must("PUT", "/versions/key", []byte("some text"), "x-amz-checksum-crc32", crc32Of([]byte("some text")))
	f.must("PUT", "/versions/empty", nil, "x-amz-checksum-sha256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
	remove := f.store.Hook(proxytest.Hook{Before: func(c *proxytest.Call) *proxytest.Answer {
		if c.Op == "HeadObject" {
			return &proxytest.Answer{Status: 404, Header: http.Header{}}
		}
		return nil
	}})
	_, doc := f.must("GET", "/versions?versions", nil)
	for _, want := range []string{"<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>", "<ChecksumAlgorithm>SHA256</ChecksumAlgorithm>", "<Size>9</Size>", "<Size>0</Size>"} {
		if !strings.Contains(string(doc), want) {
			t.Errorf("%s is not in %s", want, doc)
		}
	}
	for _, c := range f.store.Calls("GetObject") {
		if c.Key == "key" && c.Header.Get("Range") != "bytes=0-0" || c.Query.Get("versionId") == "" && !strings.HasPrefix(c.Key, ".s3veil/") {
			t.Errorf("%s %v", c.Target, c.Header)
		}
	}
	f.s.caches.sizes.Purge()
	f.store.Forget()
	f.must("GET", "/versions?list-type=2", nil)
	remove()
	f.must("GET", "/versions?versions", nil)
	if calls := f.store.Calls("GetObject"); len(calls) != 0 {
		t.Errorf("read: %v", calls)
	}
}

// TestBucketsAreMadeInTheStoresRegion: the region that a client signs for is here, other ones are named as they are.
func TestBucketsAreMadeInTheStoresRegion(t *testing.T) {
	at := func(region string) string {
		return "<CreateBucketConfiguration><LocationConstraint>" + region + "</LocationConstraint></CreateBucketConfiguration>"
	}
	for _, c := range []struct{ store, signs, doc, want string }{
		{"us-east-1", "eu-west-1", at("eu-west-1"), ""},
		{"", "eu-west-1", at("eu-west-1"), ""},
		{"local", "eu-west-1", at("eu-west-1"), at("local")},
		{"local", "us-east-1", "", at("local")},
		{"us-east-1", "us-east-1", "", ""},
		{"us-east-1", "us-east-1", at("us-east-1"), at("us-east-1")},
		{"local", "local", at("local"), at("local")},
		{"local", "eu-west-1", at("eu-central-1"), at("eu-central-1")},
		{"local", "eu-west-1", "", ""},
		{"auto", "eu-west-1", at("eu-west-1"), at("eu-west-1")},
	} {
		f := newFixture(t, func(set *Settings, _ *Options) { set.Regions, set.Upstreams[0].Region = []string{"*"}, c.store })
		r := &sigv4.Request{Method: "PUT", Path: "/made", Host: f.addr}
		if _, err := f.sign.Sign(r, testCredential, c.signs, "s3", unsigned, time.Now()); err != nil {
			t.Fatal(err)
		}
		head := fmt.Sprintf("PUT /made HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", f.addr, len(c.doc))
		for _, h := range r.Header {
			head += h.Name + ": " + h.Value + "\r\n"
		}
		conn := f.dial()
		fmt.Fprint(conn, head+"\r\n"+c.doc)
		if status, doc := answer(t, conn); status != 200 {
			t.Errorf("%+v: %d %s", c, status, doc)
		}
		calls := f.store.Calls("CreateBucket")
		if len(calls) != 1 {
			t.Fatalf("%+v: %v", c, calls)
		}
		got := strings.TrimPrefix(strings.Replace(string(calls[0].Body), ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`, "", 1), `<?xml version="1.0" encoding="UTF-8"?>`+"\n")
		if got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// TestRegionsOfAWSArePlaces: a bucket lies where its maker says, so nothing is put in the place of a region's name there.
func TestRegionsOfAWSArePlaces(t *testing.T) {
	for endpoint, relocates := range map[string]bool{"https://s3.eu-central-1.amazonaws.com": false, "https://s3.example.com": true} {
		c, err := upstream.New(upstream.Options{Endpoint: endpoint, Region: "eu-central-1"})
		if err != nil {
			t.Fatal(err)
		}
		x := &exchange{auth: &sigv4.Verified{Region: "eu-west-1"}, bucket: bucket{store: &store{data: c, region: "eu-central-1"}}}
		if (x.relocation() != nil) != relocates {
			t.Errorf("%s: %v", endpoint, !relocates)
		}
	}
}

// TestForwardedClientsMakeBuckets: the region of the host that a client of the forward port asks for is that of the store behind it.
func TestForwardedClientsMakeBuckets(t *testing.T) {
	f := newForwarded(t, nil)
	c := f.connect()
	for bucket, doc := range map[string]string{
		"made":  "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>",
		"other": "<CreateBucketConfiguration><LocationConstraint>ap-south-1</LocationConstraint></CreateBucketConfiguration>",
	} {
		f.store.Forget()
		if resp, body := c.ask("PUT", f.plain("PUT", "s3.eu-west-1.amazonaws.com", "/"+bucket, doc)); resp.StatusCode != 200 {
			t.Fatalf("%s: %d %s", bucket, resp.StatusCode, body)
		}
		calls := f.store.Calls("CreateBucket")
		if sent := string(calls[0].Body); (bucket == "made") != (sent == "") || bucket == "other" && sent != doc {
			t.Errorf("%s: the store is asked for %q", bucket, sent)
		}
	}
}
